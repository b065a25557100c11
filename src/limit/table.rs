//! The states of a limit's keys: bounded, exact between threads, without locks. A set-associative
//! array: a key lives in one of the eight slots of its set, and a new one takes the place of the one
//! of which the least would be forgotten.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::key::Key;
use super::meter::Meter;

/// Sixteen bytes a key, in pages of 64 KiB that are allocated when they are first touched.
pub(super) struct Table<M: Meter> {
    pub(super) meter: M,
    pages: Box<[OnceLock<Box<[Set]>>]>,
    sets: u64,
    memory: M::Memory,
}

/// Two cache lines.
#[derive(Default)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

#[derive(Default)]
struct Slot {
    /// `EMPTY`, the bits of the key that lives here, or those with `CLAIM` set, while the thread that
    /// claimed the slot for that key prepares it. Only that thread may change a claimed slot.
    tag: AtomicU64,
    state: AtomicU64,
}

/// What a look at a set finds of a key.
enum Found<'a> {
    Live(&'a Slot),
    /// Another thread is about to publish it.
    Claimed,
    Absent,
}

impl<M: Meter> Table<M> {
    /// Room for at least `max_keys`: eight times a power of two.
    pub(super) fn new(meter: M, max_keys: u32) -> Self {
        let sets = u64::from(max_keys.div_ceil(WAYS as u32).max(1)).next_power_of_two();
        Self {
            memory: meter.memory(max_keys),
            meter,
            pages: (0..sets.div_ceil(PAGE)).map(|_| OnceLock::new()).collect(),
            sets,
        }
    }

    /// Takes a key's state one step on, in one compare-and-swap: no two threads ever take the same
    /// step. `step` tells what came of it, and the next state where it changes.
    pub(super) fn update<R>(
        &self,
        key: Key,
        now: u64,
        step: impl Fn(u64) -> (R, Option<u64>),
    ) -> R {
        let set = self.set(key);
        loop {
            let slot = match set.find(key) {
                Found::Live(slot) => Some(slot),
                Found::Claimed => None,
                Found::Absent => self.insert(set, key, now),
            };
            match slot.and_then(|slot| slot.update(key, &step)) {
                Some(result) => return result,
                // Another thread is in the midst of changing this very set: some ten instructions.
                None => std::thread::yield_now(),
            }
        }
    }

    /// The same where the key is still here. One that had to leave keeps what it left with.
    pub(super) fn update_if_here(&self, key: Key, step: impl Fn(u64) -> Option<u64>) {
        let set = self.set(key);
        loop {
            match set.find(key) {
                Found::Live(slot) if slot.update(key, |state| ((), step(state))).is_some() => {
                    return;
                }
                Found::Absent => return,
                Found::Live(_) | Found::Claimed => std::thread::yield_now(),
            }
        }
    }

    /// A key's state, which stays as it is.
    pub(super) fn state(&self, key: Key, now: u64) -> u64 {
        match self.set(key).find(key) {
            Found::Live(slot) => slot.state.load(SeqCst),
            Found::Claimed | Found::Absent => self.meter.enter(&self.memory, key, now),
        }
    }

    /// Makes a slot for a key: claims the best one, makes sure that no other thread makes one for the
    /// same key, and publishes it. `None` where another thread came first: look again.
    fn insert<'a>(&self, set: &'a Set, key: Key, now: u64) -> Option<&'a Slot> {
        let (way, slot, owner) = self.victim(set, now)?;
        if owner == key.bits() {
            return None;
        }
        slot.tag
            .compare_exchange(owner, key.bits() | CLAIM, SeqCst, SeqCst)
            .ok()?;
        if owner != EMPTY {
            let state = slot.state.load(SeqCst);
            self.meter.leave(&self.memory, Key::new(owner), state, now);
        }
        if !set.wins(key, way) {
            slot.tag.store(EMPTY, SeqCst);
            return None;
        }
        let entering = self.meter.enter(&self.memory, key, now);
        slot.state.store(entering, SeqCst);
        slot.tag.store(key.bits(), SeqCst);
        Some(slot)
    }

    /// The slot of which the least would be forgotten: an empty one, else the one whose calls count
    /// least by now. Keys that have not called for two windows count nothing, so the least recently
    /// used go first; and among the busy, the one with one call before the one with twenty. A flood
    /// of new keys so drives out itself and not the clients that are being held back.
    fn victim<'a>(&self, set: &'a Set, now: u64) -> Option<(usize, &'a Slot, u64)> {
        let ways = set.0.iter().enumerate();
        ways.map(|(way, slot)| (way, slot, slot.tag.load(SeqCst)))
            .filter(|(_, _, tag)| tag & CLAIM == 0)
            .min_by_key(|(_, slot, tag)| match *tag {
                EMPTY => None,
                _ => Some(self.meter.weight(slot.state.load(SeqCst), now)),
            })
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "number < sets; a page has min(sets, PAGE) of them, and both are powers of two"
    )]
    fn set(&self, key: Key) -> &Set {
        let number = ((u128::from(key.bits()) * u128::from(self.sets)) >> 64) as u64;
        let length = self.sets.min(PAGE);
        let page = self.pages[(number / PAGE) as usize]
            .get_or_init(|| (0..length).map(|_| Set::default()).collect());
        &page[(number % PAGE) as usize]
    }
}

impl Slot {
    /// `None` where the slot was given to another key meanwhile. Only if that happens between the last
    /// look at the tag and the swap, and the states of both are equal bit by bit, does a stranger take
    /// this key's step; this key takes it again in a slot of its own.
    fn update<R>(&self, key: Key, step: impl Fn(u64) -> (R, Option<u64>)) -> Option<R> {
        loop {
            let state = self.state.load(SeqCst);
            if self.tag.load(SeqCst) != key.bits() {
                return None;
            }
            let (result, next) = step(state);
            let swapped = next.is_none_or(|next| {
                self.state
                    .compare_exchange_weak(state, next, SeqCst, SeqCst)
                    .is_ok()
            });
            if swapped {
                return (self.tag.load(SeqCst) == key.bits()).then_some(result);
            }
        }
    }
}

impl Set {
    fn find(&self, key: Key) -> Found<'_> {
        let mut found = Found::Absent;
        for slot in &self.0 {
            let tag = slot.tag.load(SeqCst);
            if tag == key.bits() {
                return Found::Live(slot);
            }
            if tag == key.bits() | CLAIM {
                found = Found::Claimed;
            }
        }
        found
    }

    /// May the thread that claimed `way` for the key publish it? Of two that claim at once, at least
    /// one sees the other, because each claims before it looks. It withdraws for a slot that lives
    /// already and for a claim in a lower way. For one in a higher way it waits: that one either sees
    /// this claim and withdraws, or looked before it was made and publishes. Nobody waits downwards,
    /// so nobody waits in a circle.
    fn wins(&self, key: Key, way: usize) -> bool {
        for (other, slot) in self.0.iter().enumerate().filter(|(other, _)| *other != way) {
            loop {
                let tag = slot.tag.load(SeqCst);
                if tag == key.bits() || (tag == key.bits() | CLAIM && other < way) {
                    return false;
                }
                if tag != key.bits() | CLAIM {
                    break;
                }
                std::thread::yield_now();
            }
        }
        true
    }
}

const WAYS: usize = 8;
const EMPTY: u64 = 0;
/// Keys are even.
const CLAIM: u64 = 1;
/// Sets in a page.
const PAGE: u64 = 512;

#[cfg(test)]
mod tests;
