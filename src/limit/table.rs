//! The states of a limit's keys: bounded, exact between threads, without locks. A set-associative
//! array: a key lives in one of the eight slots of its set, and a new one takes the place of the one
//! of which the least would be forgotten.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::forgotten::Forgotten;
use super::key::Key;
use super::sliding::{Decision, Sliding};

/// Sixteen bytes a key, in pages of 64 KiB that are allocated when they are first touched.
pub(super) struct Table {
    sliding: Sliding,
    pages: Box<[OnceLock<Box<[Set]>>]>,
    sets: u64,
    forgotten: Forgotten,
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

impl Table {
    /// Room for at least `max_keys`: eight times a power of two.
    pub(super) fn new(sliding: Sliding, max_keys: u32) -> Self {
        let sets = u64::from(max_keys.div_ceil(WAYS as u32).max(1)).next_power_of_two();
        Self {
            sliding,
            pages: (0..sets.div_ceil(PAGE)).map(|_| OnceLock::new()).collect(),
            sets,
            forgotten: Forgotten::new(max_keys),
        }
    }

    /// Decides on a call and counts it in one compare-and-swap: no two threads ever admit more than
    /// the limit between them.
    pub(super) fn decide(&self, key: Key, now: u64) -> Decision {
        let set = self.set(key);
        loop {
            let slot = match set.find(key) {
                Found::Live(slot) => Some(slot),
                Found::Claimed => None,
                Found::Absent => self.insert(set, key, now),
            };
            match slot.and_then(|slot| self.count(slot, key, now)) {
                Some(decision) => return decision,
                // Another thread is in the midst of changing this very set: some ten instructions.
                None => std::thread::yield_now(),
            }
        }
    }

    /// `None` where the slot was given to another key meanwhile. A stranger's count may then be one
    /// too high, which is the strict side; this key counts its call in a slot of its own.
    fn count(&self, slot: &Slot, key: Key, now: u64) -> Option<Decision> {
        let mut state = slot.state.load(SeqCst);
        loop {
            let (decision, next) = self.sliding.decide(state, now);
            let swapped = next.map_or(Ok(state), |next| {
                slot.state
                    .compare_exchange_weak(state, next, SeqCst, SeqCst)
            });
            match swapped {
                Ok(_) => return (slot.tag.load(SeqCst) == key.bits()).then_some(decision),
                Err(changed) => state = changed,
            }
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
            let lost = self.sliding.tally(slot.state.load(SeqCst), now);
            if self.sliding.used_calls(&lost) > 1 {
                self.forgotten.remember(Key::new(owner), &lost);
            }
        }
        if !set.wins(key, way) {
            slot.tag.store(EMPTY, SeqCst);
            return None;
        }
        let window = self.sliding.window(now);
        let (current, previous) = self.forgotten.recall(key, window);
        let seed = self.sliding.starting_with(window, current, previous);
        slot.state.store(seed, SeqCst);
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
                _ => {
                    let tally = self.sliding.tally(slot.state.load(SeqCst), now);
                    Some(self.sliding.used(&tally))
                }
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
