//! The arithmetic against a plain model in big numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn sliding(count: u32, millis: u64) -> Sliding {
    Sliding::new(Rate {
        count,
        window: Duration::from_millis(millis),
    })
}

/// How many calls each window has seen; nothing is ever packed or forgotten.
struct Model {
    count: u128,
    width: u128,
    windows: BTreeMap<u128, u128>,
}

impl Model {
    fn calls(&self, window: Option<u128>) -> u128 {
        window
            .and_then(|window| self.windows.get(&window))
            .map_or(0, |calls| *calls)
    }

    fn used(&self, now: u128) -> u128 {
        let (window, elapsed) = (now / self.width, now % self.width);
        self.calls(Some(window)) * self.width
            + self.calls(window.checked_sub(1)) * (self.width - elapsed)
    }

    fn admits(&self, now: u128) -> bool {
        self.used(now) + self.width <= self.count * self.width
    }
}

/// Steps that dwell inside a window, cross one, and skip many.
fn steps(width: u64) -> impl Strategy<Value = Vec<u64>> {
    let step = prop_oneof![
        8 => Just(0),
        4 => 0..=width / 3 + 1,
        2 => 0..=2 * width + 2,
        1 => 0..=10 * width,
    ];
    prop::collection::vec(step, 1..200)
}

fn trace() -> impl Strategy<Value = (u32, u64, Vec<u64>)> {
    let count = prop_oneof![4 => 1..=6_u32, 2 => 1..=200_u32, 1 => Just(Rate::MAX_COUNT)];
    let width = prop_oneof![2 => 1..=9_u64, 3 => 1..=120_000_u64, 1 => Just(316_224_000_000)];
    (count, width).prop_flat_map(|(count, width)| (Just(count), Just(width), steps(width)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn it_decides_as_the_model_does_and_tells_true_times((count, width, steps) in trace()) {
        let sliding = sliding(count, width);
        let mut model = Model {
            count: count.into(),
            width: width.into(),
            windows: BTreeMap::new(),
        };
        let (mut state, mut now) = (0, 0);
        for step in steps {
            now += step;
            let at = u128::from(now);
            let (decision, next) = sliding.decide(state, now);
            prop_assert_eq!(decision.admitted, model.admits(at));
            if decision.admitted {
                *model.windows.entry(at / u128::from(width)).or_default() += 1;
            }
            prop_assert_eq!(next.is_some(), decision.admitted);
            state = next.unwrap_or(state);

            let left = (u128::from(count) * u128::from(width)).saturating_sub(model.used(at));
            prop_assert_eq!(u128::from(decision.remaining), left / u128::from(width));

            let retry = at + u128::from(decision.retry_after_millis);
            prop_assert!(model.admits(retry));
            prop_assert!(retry == at || !model.admits(retry - 1));

            let reset = at + u128::from(decision.reset_millis);
            prop_assert_eq!(model.used(reset), 0);
            prop_assert!(reset == at || model.used(reset - 1) > 0);
        }
    }
}

#[test]
fn the_21st_call_in_two_minutes_is_refused_with_a_true_time() {
    let limit = sliding(20, 120_000);
    let (mut state, mut now) = (0, 1_000_000);
    for call in 1..=20_u32 {
        now += 100;
        let (decision, next) = limit.decide(state, now);
        assert!(decision.admitted, "{call}");
        assert_eq!(decision.remaining, 20 - call);
        state = next.unwrap();
    }
    let (refusal, next) = limit.decide(state, now);
    assert!(!refusal.admitted);
    assert_eq!((refusal.limit, refusal.remaining, next), (20, 0, None));
    let then = now + refusal.retry_after_millis;
    assert!(!limit.decide(state, then - 1).0.admitted);
    assert!(limit.decide(state, then).0.admitted);
    // 20 calls in one window: one twentieth of the next must pass.
    assert_eq!(then % 120_000, 6_000);
}

#[test]
fn a_thread_that_read_the_clock_late_forgets_nothing() {
    let limit = sliding(2, 1_000);
    let (_, state) = limit.decide(0, 5_000);
    let (decision, _) = limit.decide(state.unwrap(), 4_999);
    assert!(decision.admitted);
    assert_eq!(decision.remaining, 0);
}

#[test]
fn the_windows_number_lasts_for_weeks_at_common_limits() {
    let limit = sliding(65_535, 1);
    let (_, state) = limit.decide(0, 7);
    let weeks = 49 * 86_400_000;
    assert_eq!(limit.tally(state.unwrap(), 7 + weeks).current, 0);
    // The narrowest case errs to the strict side.
    let limit = sliding(Rate::MAX_COUNT, 1);
    let (_, state) = limit.decide(0, 7);
    assert_eq!(limit.tally(state.unwrap(), 7 + (1 << 16)).current, 1);
}
