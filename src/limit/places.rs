//! Calls at the same time, for `concurrent`: bounded, exact between threads, without locks. A call takes
//! a place and gives it back; time plays no part, and a key with a call in flight never has to leave.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::decision::Decision;
use super::key::Key;

/// Eight bytes a slot, sixteen slots a set. A slot holds 40 bits of a key and how many of its calls are
/// in flight; at 0 it is free for anyone. Two keys of one set share a slot, and so a count, with a
/// chance of 2^-40.
///
/// Two threads that bring a key's first calls at once may each open a slot for it. That is seen: what
/// counts is the sum of a key's slots, and a call that finds it too high after it was added takes
/// itself back and tries again. A call that stays was added when the sum was below the limit, so that
/// never more than `most` calls hold places; and of those that compete for the last one, one gets it.
pub(super) struct Places {
    most: u64,
    pages: Box<[OnceLock<Box<[Set]>>]>,
    sets: u64,
}

#[derive(Default)]
#[repr(align(128))]
struct Set([AtomicU64; WAYS]);

/// A place that is taken, until it is given back.
#[derive(Debug)]
pub(super) struct Place {
    key: Key,
    way: usize,
}

/// What came of adding a call to a set.
enum Added {
    To(usize),
    Full,
    /// Another thread was faster.
    Again,
}

impl Places {
    /// Room for twice `max_keys` with calls in flight, so that sets hardly ever fill before.
    pub(super) fn new(most: u32, max_keys: u32) -> Self {
        let sets = u64::from(max_keys.div_ceil(WAYS as u32 / 2).max(1)).next_power_of_two();
        Self {
            most: u64::from(most).clamp(1, COUNT_MASK),
            pages: (0..sets.div_ceil(PAGE)).map(|_| OnceLock::new()).collect(),
            sets,
        }
    }

    /// Takes a place, where one is free. Where every slot of the key's set is another key's with calls
    /// in flight, there is none either: rather too strict than too many.
    pub(super) fn enter(&self, key: Key) -> (Decision, Option<Place>) {
        let set = self.set(key);
        loop {
            let there = set.calls(key);
            if there >= self.most {
                return (self.decision(false, there), None);
            }
            let way = match set.add(key) {
                Added::To(way) => way,
                Added::Full => return (self.decision(false, self.most), None),
                Added::Again => continue,
            };
            let with_this = set.calls(key);
            if with_this <= self.most {
                return (self.decision(true, with_this), Some(Place { key, way }));
            }
            set.remove(way);
        }
    }

    /// Gives a place back.
    pub(super) fn leave(&self, place: Place) {
        self.set(place.key).remove(place.way);
    }

    /// What a call would be told, without taking a place.
    pub(super) fn look(&self, key: Key) -> Decision {
        let there = self.set(key).calls(key);
        self.decision(there < self.most, there)
    }

    fn decision(&self, admitted: bool, there: u64) -> Decision {
        Decision {
            admitted,
            limit: self.most as u32,
            remaining: self.most.saturating_sub(there) as u32,
            reset_millis: 0,
            // When the others end is theirs to know.
            retry_after_millis: match there < self.most {
                true => 0,
                false => RETRY_AFTER_MILLIS,
            },
        }
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
    /// Calls of a key in flight.
    fn calls(&self, key: Key) -> u64 {
        let slots = self.0.iter().map(|slot| slot.load(SeqCst));
        let own = slots.filter(|slot| slot & !COUNT_MASK == mark(key));
        own.map(|slot| slot & COUNT_MASK).sum()
    }

    /// Adds a call to the key's slot, or else to one that is free.
    fn add(&self, key: Key) -> Added {
        let mut free = None;
        for (way, slot) in self.0.iter().enumerate() {
            let seen = slot.load(SeqCst);
            let (owner, calls) = (seen & !COUNT_MASK, seen & COUNT_MASK);
            if calls == COUNT_MASK {
                // Others are full, or will take back what they just tried.
                continue;
            }
            if calls > 0 && owner == mark(key) {
                return swap(way, slot, seen, seen + 1);
            }
            if calls == 0 && free.is_none() {
                free = Some((way, slot, seen));
            }
        }
        match free {
            Some((way, slot, seen)) => swap(way, slot, seen, mark(key) | 1),
            None => Added::Full,
        }
    }

    /// Takes a call away where it was added: as long as it is there, the slot stays its key's.
    fn remove(&self, way: usize) {
        if let Some(slot) = self.0.get(way) {
            slot.fetch_sub(1, SeqCst);
        }
    }
}

fn swap(way: usize, slot: &AtomicU64, seen: u64, next: u64) -> Added {
    match slot.compare_exchange(seen, next, SeqCst, SeqCst) {
        Ok(_) => Added::To(way),
        Err(_) => Added::Again,
    }
}

/// The upper bits of a slot. They are the key's lower ones; the upper ones chose the set.
fn mark(key: Key) -> u64 {
    (key.bits() >> 1) << COUNT_BITS
}

const WAYS: usize = 16;
/// Sets in a page.
const PAGE: u64 = 512;
const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// Honest as far as can be: nobody knows when the others end, and a second spares the gateway most
/// of the asking.
const RETRY_AFTER_MILLIS: u64 = 1_000;

#[cfg(test)]
mod tests;
