//! The arithmetic against a plain model in big numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn sliding(count: u32, millis: u64) -> Sliding {
    Sliding::new(count, Duration::from_millis(millis))
}

impl Sliding {
    /// Decides by the largest count that the state serves.
    fn most(&self, state: u64, now: u64) -> (Decision, Option<u64>) {
        let ((decision, _), next) = self.decide(self.most, state, now);
        (decision, next)
    }
}

/// How many calls each window has seen; nothing is ever packed or forgotten.
struct Model {
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

    fn admits(&self, count: u128, now: u128) -> bool {
        self.used(now) + self.width <= count * self.width
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

    /// Roles come and go, and calls are taken back long after they were counted.
    #[test]
    fn it_decides_as_the_model_does_and_tells_true_times(
        (most, width, steps) in trace(),
        lots in prop::collection::vec((0..4_u32, any::<prop::sample::Index>(), any::<bool>()), 200),
    ) {
        let sliding = sliding(most, width);
        let mut model = Model { width: width.into(), windows: BTreeMap::new() };
        let (mut state, mut now) = (0, 0);
        let mut receipts = Vec::new();
        for (step, (role, which, gives_back)) in steps.into_iter().zip(lots) {
            now += step;
            let at = u128::from(now);
            let count = (most >> role).max(1);
            let ((decision, receipt), next) = sliding.decide(count.into(), state, now);
            prop_assert_eq!(decision.admitted, model.admits(count.into(), at));
            prop_assert_eq!(next.is_some(), decision.admitted);
            prop_assert_eq!(receipt.is_some(), decision.admitted);
            if let Some(receipt) = receipt {
                let window = at / u128::from(width);
                *model.windows.entry(window).or_default() += 1;
                receipts.push((window, receipt));
            }
            state = next.unwrap_or(state);

            let left = (u128::from(count) * u128::from(width)).saturating_sub(model.used(at));
            prop_assert_eq!(u128::from(decision.remaining), left / u128::from(width));

            let admits = |at| model.admits(count.into(), at);
            let retry = at + u128::from(decision.retry_after_millis);
            prop_assert!(admits(retry));
            prop_assert!(retry == at || !admits(retry - 1));

            let reset = at + u128::from(decision.reset_millis);
            prop_assert_eq!(model.used(reset), 0);
            prop_assert!(reset == at || model.used(reset - 1) > 0);

            if gives_back && !receipts.is_empty() {
                let (window, receipt) = receipts.swap_remove(which.index(receipts.len()));
                *model.windows.entry(window).or_default() -= 1;
                state = sliding.give_back(receipt, state).unwrap_or(state);
            }
            let look = sliding.look(count.into(), state, now);
            prop_assert_eq!(look.admitted, model.admits(count.into(), at));
        }
    }

    /// The bound of the page: in a span of length d at most N × (1 + d / T).
    #[test]
    fn no_span_admits_more_than_is_said((count, width, steps) in trace()) {
        let sliding = sliding(count, width);
        let (mut state, mut now) = (0, 0);
        let mut admitted: Vec<u64> = Vec::new();
        for step in steps {
            now += step;
            let (decision, next) = sliding.most(state, now);
            state = next.unwrap_or(state);
            if decision.admitted {
                admitted.push(now);
            }
        }
        for (first, begin) in admitted.iter().enumerate() {
            for (last, end) in admitted.iter().enumerate().skip(first) {
                let calls = (last - first + 1) as u128 * u128::from(width);
                let most = u128::from(count) * u128::from(width + end - begin);
                prop_assert!(calls <= most, "{} calls from {begin} to {end}", last - first + 1);
            }
        }
    }
}

#[test]
fn a_call_counted_elsewhere_counts_here_up_to_the_largest_quota() {
    let limit = sliding(2, 1_000);
    let (first, state) = limit.charge(0, 5_000);
    let (second, state) = limit.charge(state.unwrap(), 5_000);
    assert!(first.is_some() && second.is_some());
    assert_eq!(limit.charge(state.unwrap(), 5_000), (None, None));
    assert!(!limit.most(state.unwrap(), 5_000).0.admitted);
    let state = limit.give_back(second.unwrap(), state.unwrap()).unwrap();
    assert!(limit.most(state, 5_000).0.admitted);
}

#[test]
fn the_21st_call_in_two_minutes_is_refused_with_a_true_time() {
    let limit = sliding(20, 120_000);
    let (mut state, mut now) = (0, 1_000_000);
    for call in 1..=20_u32 {
        now += 100;
        let (decision, next) = limit.most(state, now);
        assert!(decision.admitted, "{call}");
        assert_eq!(decision.remaining, 20 - call);
        state = next.unwrap();
    }
    let (refusal, next) = limit.most(state, now);
    assert!(!refusal.admitted);
    assert_eq!((refusal.limit, refusal.remaining, next), (20, 0, None));
    let then = now + refusal.retry_after_millis;
    assert!(!limit.most(state, then - 1).0.admitted);
    assert!(limit.most(state, then).0.admitted);
    // 20 calls in one window: one twentieth of the next must pass.
    assert_eq!(then % 120_000, 6_000);
}

#[test]
fn a_thread_that_read_the_clock_late_forgets_nothing() {
    let limit = sliding(2, 1_000);
    let (_, state) = limit.most(0, 5_000);
    let (decision, _) = limit.most(state.unwrap(), 4_999);
    assert!(decision.admitted);
    assert_eq!(decision.remaining, 0);
}

#[test]
fn the_windows_number_lasts_for_weeks_at_common_limits() {
    let limit = sliding(65_535, 1);
    let (_, state) = limit.most(0, 7);
    let weeks = 49 * 86_400_000;
    assert_eq!(limit.tally(state.unwrap(), 7 + weeks).current, 0);
    // The narrowest case errs to the strict side.
    let limit = sliding(Rate::MAX_COUNT, 1);
    let (_, state) = limit.most(0, 7);
    assert_eq!(limit.tally(state.unwrap(), 7 + (1 << 16)).current, 1);
}
