//! Stops asking an upstream while too many of its requests fail, so that it can recover and callers need not wait.
//!
//! ```text
//!            failure_rate of the last ten seconds, of min_requests or more
//!   closed ─────────────────────────────────────────────────────────────────▶ open
//!     ▲                                                                        │ open_for
//!     │ 5 successes                                                            ▼
//!     └──────────────────────────────────────────────────────────────────── probation ──a failure──▶ open
//!                                            (one request at a time)
//! ```
//!
//! One atomic word holds the state, ten more the counts.

use std::sync::atomic::{AtomicU64, Ordering};

use super::settings;

#[derive(Debug)]
pub struct Breaker {
    settings: settings::Breaker,
    state: AtomicU64,
    /// One word a second, by the second's number: the second, requests, failures.
    seconds: [AtomicU64; WINDOW as usize],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Closed,
    /// Monotonic, in milliseconds.
    Open {
        until: u64,
    },
    Probation {
        /// Is a request on its way?
        trying: bool,
        passed: u32,
    },
}

/// How a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Free,
    /// What becomes of it decides: it must be settled or abandoned.
    Trial,
    /// Not at all; to be asked again after so many milliseconds.
    Refused(u64),
}

impl Breaker {
    pub fn new(settings: settings::Breaker) -> Self {
        Self {
            settings,
            state: AtomicU64::new(State::Closed.pack()),
            seconds: Default::default(),
        }
    }

    pub fn state(&self) -> State {
        State::unpack(self.state.load(Ordering::Acquire))
    }

    /// May a request go at `now`?
    pub fn admit(&self, now: u64) -> Admission {
        loop {
            let state = self.state();
            let (next, admission) = state.admit(now);
            if next == state || self.replace(state, next) {
                return admission;
            }
        }
    }

    /// Tells what became of a request. True: it opened the breaker.
    pub fn settle(&self, trial: bool, success: bool, now: u64) -> bool {
        if !trial {
            self.count(now, success);
        }
        loop {
            let state = self.state();
            let tripped = !success && state == State::Closed && self.is_too_much(now);
            let until = now + self.settings.open_millis;
            let next = state.settle(trial, success, tripped, until);
            if next == state {
                return false;
            }
            if self.replace(state, next) {
                let opened = matches!(next, State::Open { .. });
                if opened || next == State::Closed {
                    self.forget();
                }
                return opened;
            }
        }
    }

    /// A trial ended without saying anything of the upstream: another may try.
    pub fn abandon(&self) {
        loop {
            let state = self.state();
            let State::Probation { passed, .. } = state else {
                return;
            };
            let trying = false;
            if self.replace(state, State::Probation { trying, passed }) {
                return;
            }
        }
    }

    fn replace(&self, state: State, next: State) -> bool {
        let (old, new) = (state.pack(), next.pack());
        self.state
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn count(&self, now: u64, success: bool) {
        let second = now / 1_000;
        let Some(cell) = self.seconds.get((second % WINDOW) as usize) else {
            return;
        };
        let counted = |word| {
            let count = Count::unpack(word).of(second);
            Some(count.plus(success).pack())
        };
        // It always brings something, so that it can't fail.
        let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted);
    }

    fn is_too_much(&self, now: u64) -> bool {
        let oldest = (now / 1_000 + 1).saturating_sub(WINDOW);
        let (mut requests, mut failures) = (0, 0);
        for cell in &self.seconds {
            let count = Count::unpack(cell.load(Ordering::Relaxed));
            if count.second >= oldest & Count::SECONDS {
                requests += count.requests;
                failures += count.failures;
            }
        }
        let share = failures as f64 / requests.max(1) as f64;
        requests >= u64::from(self.settings.min_requests) && share >= self.settings.failure_rate
    }

    fn forget(&self) {
        for cell in &self.seconds {
            cell.store(0, Ordering::Relaxed);
        }
    }
}

impl State {
    fn admit(self, now: u64) -> (Self, Admission) {
        match self {
            Self::Closed => (self, Admission::Free),
            Self::Open { until } if now < until => (self, Admission::Refused(until - now)),
            Self::Open { .. } => (Self::TRYING, Admission::Trial),
            Self::Probation { trying: true, .. } => (self, Admission::Refused(AGAIN)),
            Self::Probation { passed, .. } => {
                let trying = true;
                (Self::Probation { trying, passed }, Admission::Trial)
            }
        }
    }

    /// `until` is where it would be open to; `tripped` says that the counts are above what is allowed.
    fn settle(self, trial: bool, success: bool, tripped: bool, until: u64) -> Self {
        match self {
            Self::Closed if tripped => Self::Open { until },
            Self::Probation { .. } if trial && !success => Self::Open { until },
            Self::Probation { passed, .. } if trial && passed + 1 >= PASSED => Self::Closed,
            Self::Probation { passed, .. } if trial => Self::Probation {
                trying: false,
                passed: passed + 1,
            },
            // What began before the state changed says nothing of it.
            _ => self,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::Probation { .. } => "probation",
        }
    }

    /// Two bits of kind; the rest is the time, or one bit and the number.
    fn pack(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open { until } => (until << 2) | 1,
            Self::Probation { trying, passed } => {
                (u64::from(passed) << 3) | (u64::from(trying) << 2) | 2
            }
        }
    }

    fn unpack(word: u64) -> Self {
        match word & 3 {
            0 => Self::Closed,
            1 => Self::Open { until: word >> 2 },
            _ => Self::Probation {
                trying: word & 4 != 0,
                passed: (word >> 3) as u32,
            },
        }
    }

    const TRYING: Self = Self::Probation {
        trying: true,
        passed: 0,
    };
}

/// One second's requests, in one word: 24 bits of the second, 20 of each count.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    second: u64,
    requests: u64,
    failures: u64,
}

impl Count {
    const SECONDS: u64 = (1 << 24) - 1;
    const MOST: u64 = (1 << 20) - 1;

    /// This count, or an empty one where it is of another second.
    fn of(self, second: u64) -> Self {
        let second = second & Self::SECONDS;
        match self.second == second {
            true => self,
            false => Self {
                second,
                ..Self::default()
            },
        }
    }

    fn plus(mut self, success: bool) -> Self {
        // A million a second: beyond that shares stay as they are.
        if self.requests < Self::MOST {
            self.requests += 1;
            self.failures += u64::from(!success);
        }
        self
    }

    fn pack(self) -> u64 {
        (self.second << 40) | (self.requests << 20) | self.failures
    }

    fn unpack(word: u64) -> Self {
        Self {
            second: word >> 40,
            requests: (word >> 20) & Self::MOST,
            failures: word & Self::MOST,
        }
    }
}

/// Seconds that are looked back at.
const WINDOW: u64 = 10;
/// Requests that must go well on probation.
const PASSED: u32 = 5;
/// When to ask again while another request is being tried.
const AGAIN: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(settings::Breaker {
            failure_rate: 0.5,
            min_requests: 4,
            open_millis: 10_000,
        })
    }

    /// So many requests at `now`, of which so many fail; the failures come last.
    fn run(breaker: &Breaker, now: u64, requests: u32, failures: u32) -> bool {
        (0..requests).fold(false, |opened, number| {
            assert_eq!(breaker.admit(now), Admission::Free);
            breaker.settle(false, number < requests - failures, now) || opened
        })
    }

    #[test]
    fn half_of_four_failures_open_it_and_less_or_fewer_do_not() {
        let quiet = breaker();
        assert!(!run(&quiet, 0, 3, 3), "three are too few to tell");
        let mild = breaker();
        assert!(!run(&mild, 0, 100, 49));
        assert!(run(&mild, 0, 2, 2));
        assert_eq!(mild.state(), State::Open { until: 10_000 });
    }

    #[test]
    fn what_is_more_than_ten_seconds_ago_is_forgotten() {
        let breaker = breaker();
        assert!(!run(&breaker, 500, 3, 3));
        assert!(!run(&breaker, 10_500, 1, 1), "the first three are too old");
        assert!(!run(&breaker, 10_600, 2, 2));
        assert!(run(&breaker, 19_999, 1, 1), "nine seconds are not");
    }

    #[test]
    fn open_it_refuses_everything_and_says_how_long() {
        let breaker = breaker();
        run(&breaker, 0, 4, 4);
        assert_eq!(breaker.admit(0), Admission::Refused(10_000));
        assert_eq!(breaker.admit(9_999), Admission::Refused(1));
    }

    #[test]
    fn on_probation_one_at_a_time_is_tried_and_five_successes_close_it() {
        let breaker = breaker();
        run(&breaker, 0, 4, 4);
        for passed in 0..5 {
            assert_eq!(breaker.state().word(), ["open", "probation"][passed.min(1)]);
            assert_eq!(breaker.admit(10_000), Admission::Trial);
            assert_eq!(breaker.admit(10_000), Admission::Refused(1_000));
            assert!(!breaker.settle(true, true, 10_000));
        }
        assert_eq!(breaker.state(), State::Closed);
        assert!(!run(&breaker, 10_001, 3, 3), "it begins with a clean slate");
    }

    #[test]
    fn one_failure_on_probation_opens_it_again() {
        let breaker = breaker();
        run(&breaker, 0, 4, 4);
        breaker.admit(10_000);
        breaker.settle(true, true, 10_000);
        breaker.admit(10_001);
        assert!(breaker.settle(true, false, 10_050));
        assert_eq!(breaker.state(), State::Open { until: 20_050 });
    }

    #[test]
    fn a_trial_whose_client_went_away_leaves_its_place_to_another() {
        let breaker = breaker();
        run(&breaker, 0, 4, 4);
        assert_eq!(breaker.admit(10_000), Admission::Trial);
        breaker.abandon();
        assert_eq!(breaker.admit(10_000), Admission::Trial);
    }

    #[test]
    fn what_began_before_it_opened_changes_nothing() {
        let breaker = breaker();
        run(&breaker, 0, 4, 4);
        assert!(!breaker.settle(false, false, 5_000));
        assert!(!breaker.settle(false, true, 5_000));
        assert_eq!(breaker.state(), State::Open { until: 10_000 });
        assert_eq!(breaker.admit(10_000), Admission::Trial);
        breaker.settle(false, false, 10_000);
        assert_eq!(breaker.state(), State::TRYING);
    }

    #[test]
    fn every_state_survives_its_word() {
        for state in [
            State::Closed,
            State::Open { until: 1 << 40 },
            State::TRYING,
            State::Probation {
                trying: false,
                passed: 4,
            },
        ] {
            assert_eq!(State::unpack(state.pack()), state);
        }
    }
}
