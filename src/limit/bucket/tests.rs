//! The arithmetic against a plain model, and against the bound that a token bucket promises.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn rate(count: u32, millis: u64) -> Rate {
    Rate {
        count,
        window: Duration::from_millis(millis),
    }
}

fn bucket(count: u32, millis: u64, capacity: u32) -> (Bucket, Fill) {
    let (bucket, fills) = Bucket::new(&[(rate(count, millis), capacity)], false);
    (bucket, fills[0])
}

/// A bucket in words: tokens that come back one by one, kept as fractions of which `width` are one.
struct Model {
    count: u128,
    width: u128,
    capacity: u128,
    tokens: u128,
    filled_at: u128,
}

impl Model {
    fn new(count: u32, width: u64, capacity: u32) -> Self {
        let (width, capacity) = (u128::from(width), u128::from(capacity));
        Self {
            count: count.into(),
            width,
            capacity,
            tokens: capacity * width,
            filled_at: 0,
        }
    }

    fn tokens(&self, now: u128) -> u128 {
        let filled = self.tokens + (now - self.filled_at) * self.count;
        filled.min(self.capacity * self.width)
    }

    fn admits(&self, now: u128) -> bool {
        self.tokens(now) >= self.width
    }

    fn take(&mut self, now: u128) {
        self.tokens = self.tokens(now) - self.width;
        self.filled_at = now;
    }
}

fn trace() -> impl Strategy<Value = (u32, u64, u32, Vec<u64>)> {
    let count = prop_oneof![4 => 1..=6_u32, 2 => 1..=997_u32, 1 => Just(Rate::MAX_COUNT)];
    let width = prop_oneof![2 => 1..=9_u64, 3 => 1..=120_000_u64];
    let capacity = prop_oneof![4 => 1..=5_u32, 2 => 1..=300_u32];
    (count, width, capacity).prop_flat_map(|(count, width, capacity)| {
        let each = width / u64::from(count);
        let step = prop_oneof![
            6 => Just(0),
            4 => 0..=each + 1,
            2 => 0..=3 * each + 3,
            1 => 0..=10 * width,
        ];
        let steps = prop::collection::vec(step, 1..200);
        (Just(count), Just(width), Just(capacity), steps)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn it_decides_as_the_model_does_and_tells_true_times((count, width, capacity, steps) in trace()) {
        let (bucket, fill) = bucket(count, width, capacity);
        let mut model = Model::new(count, width, capacity);
        let (mut state, mut now) = (0, 0);
        for step in steps {
            now += step;
            let at = u128::from(now);
            let looked = bucket.look(fill, state, now);
            let (decision, next) = bucket.decide(fill, state, now);
            prop_assert_eq!(decision.admitted, model.admits(at));
            prop_assert_eq!(looked.admitted, decision.admitted);
            if decision.admitted {
                model.take(at);
            }
            prop_assert_eq!(next.is_some(), decision.admitted);
            state = next.unwrap_or(state);

            prop_assert_eq!(u128::from(decision.remaining), model.tokens(at) / model.width);
            let retry = at + u128::from(decision.retry_after_millis);
            prop_assert!(model.admits(retry));
            prop_assert!(retry == at || !model.admits(retry - 1));
            let reset = at + u128::from(decision.reset_millis);
            let full = model.capacity * model.width;
            prop_assert_eq!(model.tokens(reset), full);
            prop_assert!(reset == at || model.tokens(reset - 1) < full);
        }
    }

    /// In a span of length d at most burst + N × d / T, whatever comes.
    #[test]
    fn no_span_admits_more_than_the_burst_and_what_flows_in((count, width, capacity, steps) in trace()) {
        let (bucket, fill) = bucket(count, width, capacity);
        let (mut state, mut now) = (0, 0);
        let mut admitted: Vec<u64> = Vec::new();
        for step in steps {
            now += step;
            let (decision, next) = bucket.decide(fill, state, now);
            state = next.unwrap_or(state);
            if decision.admitted {
                admitted.push(now);
            }
        }
        for (first, begin) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let calls = (last - first + 1) as u128 * u128::from(width);
                let most = u128::from(capacity) * u128::from(width)
                    + u128::from(count) * u128::from(end - begin);
                prop_assert!(calls <= most, "{} calls from {begin} to {end}", last - first + 1);
            }
        }
    }

    /// Where failures count: calls end in any order, some failed and some not. The places that are left
    /// are those of a bucket that only ever saw the failures, less what is in flight.
    #[test]
    fn successes_leave_no_trace(
        count in 1..=6_u32,
        capacity in 1..=6_u32,
        lots in prop::collection::vec(0..3_u8, 1..200),
    ) {
        let one = rate(count, 60_000);
        let (bucket, fills) = Bucket::new(&[(one, capacity)], true);
        let (only_failures, plain) = self::bucket(count, 60_000, capacity);
        let (mut state, mut failures, now) = (0, 0, 7_000_000);
        let mut in_flight = 0_u32;
        for lot in lots {
            match lot {
                0 => {
                    let (decision, next) = bucket.decide(fills[0], state, now);
                    let left = only_failures.look(plain, failures, now).remaining;
                    prop_assert_eq!(decision.admitted, left > in_flight);
                    in_flight += u32::from(decision.admitted);
                    state = next.unwrap_or(state);
                }
                ends if in_flight > 0 => {
                    in_flight -= 1;
                    let failed = ends == 1;
                    state = bucket.settle(fills[0], failed, state, now).unwrap();
                    if failed {
                        let (decision, next) = only_failures.decide(plain, failures, now);
                        prop_assert!(decision.admitted);
                        failures = next.unwrap();
                    }
                }
                _ => {}
            }
            let left = only_failures.look(plain, failures, now).remaining;
            let looked = bucket.look(fills[0], state, now);
            prop_assert_eq!(looked.remaining + in_flight, left);
        }
    }

    /// Time passes, and calls take as long as they like: of those that began in a span of length d, at most
    /// burst + N × d / T fail. And once all that failed has worn off, nothing is left of any.
    #[test]
    fn no_span_begins_more_failures_than_the_bound(
        (count, width, capacity, steps) in trace(),
        lots in prop::collection::vec((0..4_u8, any::<prop::sample::Index>()), 200),
    ) {
        let (bucket, fills) = Bucket::new(&[(rate(count, width), capacity)], true);
        let (mut state, mut now) = (0, 1_000_000);
        let (mut in_flight, mut failed) = (Vec::new(), Vec::new());
        for (step, (lot, which)) in steps.into_iter().zip(lots) {
            now += step;
            if lot < 2 {
                let (decision, next) = bucket.decide(fills[0], state, now);
                state = next.unwrap_or(state);
                if decision.admitted {
                    in_flight.push(now);
                }
                prop_assert!(in_flight.len() <= capacity as usize);
            } else if !in_flight.is_empty() {
                let began = in_flight.swap_remove(which.index(in_flight.len()));
                state = bucket.settle(fills[0], lot == 2, state, began).unwrap();
                if lot == 2 {
                    failed.push(began);
                }
            }
        }
        failed.sort_unstable();
        for (first, begin) in failed.iter().enumerate() {
            for (last, end) in failed.iter().enumerate().skip(first) {
                let calls = (last - first + 1) as u128 * u128::from(width);
                let most = u128::from(capacity) * u128::from(width)
                    + u128::from(count) * u128::from(end - begin);
                prop_assert!(calls <= most, "{} calls from {begin} to {end}", last - first + 1);
            }
        }
        for began in in_flight {
            state = bucket.settle(fills[0], false, state, began).unwrap();
        }
        let reset = bucket.look(fills[0], state, now).reset_millis;
        prop_assert_eq!(bucket.look(fills[0], state, now + reset).remaining, capacity);
    }
}

#[test]
fn a_slow_call_that_fails_erases_nothing_that_came_after_it() {
    let (bucket, fills) = Bucket::new(&[(rate(5, 60_000), 5)], true);
    let begin = |state, now| bucket.decide(fills[0], state, now).1.unwrap();
    let mut state = begin(0, 1_000);
    for _ in 0..4 {
        state = begin(state, 900_000);
        state = bucket.settle(fills[0], true, state, 900_000).unwrap();
    }
    assert_eq!(bucket.look(fills[0], state, 900_000).remaining, 0);
    state = bucket.settle(fills[0], true, state, 1_000).unwrap();
    assert_eq!(bucket.look(fills[0], state, 900_000).remaining, 0);
    // The same for a call that is taken back late.
    let (plain, fill) = self::bucket(5, 60_000, 5);
    let mut state = plain.decide(fill, 0, 1_000).1.unwrap();
    for _ in 0..5 {
        state = plain.decide(fill, state, 900_000).1.unwrap();
    }
    let back = plain.give_back(fill, state, 1_000).unwrap();
    assert_eq!(plain.look(fill, back, 900_000).remaining, 1);
}

#[test]
fn a_burst_of_100_passes_at_once_and_then_50_a_second() {
    let (bucket, fill) = bucket(50, 1_000, 100);
    let mut state = 0;
    let now = 1_000_000;
    for call in 1..=100_u32 {
        let (decision, next) = bucket.decide(fill, state, now);
        assert!(decision.admitted, "{call}");
        assert_eq!((decision.limit, decision.remaining), (100, 100 - call));
        state = next.unwrap();
    }
    let (refusal, next) = bucket.decide(fill, state, now);
    assert_eq!((refusal.admitted, next), (false, None));
    assert_eq!(refusal.retry_after_millis, 20);
    assert_eq!(refusal.reset_millis, 2_000);
    let admitted = |millis| bucket.decide(fill, state, now + millis).0.admitted;
    assert!(!admitted(19) && admitted(20));
}

#[test]
fn a_call_taken_back_in_the_same_millisecond_was_never_there() {
    let (bucket, fill) = bucket(3, 1_000, 5);
    let (_, state) = bucket.decide(fill, 0, 500);
    let (before, _) = bucket.decide(fill, state.unwrap(), 700);
    let (_, more) = bucket.decide(fill, state.unwrap(), 700);
    let back = bucket.give_back(fill, more.unwrap(), 700).unwrap();
    assert_eq!(bucket.decide(fill, back, 700).0, before);
    // Never more than full.
    let full = bucket.give_back(fill, state.unwrap(), 60_000).unwrap();
    assert_eq!(bucket.look(fill, full, 60_000).remaining, 5);
}

#[test]
fn the_share_that_is_used_stays_when_the_role_changes() {
    let (base, gold) = (rate(60, 60_000), rate(600, 60_000));
    let (bucket, fills) = Bucket::new(&[(gold, 100), (base, 10)], false);
    let (mut state, now) = (0, 1_000);
    for _ in 0..50 {
        state = bucket.decide(fills[0], state, now).1.unwrap();
    }
    assert_eq!(bucket.look(fills[0], state, now).remaining, 50);
    assert_eq!(bucket.look(fills[1], state, now).remaining, 5);
    for _ in 0..5 {
        state = bucket.decide(fills[1], state, now).1.unwrap();
    }
    assert!(!bucket.look(fills[1], state, now).admitted);
    assert!(!bucket.look(fills[0], state, now).admitted);
}

#[test]
fn rates_without_a_fine_common_unit_err_to_the_strict_side_by_less_than_a_unit() {
    let rates = [
        (rate(16_777_213, 86_400_000), 1_000),
        (rate(16_777_199, 1_000), 500),
    ];
    for holds in [false, true] {
        let (bucket, fills) = Bucket::new(&rates, holds);
        assert!(bucket.units.is_power_of_two(), "{}", bucket.units);
        for ((rate, capacity), fill) in rates.iter().zip(&fills) {
            let exact = rate.window.as_millis() * u128::from(bucket.units);
            let rounded = u128::from(fill.interval) * u128::from(rate.count);
            assert!((exact..exact + u128::from(rate.count)).contains(&rounded));
            let at_once = (0..).scan(0, |state, _| {
                *state = bucket.decide(*fill, *state, 5).1?;
                Some(())
            });
            assert_eq!(at_once.count(), *capacity as usize);
        }
    }
}

#[test]
fn a_key_that_paused_for_years_finds_a_full_bucket() {
    let (bucket, fill) = bucket(Rate::MAX_COUNT, 1_000, Rate::MAX_COUNT);
    let state = bucket.decide(fill, 0, 5).1.unwrap();
    for years in [1_u64, 5, 20] {
        let then = 5 + years * 366 * 86_400_000;
        assert_eq!(bucket.look(fill, state, then).remaining, Rate::MAX_COUNT);
    }
}

#[test]
fn a_thread_that_read_the_clock_late_forgets_nothing() {
    let (bucket, fill) = bucket(3, 30_000, 3);
    let state = bucket.decide(fill, 0, 5_000).1.unwrap();
    let state = bucket.decide(fill, state, 4_999).1.unwrap();
    assert_eq!(bucket.look(fill, state, 5_000).remaining, 1);
}
