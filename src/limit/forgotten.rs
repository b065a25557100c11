//! What is known of keys that had to leave the table with calls that still count: two count-min
//! sketches, of this window and the one before.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use pingora_limits::estimator::Estimator;

use super::key::Key;
use super::sliding::Tally;

/// Empty, and without memory, until a key leaves with more than one call. (Whoever drives out a key
/// with one call has spent one call on it; to remember those would let a flood of fresh keys fill the
/// sketch, at the cost of clients that are new.)
///
/// A count-min sketch never tells less than the truth. With `ROWS` rows of `c` columns it tells more
/// than `e / c × all calls remembered in the window` too much with a probability below `e^-ROWS`, 2 %
/// (Cormode and Muthukrishnan, 2005). A key is raised to its count rather than added to, so that one
/// that comes and goes is not counted twice; that keeps both bounds.
pub(super) struct Forgotten {
    columns: usize,
    sketches: OnceLock<Sketches>,
}

struct Sketches {
    /// The newest window seen.
    window: AtomicU64,
    /// Of the windows with an even number, and of those with an odd one.
    by_parity: [Estimator; 2],
}

impl Forgotten {
    pub(super) fn new(max_keys: u32) -> Self {
        Self {
            columns: (max_keys as usize).clamp(LEAST_COLUMNS, MOST_COLUMNS),
            sketches: OnceLock::new(),
        }
    }

    pub(super) fn remember(&self, key: Key, tally: &Tally) {
        let sketches = self.sketches.get_or_init(|| Sketches {
            window: AtomicU64::new(tally.window),
            by_parity: std::array::from_fn(|_| Estimator::new(ROWS, self.columns)),
        });
        if sketches.reach(tally.window) {
            raise(sketches.of(tally.window), key, tally.current);
            raise(
                sketches.of(tally.window.wrapping_sub(1)),
                key,
                tally.previous,
            );
        }
    }

    /// The key's calls in this window and in the one before: never fewer than it left with.
    pub(super) fn recall(&self, key: Key, window: u64) -> (u64, u64) {
        match self.sketches.get() {
            Some(sketches) if sketches.reach(window) => (
                estimate(sketches.of(window), key),
                estimate(sketches.of(window.wrapping_sub(1)), key),
            ),
            _ => (0, 0),
        }
    }
}

impl Sketches {
    /// Moves on to a window, where it is new; false where it is over already. The thread that moves
    /// on empties what is out of date. Another that comes in between may still read old counts, which
    /// is the strict side, or lose a count of the first microseconds of a window, which is as if its
    /// key had not been remembered.
    fn reach(&self, window: u64) -> bool {
        let newest = self.window.fetch_max(window, SeqCst);
        if window > newest {
            self.of(window).reset();
        }
        if window > newest.saturating_add(1) {
            self.of(window.wrapping_sub(1)).reset();
        }
        window >= newest
    }

    fn of(&self, window: u64) -> &Estimator {
        let [even, odd] = &self.by_parity;
        match window % 2 {
            0 => even,
            _ => odd,
        }
    }
}

fn raise(sketch: &Estimator, key: Key, calls: u64) {
    let missing = calls.saturating_sub(estimate(sketch, key));
    if missing > 0 {
        sketch.incr(key.bits(), missing as isize);
    }
}

fn estimate(sketch: &Estimator, key: Key) -> u64 {
    u64::try_from(sketch.get(key.bits())).unwrap_or(0)
}

const ROWS: usize = 4;
const LEAST_COLUMNS: usize = 256;
/// One MiB for both sketches.
const MOST_COLUMNS: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::sliding::Sliding;

    fn tally(window: u64, current: u64, previous: u64) -> Tally {
        let sliding = Sliding::new(1_000, std::time::Duration::from_millis(1));
        let state = sliding.starting_with(window, current, previous);
        sliding.tally(state, window)
    }

    #[test]
    fn a_key_is_never_told_less_than_it_left_with() {
        let forgotten = Forgotten::new(1);
        for number in 1..2_000 {
            forgotten.remember(Key::new(number * 2), &tally(7, number % 50, number % 30));
        }
        for number in 1..2_000 {
            let (current, previous) = forgotten.recall(Key::new(number * 2), 7);
            assert!(current >= number % 50 && previous >= number % 30);
        }
    }

    #[test]
    fn a_key_that_comes_and_goes_is_not_counted_twice() {
        let forgotten = Forgotten::new(1);
        let key = Key::new(42);
        for calls in [5, 7, 6] {
            forgotten.remember(key, &tally(7, calls, 9));
        }
        assert_eq!(forgotten.recall(key, 7), (7, 9));
    }

    #[test]
    fn windows_pass() {
        let forgotten = Forgotten::new(1);
        let key = Key::new(42);
        assert_eq!(forgotten.recall(key, 7), (0, 0));
        forgotten.remember(key, &tally(7, 5, 9));
        assert_eq!(forgotten.recall(key, 8), (0, 5));
        assert_eq!(forgotten.recall(key, 9), (0, 0));
        forgotten.remember(key, &tally(9, 3, 0));
        assert_eq!(forgotten.recall(key, 11), (0, 0));
    }
}
