//! The arithmetic of `token_bucket`: one key's state in 64 bits, and what a call at a time does to it.
//! Pure; where the states are kept is the table's.

use super::debts::Debts;
use super::decision::Decision;
use super::key::Key;
use super::meter::Meter;
use super::sliding::LATE_MILLIS;
use crate::base::units::Rate;

/// A bucket that holds `capacity` calls and fills by one each `interval`, kept as the time at which it
/// will be full again (the generic cell rate algorithm, ITU-T I.371): a call puts that time off by one
/// interval, and passes where the bucket then still holds it.
///
/// ```text
/// debt = max(full_at − now, 0)        admitted where debt + interval ≤ capacity × interval
/// ```
///
/// Times are whole numbers of a unit of which an interval is a whole number, so that nothing is rounded:
/// 1/N ms for N calls, or for several rates the least common multiple. Should that be too fine for the
/// bits there are, the finest power of two that fits is taken, and intervals are rounded up, by less
/// than a unit.
///
/// Where only failures count, calls in flight are held: each takes a place in the bucket, and its place
/// alone. A failure then becomes debt as of the time of its call, and a success leaves no trace.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    /// In a millisecond.
    units: u64,
    /// Bits of the number of calls that are held; the rest are the time, modulo their range.
    held_bits: u32,
    /// No debt is larger: what seems to be is a time that has passed. A key that pauses for the whole
    /// range of times, but for a debt, seems to be in debt; that errs to the strict side only, and takes
    /// 98 days at the least, 34 years for a single rate.
    deepest: u64,
    /// The longest interval: the one of the rate without a role.
    longest: u64,
}

/// What fills a bucket, in the bucket's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fill {
    interval: u64,
    capacity: u64,
}

impl Bucket {
    /// One bucket for all of these rates, each with its capacity, and what fills it for each. `holds`
    /// where calls in flight are held.
    pub(super) fn new(rates: &[(Rate, u32)], holds: bool) -> (Self, Box<[Fill]>) {
        Self::within(rates, holds, u64::BITS, SHORTEST_HALF_MILLIS)
    }

    /// The same in units with which a double counts exactly: debts stay below 2^52. Times are not kept modulo
    /// anything there.
    pub(super) fn within_doubles(rates: &[(Rate, u32)], holds: bool) -> (Self, Box<[Fill]>) {
        Self::within(rates, holds, 51, 1 << 20)
    }

    fn within(
        rates: &[(Rate, u32)],
        holds: bool,
        time_bits: u32,
        shortest_half_millis: u128,
    ) -> (Self, Box<[Fill]>) {
        let most = rates.iter().map(|(_, capacity)| *capacity).max();
        let held_bits = match holds {
            true => u32::BITS - most.unwrap_or(1).leading_zeros(),
            false => 0,
        };
        let half_the_range = 1_u128 << (u64::BITS - 1 - held_bits).min(time_bits);
        let slowest = rates
            .iter()
            .map(|(rate, capacity)| fill_millis(*rate, *capacity));
        let slowest = slowest.max().unwrap_or(0).max(shortest_half_millis);
        let finest = (half_the_range / slowest).max(1);
        let exact = rates
            .iter()
            .try_fold(1, |multiple, (rate, _)| least_common(multiple, rate.count))
            .filter(|multiple| *multiple < finest);
        // A power of two: the largest that is not above.
        let units = exact.unwrap_or(1 << finest.ilog2());
        let fills = rates.iter().map(|(rate, capacity)| {
            let interval =
                (rate.window.as_millis() * units).div_ceil(u128::from(rate.count.max(1)));
            Fill {
                interval: interval.max(1) as u64,
                capacity: u64::from((*capacity).max(1)),
            }
        });
        let fills: Box<[Fill]> = fills.collect();
        let deepest = fills.iter().map(|fill| fill.depth()).max().unwrap_or(0);
        let longest = fills.iter().map(|fill| fill.interval).max().unwrap_or(0);
        let bucket = Self {
            units: units as u64,
            held_bits,
            // A thread may come with a time that it read a while ago.
            deepest: deepest.saturating_add(LATE_MILLIS.saturating_mul(units as u64)),
            longest,
        };
        (bucket, fills)
    }

    /// What the script that counts in Redis needs: interval, capacity, units, the longest interval, and the
    /// deepest debt.
    pub(super) fn arguments(&self, fill: Fill) -> [i64; 5] {
        let numbers = [
            fill.interval,
            fill.capacity,
            self.units,
            self.longest,
            self.deepest,
        ];
        numbers.map(|number| number as i64)
    }

    /// The state of a bucket with this debt, and so many calls held, at that time.
    pub(super) fn packed(&self, debt: u64, held: u64, now: u64) -> u64 {
        let most = !(u64::MAX << self.held_bits);
        self.state(debt, held.min(most), now)
    }

    /// The answer to a call, and the state after it where the call is counted.
    pub(super) fn decide(&self, fill: Fill, state: u64, now: u64) -> (Decision, Option<u64>) {
        let (debt, held) = self.read(state, now);
        if !fill.admits(debt, held) {
            return (self.decision(false, fill, debt, held), None);
        }
        let (debt, held) = match self.held_bits {
            0 => (debt + fill.interval, held),
            _ => (debt, held + 1),
        };
        let decision = self.decision(true, fill, debt, held);
        (decision, Some(self.state(debt, held, now)))
    }

    /// What a call would be told, without counting it.
    pub(super) fn look(&self, fill: Fill, state: u64, now: u64) -> Decision {
        let (debt, held) = self.read(state, now);
        self.decision(fill.admits(debt, held), fill, debt, held)
    }

    /// Takes back a call that was counted at `at`. To the same millisecond this is as if it had never been
    /// counted.
    pub(super) fn give_back(&self, fill: Fill, state: u64, at: u64) -> Option<u64> {
        let (debt, held) = self.read_since(state, at);
        Some(self.state(debt.saturating_sub(fill.interval), held, at))
    }

    /// A call that was held since `at` is over: it never was, or it failed and counts as of its time. None is
    /// held where the key had to leave meanwhile: then it left with that call in its debt.
    pub(super) fn settle(&self, fill: Fill, failed: bool, state: u64, at: u64) -> Option<u64> {
        let (debt, held) = self.read_since(state, at);
        let held = held.checked_sub(1)?;
        Some(match failed {
            true => self.state(debt + fill.interval, held, at),
            false => state - 1,
        })
    }

    /// The debt as of a call that this state has seen. It may be long ago, and others have called since,
    /// so that the debt as of then may be any; that it is one is known.
    fn read_since(&self, state: u64, at: u64) -> (u64, u64) {
        let (_, held) = self.read(state, at);
        let debt = (state >> self.held_bits).wrapping_sub(self.at(at)) & self.time_mask();
        match debt <= self.time_mask() / 2 {
            true => (debt, held),
            false => (0, held),
        }
    }

    fn read(&self, state: u64, now: u64) -> (u64, u64) {
        let held = state & !(u64::MAX << self.held_bits);
        let debt = (state >> self.held_bits).wrapping_sub(self.at(now)) & self.time_mask();
        match debt <= self.deepest {
            true => (debt, held),
            false => (0, held),
        }
    }

    fn state(&self, debt: u64, held: u64, now: u64) -> u64 {
        let full_at = self.at(now).wrapping_add(debt) & self.time_mask();
        full_at << self.held_bits | held
    }

    fn at(&self, now: u64) -> u64 {
        now.wrapping_mul(self.units)
    }

    fn time_mask(&self) -> u64 {
        u64::MAX >> self.held_bits
    }

    fn decision(&self, admitted: bool, fill: Fill, debt: u64, held: u64) -> Decision {
        let all = debt.saturating_add(held.saturating_mul(fill.interval));
        let one_more = all.saturating_add(fill.interval);
        Decision {
            admitted,
            limit: fill.capacity as u32,
            remaining: (fill.depth().saturating_sub(all) / fill.interval) as u32,
            reset_millis: all.div_ceil(self.units),
            retry_after_millis: one_more.saturating_sub(fill.depth()).div_ceil(self.units),
        }
    }
}

impl Fill {
    fn depth(self) -> u64 {
        self.interval.saturating_mul(self.capacity)
    }

    fn admits(self, debt: u64, held: u64) -> bool {
        let all = debt.saturating_add((held + 1).saturating_mul(self.interval));
        all <= self.depth()
    }
}

impl Meter for Bucket {
    type Memory = Debts;

    fn memory(&self, max_keys: u32) -> Debts {
        Debts::new(max_keys)
    }

    fn weight(&self, state: u64, now: u64) -> u64 {
        let (debt, held) = self.read(state, now);
        debt.saturating_add(held.saturating_mul(self.longest))
    }

    fn leave(&self, debts: &Debts, key: Key, state: u64, now: u64) {
        let weight = self.weight(state, now);
        if weight > self.longest {
            debts.remember(key, now + weight.div_ceil(self.units));
        }
    }

    fn enter(&self, debts: &Debts, key: Key, now: u64) -> u64 {
        let millis = debts.recall(key).saturating_sub(now);
        let debt = millis.saturating_mul(self.units).min(self.deepest);
        self.state(debt, 0, now)
    }
}

/// How long an empty bucket takes to be full, in milliseconds; rounded up.
pub(super) fn fill_millis(rate: Rate, capacity: u32) -> u128 {
    (rate.window.as_millis() * u128::from(capacity)).div_ceil(u128::from(rate.count.max(1)))
}

fn least_common(multiple: u128, count: u32) -> Option<u128> {
    let count = u128::from(count.max(1));
    let (mut a, mut b) = (multiple, count);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (multiple / a).checked_mul(count)
}

/// 49 days.
const SHORTEST_HALF_MILLIS: u128 = 1 << 32;

#[cfg(test)]
mod tests;
