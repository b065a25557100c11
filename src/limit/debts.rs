//! What is known of buckets that had to leave the table before they were full again: a sketch of
//! the times at which they will be.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use super::key::Key;

/// Empty, and without memory, until a key leaves with more than one call.
///
/// Each row keeps, by a hash of its own, the latest time that any of its keys was remembered with; a
/// key's is the earliest that the rows tell. So no key is told less than it left with, and none more
/// than the latest of those with which it collides in every row: with k keys remembered and c columns
/// that is a chance of about `(k / c)^ROWS`. Times pass by themselves, so that nothing needs clearing.
pub(super) struct Debts {
    columns: usize,
    rows: OnceLock<Box<[Row]>>,
}

struct Row {
    seed: RandomState,
    cells: Box<[AtomicU64]>,
}

impl Debts {
    pub(super) fn new(max_keys: u32) -> Self {
        Self {
            columns: (max_keys as usize).clamp(LEAST_COLUMNS, MOST_COLUMNS),
            rows: OnceLock::new(),
        }
    }

    /// The key's bucket will be full at `full_at` milliseconds.
    pub(super) fn remember(&self, key: Key, full_at: u64) {
        let rows = self.rows.get_or_init(|| {
            let cells = || (0..self.columns).map(|_| AtomicU64::new(0)).collect();
            let row = || Row {
                seed: RandomState::new(),
                cells: cells(),
            };
            (0..ROWS).map(|_| row()).collect()
        });
        for cell in rows.iter().filter_map(|row| row.cell(key)) {
            cell.fetch_max(full_at, SeqCst);
        }
    }

    /// When the key's bucket will be full: never earlier than it was remembered with; 0 for one that
    /// never left.
    pub(super) fn recall(&self, key: Key) -> u64 {
        let rows = self.rows.get().into_iter().flatten();
        let times = rows.filter_map(|row| row.cell(key));
        times.map(|cell| cell.load(SeqCst)).min().unwrap_or(0)
    }
}

impl Row {
    fn cell(&self, key: Key) -> Option<&AtomicU64> {
        let hash = self.seed.hash_one(key.bits());
        self.cells
            .get((hash % self.cells.len().max(1) as u64) as usize)
    }
}

const ROWS: usize = 4;
const LEAST_COLUMNS: usize = 256;
/// Half a MiB.
const MOST_COLUMNS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_never_told_full_before_it_was_to_be() {
        let debts = Debts::new(1);
        for number in 1..2_000 {
            debts.remember(Key::new(number * 2), 1_000 + number % 70);
        }
        for number in 1..2_000 {
            assert!(debts.recall(Key::new(number * 2)) >= 1_000 + number % 70);
        }
    }

    #[test]
    fn few_remembered_keys_tell_nothing_of_others() {
        let debts = Debts::new(100_000);
        let none = Key::new(2);
        assert_eq!(debts.recall(none), 0);
        for number in 1_000..2_000 {
            debts.remember(Key::new(number * 2), 5_000);
        }
        let told = (0..500).filter(|number| debts.recall(Key::new(number * 2)) > 0);
        assert!(told.count() <= 2);
    }
}
