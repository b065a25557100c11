//! How long ago something is that may be forgotten, on a clock that may be put: a step forward may be taken back, and
//! what was forgotten meanwhile would be missed.

use std::sync::{Mutex, PoisonError};

/// Which times are past for good.
#[derive(Debug, Default)]
pub struct Past(Mutex<Option<Believed>>);

/// By how many milliseconds the wall clock is ahead of the one that nobody puts.
#[derive(Debug, Clone, Copy)]
struct Believed {
    ahead: i64,
    /// A larger lead, and since when there is one on the clock that nobody puts.
    claimed: Option<(i64, u64)>,
}

impl Past {
    /// The time that lies `life` back, in unix milliseconds: `wall` is the time of the clock that may be put, `steady`
    /// that of one that nobody puts. A step forward is believed once it has been there for a whole life.
    pub fn before(&self, wall: u64, steady: u64, life: u64) -> u64 {
        let ahead = signed(wall).saturating_sub(signed(steady));
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Believed {
            ahead,
            claimed: None,
        };
        let believed = match *state {
            Some(before) if ahead > before.ahead.saturating_add(DRIFT_MILLIS) => {
                let since = before.claimed.map_or(steady, |(_, since)| since);
                match steady.saturating_sub(since) >= life {
                    true => now,
                    false => Believed {
                        claimed: Some((ahead, since)),
                        ..before
                    },
                }
            }
            // On time, or put back: what is remembered for longer does no harm.
            _ => now,
        };
        *state = Some(believed);
        let time = signed(steady).saturating_add(believed.ahead);
        u64::try_from(time).unwrap_or_default().saturating_sub(life)
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

/// What a clock that is kept on time moves by.
const DRIFT_MILLIS: i64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_18_a_step_forward_makes_nothing_old_before_it_has_held_for_a_life() {
        let past = Past::default();
        assert_eq!(past.before(1_000_000, 0, 60_000), 940_000);
        assert_eq!(past.before(1_004_000, 2_000, 60_000), 944_000);
        // A day forward, and twenty seconds later back again.
        let day = 86_400_000;
        assert_eq!(past.before(day + 1_004_000, 2_000, 60_000), 944_000);
        assert_eq!(past.before(day + 1_024_000, 22_000, 60_000), 964_000);
        assert_eq!(past.before(1_025_000, 23_000, 60_000), 965_000);
        // Forward for good.
        assert_eq!(past.before(day + 1_025_000, 23_000, 60_000), 965_000);
        assert_eq!(past.before(day + 1_084_000, 82_000, 60_000), 1_024_000);
        assert_eq!(
            past.before(day + 1_085_000, 83_000, 60_000),
            day + 1_025_000
        );
    }

    #[test]
    fn rule_18_a_step_back_makes_less_old() {
        let past = Past::default();
        assert_eq!(past.before(10_000_000, 5, 1_000), 9_999_000);
        assert_eq!(past.before(6_400_000, 6, 1_000), 6_399_000);
        assert_eq!(past.before(6_400_000, 6, 7_000_000), 0);
    }
}
