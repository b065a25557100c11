//! The arithmetic of `sliding_window`: one key's state in 64 bits, and what a call at a time does to
//! it. Pure; where the states are kept is the table's.

use std::time::Duration;

use super::decision::Decision;
use super::forgotten::Forgotten;
use super::key::Key;
use super::meter::Meter;
use crate::base::units::Rate;

/// At most `count` calls in a window of `width` milliseconds, which slides. Time is cut into windows;
/// of the one before, the share is counted that the sliding window still covers, as if its calls had
/// come evenly:
///
/// ```text
/// used = current + previous × (1 − elapsed / width)        admitted where used + 1 ≤ count
/// ```
///
/// All of it is computed in whole numbers, multiplied by `width`. No term overflows: a count has at
/// most 24 bits and a width (ten years) 39, and at most two such products and one width are added.
///
/// One state serves every `count` up to `most`: what a role may do can differ while its calls are the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sliding {
    most: u64,
    width: u64,
    /// Bits of a count; what two counts leave of the 64 holds the window's number.
    bits: u32,
    /// A thread may come with a time it read this many windows ago.
    late: u64,
}

/// The two counts at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// The window's number since the clock's start.
    pub window: u64,
    pub current: u64,
    pub previous: u64,
    /// Milliseconds since the window began; less than its width.
    elapsed: u64,
}

/// The window in which a call was counted, as its state numbers windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Receipt(u64);

impl Sliding {
    /// For counts of at most `most` in a window of `width`.
    pub(super) fn new(most: u32, width: Duration) -> Self {
        let most = u64::from(most.clamp(1, Rate::MAX_COUNT));
        let width = (width.as_millis() as u64).max(1);
        Self {
            most,
            width,
            bits: u64::BITS - most.leading_zeros(),
            late: (LATE_MILLIS / width + 1).min(u64::from(u16::MAX) / 4),
        }
    }

    /// The answer to a call, and the state after it where the call is counted: a refused call is
    /// not, so that trying does not prolong the refusal.
    pub(super) fn decide(
        &self,
        count: u64,
        state: u64,
        now: u64,
    ) -> ((Decision, Option<Receipt>), Option<u64>) {
        let mut tally = self.tally(state, now);
        let admitted = self.admits(count, &tally);
        if admitted {
            tally.current += 1;
        }
        let decision = self.decision(admitted, count, &tally);
        match admitted {
            true => (
                (decision, Some(self.receipt(&tally))),
                Some(self.state(&tally)),
            ),
            false => ((decision, None), None),
        }
    }

    /// What a call would be told, without counting it.
    pub(super) fn look(&self, count: u64, state: u64, now: u64) -> Decision {
        let tally = self.tally(state, now);
        self.decision(self.admits(count, &tally), count, &tally)
    }

    /// Counts a call that was admitted elsewhere; nothing where there is no room to count more.
    pub(super) fn charge(&self, state: u64, now: u64) -> (Option<Receipt>, Option<u64>) {
        let mut tally = self.tally(state, now);
        if tally.current >= self.most {
            return (None, None);
        }
        tally.current += 1;
        (Some(self.receipt(&tally)), Some(self.state(&tally)))
    }

    /// The state as if the call of the receipt had never been counted; `None` where it does not count
    /// any more.
    pub(super) fn give_back(&self, receipt: Receipt, state: u64) -> Option<u64> {
        let window_mask = u64::MAX >> (2 * self.bits);
        let count_mask = (1 << self.bits) - 1;
        let stored = state >> (2 * self.bits);
        let one = match stored.wrapping_sub(receipt.0) & window_mask {
            0 if state >> self.bits & count_mask > 0 => 1 << self.bits,
            1 if state & count_mask > 0 => 1,
            _ => return None,
        };
        Some(state - one)
    }

    /// Reads a state as of `now`. The window's number is kept modulo 2 to the power of the bits that
    /// the counts leave (16 at least, 54 for a limit of 20), so a key that pauses for exactly that
    /// many windows, give or take `late`, finds its old counts. That errs to the strict side only,
    /// for two windows, and takes 49 days at the least for limits up to 65,535.
    pub(super) fn tally(&self, state: u64, now: u64) -> Tally {
        let count_mask = (1 << self.bits) - 1;
        let window_mask = u64::MAX >> (2 * self.bits);
        let (window, elapsed) = (now / self.width, now % self.width);
        let (current, previous) = (state >> self.bits & count_mask, state & count_mask);
        let stored = state >> (2 * self.bits);
        let behind = window.wrapping_sub(stored) & window_mask;
        let ahead = stored.wrapping_sub(window) & window_mask;
        let (window, current, previous, elapsed) = match behind {
            0 => (window, current, previous, elapsed),
            1 => (window, 0, current, elapsed),
            // Another thread has opened a later window since this one read the clock: to take that
            // for an old state would forget its calls.
            _ if ahead <= self.late && current + previous > 0 => {
                (window + ahead, current, previous, 0)
            }
            _ => (window, 0, 0, elapsed),
        };
        Tally {
            window,
            current,
            previous,
            elapsed,
        }
    }

    /// A state that begins with these counts, neither above the limit.
    pub(super) fn starting_with(&self, window: u64, current: u64, previous: u64) -> u64 {
        self.state(&Tally {
            window,
            current: current.min(self.most),
            previous: previous.min(self.most),
            elapsed: 0,
        })
    }

    /// The number of the window at a time.
    pub(super) fn window(&self, now: u64) -> u64 {
        now / self.width
    }

    /// Calls that count at this time, multiplied by the width.
    pub(super) fn used(&self, tally: &Tally) -> u64 {
        tally.current * self.width + tally.previous * (self.width - tally.elapsed)
    }

    /// Calls that count at this time, rounded up.
    pub(super) fn used_calls(&self, tally: &Tally) -> u64 {
        self.used(tally).div_ceil(self.width)
    }

    /// Milliseconds.
    pub(super) fn width(&self) -> u64 {
        self.width
    }

    /// What the script that counts in Redis needs: the width, the most calls, and how many windows a clock
    /// may be behind.
    pub(super) fn arguments(&self) -> [i64; 3] {
        [self.width as i64, self.most as i64, self.late as i64]
    }

    /// The receipt of a call that was counted last in this state.
    pub(super) fn receipt_at(&self, state: u64) -> Receipt {
        Receipt(state >> (2 * self.bits))
    }

    fn admits(&self, count: u64, tally: &Tally) -> bool {
        self.used(tally) + self.width <= count * self.width
    }

    fn decision(&self, admitted: bool, count: u64, tally: &Tally) -> Decision {
        let free = (count * self.width).saturating_sub(self.used(tally));
        Decision {
            admitted,
            limit: count as u32,
            remaining: (free / self.width) as u32,
            reset_millis: self.until_unused(tally),
            retry_after_millis: self.until_admitted(count, tally),
        }
    }

    fn receipt(&self, tally: &Tally) -> Receipt {
        Receipt(tally.window & (u64::MAX >> (2 * self.bits)))
    }

    fn state(&self, tally: &Tally) -> u64 {
        let window_mask = u64::MAX >> (2 * self.bits);
        (tally.window & window_mask) << (2 * self.bits)
            | tally.current << self.bits
            | tally.previous
    }

    /// A window's calls count until the next window ends.
    fn until_unused(&self, tally: &Tally) -> u64 {
        let rest = self.width - tally.elapsed;
        match (tally.current, tally.previous) {
            (0, 0) => 0,
            (0, _) => rest,
            _ => rest + self.width,
        }
    }

    /// Solves `used + 1 ≤ count` for time. Within this window, with `free = count − 1 − current`
    /// calls left to the one before: `previous × (width − elapsed) ≤ free × width`. Where this
    /// window alone is full, the same in the next one, in which it is the one before and `free` is
    /// `count − 1`.
    fn until_admitted(&self, count: u64, tally: &Tally) -> u64 {
        let (wait, previous, free) = match tally.current < count {
            true => (0, tally.previous, count - 1 - tally.current),
            false => (self.width, tally.current, count - 1),
        };
        // `previous` may be 0: then nothing holds the call back.
        let covered = (free * self.width)
            .checked_div(previous)
            .map_or(self.width, |most| most.min(self.width));
        (wait + self.width - covered).saturating_sub(tally.elapsed)
    }
}

impl Meter for Sliding {
    type Memory = Forgotten;

    fn memory(&self, max_keys: u32) -> Forgotten {
        Forgotten::new(max_keys)
    }

    fn weight(&self, state: u64, now: u64) -> u64 {
        self.used(&self.tally(state, now))
    }

    fn leave(&self, forgotten: &Forgotten, key: Key, state: u64, now: u64) {
        let tally = self.tally(state, now);
        if self.used_calls(&tally) > 1 {
            forgotten.remember(key, &tally);
        }
    }

    fn enter(&self, forgotten: &Forgotten, key: Key, now: u64) -> u64 {
        let window = self.window(now);
        let (current, previous) = forgotten.recall(key, window);
        self.starting_with(window, current, previous)
    }
}

/// A thread may come with a time that it read this long ago.
pub(super) const LATE_MILLIS: u64 = 1_000;

#[cfg(test)]
mod tests;
