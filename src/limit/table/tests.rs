//! Bounded and exact, also between threads.

use std::sync::Barrier;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use super::*;
use crate::base::units::Rate;
use crate::limit::bucket::{Bucket, Fill};
use crate::limit::decision::Decision;
use crate::limit::sliding::{Receipt, Sliding};

const WINDOW: u64 = 60_000;

/// A table for one count.
struct Counts {
    count: u64,
    table: Table<Sliding>,
}

impl Counts {
    fn take(&self, key: Key, now: u64) -> (Decision, Option<Receipt>) {
        let step = |state| self.table.meter.decide(self.count, state, now);
        self.table.update(key, now, step)
    }

    fn decide(&self, key: Key, now: u64) -> Decision {
        self.take(key, now).0
    }

    fn give_back(&self, key: Key, receipt: Receipt) {
        let step = |state| self.table.meter.give_back(receipt, state);
        self.table.update_if_here(key, step);
    }
}

fn table(count: u32, max_keys: u32) -> Counts {
    let window = Duration::from_millis(WINDOW);
    Counts {
        count: count.into(),
        table: Table::new(Sliding::new(count, window), max_keys),
    }
}

/// Spreads like a hash, and names a key by a number.
fn key(number: u64) -> Key {
    Key::new((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn live_keys(counts: &Counts) -> usize {
    let pages = counts.table.pages.iter().filter_map(OnceLock::get);
    let slots = pages.flatten().flat_map(|set| &set.0);
    slots.filter(|slot| slot.tag.load(SeqCst) != EMPTY).count()
}

/// Calls with each thread's number, on eight threads that start together.
fn on_eight_threads(call: impl Fn(u64) + Sync) {
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (start, call) = (&start, &call);
            scope.spawn(move || {
                start.wait();
                call(thread);
            });
        }
    });
}

#[test]
fn eight_threads_admit_exactly_the_limit_between_them() {
    let table = table(1_000, 100);
    let admitted = AtomicU32::new(0);
    on_eight_threads(|_| {
        for _ in 0..500 {
            if table.decide(key(1), 5_000).admitted {
                admitted.fetch_add(1, SeqCst);
            }
        }
    });
    assert_eq!(admitted.load(SeqCst), 1_000);
}

#[test]
fn threads_that_bring_the_same_new_keys_at_once_share_one_slot_each() {
    for round in 0..200 {
        let table = table(5, 8_000);
        let admitted: [AtomicU32; 20] = Default::default();
        on_eight_threads(|_| {
            for (number, admitted) in admitted.iter().enumerate() {
                if table.decide(key(number as u64), round).admitted {
                    admitted.fetch_add(1, SeqCst);
                }
            }
        });
        assert!(admitted.iter().all(|admitted| admitted.load(SeqCst) == 5));
        assert_eq!(live_keys(&table), 20);
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let table = table(5, 4_096);
    for number in 0..40_960 {
        assert!(table.decide(key(number), 5_000).admitted);
    }
    assert_eq!(live_keys(&table), 4_096);
    assert_eq!(size_of::<Set>(), 8 * 16);
}

#[test]
fn memory_is_taken_when_it_is_used() {
    let table = table(5, 16_000_000);
    table.decide(key(1), 0);
    let pages = table.table.pages.iter().filter(|page| page.get().is_some());
    assert_eq!(pages.count(), 1);
}

#[test]
fn the_least_recently_used_key_leaves_first() {
    // One set: eight keys, of which one has not called for two windows.
    let table = table(5, 8);
    table.decide(key(3), 0);
    for number in (0..8).filter(|number| *number != 3) {
        table.decide(key(number), 2 * WINDOW);
    }
    table.decide(key(8), 2 * WINDOW);
    let set = table.table.set(key(0));
    let lives = |number| matches!(set.find(key(number)), Found::Live(_));
    assert!((0..9).all(|number| lives(number) == (number != 3)));
}

#[test]
fn a_flood_of_new_keys_does_not_free_a_client_that_is_held_back() {
    let table = table(20, 64);
    while table.decide(key(0), 5_000).admitted {}
    for number in 1..10_000 {
        table.decide(key(number), 5_001);
    }
    assert!(!table.decide(key(0), 5_002).admitted);
}

#[test]
fn a_busy_key_that_had_to_leave_comes_back_with_its_count() {
    let table = table(20, 8);
    for number in 0..32 {
        while table.decide(key(number), 5_000).admitted {}
    }
    for number in 0..32 {
        assert!(!table.decide(key(number), 5_001).admitted, "{number}");
    }
    // And its calls wear off like any others.
    assert!(table.decide(key(0), 5_000 + 2 * WINDOW).admitted);
}

#[test]
fn threads_that_evict_each_other_never_stop() {
    let table = table(1_000_000, 8);
    on_eight_threads(|thread| {
        for round in 0..2_000 {
            table.decide(key((thread + round) % 24), round);
        }
    });
    assert_eq!(live_keys(&table), 8);
}

#[test]
fn calls_given_back_on_eight_threads_leave_nothing_behind() {
    let table = table(64, 100);
    on_eight_threads(|thread| {
        for round in 0..2_000 {
            let (decision, receipt) = table.take(key(1), 5_000);
            assert!(decision.admitted, "at most eight are out at a time");
            // A second key, so that slots are also looked for.
            table.decide(key(2 + thread), 5_000 + round);
            table.give_back(key(1), receipt.unwrap());
        }
    });
    let after = table.decide(key(1), 5_000);
    assert_eq!((after.admitted, after.remaining), (true, 63));
}

#[test]
fn a_call_of_a_key_that_had_to_leave_stays_counted() {
    let table = table(3, 8);
    let (_, first) = table.take(key(0), 5_000);
    let (_, second) = table.take(key(0), 5_000);
    for number in 1..32 {
        while table.decide(key(number), 5_000).admitted {}
    }
    table.give_back(key(0), first.unwrap());
    table.give_back(key(0), second.unwrap());
    let back = table.decide(key(0), 5_001);
    assert_eq!(back.remaining, 0, "{back:?}");
}

#[test]
fn an_attacker_with_many_keys_cannot_reset_the_count_of_a_hot_one() {
    let table = table(20, 64);
    while table.decide(key(0), 5_000).admitted {}
    // Each of 2,000 keys uses all of its quota, so that each weighs as much as the hot one.
    for number in 1..2_000 {
        while table.decide(key(number), 5_000).admitted {}
        assert!(!table.decide(key(0), 5_000).admitted, "after {number} keys");
    }
}

/// A table of buckets that hold five calls and fill in 50 seconds.
fn buckets(max_keys: u32, holds: bool) -> (Table<Bucket>, Fill) {
    let window = Duration::from_millis(WINDOW);
    let (bucket, fills) = Bucket::new(&[(Rate { count: 6, window }, 5)], holds);
    (Table::new(bucket, max_keys), fills[0])
}

#[test]
fn a_bucket_that_had_to_leave_comes_back_with_its_debt() {
    for holds in [false, true] {
        let (table, fill) = buckets(8, holds);
        let take = |number, now| {
            let step = |state| table.meter.decide(fill, state, now);
            table.update(key(number), now, step).admitted
        };
        for number in 0..32 {
            while take(number, 5_000) {}
        }
        for number in 0..32 {
            assert!(!take(number, 5_001), "{number}");
        }
        // And it fills like any other.
        assert!(take(0, 5_000 + 50_000));
        // A call that was held when its key left is in the debt by now.
        let failed = |state| table.meter.settle(fill, true, state, 5_000);
        table.update_if_here(key(31), failed);
        assert!(!take(31, 5_002));
    }
}

#[test]
fn held_calls_that_end_on_eight_threads_leave_their_failures_and_nothing_else() {
    let (table, fill) = buckets(100, true);
    let failures = AtomicU32::new(0);
    on_eight_threads(|thread| {
        for round in 0..500 {
            let step = |state| table.meter.decide(fill, state, 5_000);
            if !table.update(key(1), 5_000, step).admitted {
                continue;
            }
            let failed = thread == 0 && round % 100 == 7;
            failures.fetch_add(failed.into(), SeqCst);
            let settle = |state| table.meter.settle(fill, failed, state, 5_000);
            table.update_if_here(key(1), settle);
        }
    });
    let left = table.meter.look(fill, table.state(key(1), 5_000), 5_000);
    assert_eq!(left.remaining, 5 - failures.load(SeqCst));
}
