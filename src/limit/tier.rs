//! What each role may do: `per_role` compiled to tiers, the highest rate first.

use super::bucket;
use super::config;
use super::headers::Names;
use super::key::Caller;
use crate::base::units::Rate;

/// A rate, and who has it.
#[derive(Debug)]
pub(super) struct Tier {
    /// `None`: everyone.
    role: Option<Box<str>>,
    rate: Option<Rate>,
    names: Names,
}

/// Tiers, and what each of them allows.
pub(super) type Tiers<Q> = (Box<[Tier]>, Vec<Q>);

impl Tier {
    pub(super) fn everyone(names: Names) -> Self {
        Self {
            role: None,
            rate: None,
            names,
        }
    }

    /// `None`: it counts calls at the same time.
    pub(super) fn rate(&self) -> Option<Rate> {
        self.rate
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }
}

/// The tier of a caller: the highest that a role of theirs opens, or else the last.
pub(super) fn of(tiers: &[Tier], caller: Option<&dyn Caller>) -> usize {
    let open = |tier: &Tier| match (&tier.role, caller) {
        (None, _) => true,
        (Some(role), Some(caller)) => caller.has_role(role),
        (Some(_), None) => false,
    };
    tiers.iter().position(open).unwrap_or(0)
}

/// The tier of this number, which `of` gave.
#[expect(
    clippy::indexing_slicing,
    reason = "`of` gives a tier's index, and the last tier is everyone's"
)]
pub(super) fn at(tiers: &[Tier], number: usize) -> &Tier {
    &tiers[number]
}

/// Tiers and rates for `sliding_window`.
pub(super) fn windows(name: &str, config: &config::Limit) -> Option<Tiers<Rate>> {
    let sorted = sorted(config)?;
    let tiers = sorted.iter().map(|(role, rate)| Tier {
        role: role.map(Into::into),
        rate: Some(*rate),
        names: Names::in_window(name, rate.count, rate.window.as_millis()),
    });
    Some((
        tiers.collect(),
        sorted.iter().map(|(_, rate)| *rate).collect(),
    ))
}

/// Tiers and rates for `token_bucket`, with what the bucket holds: `burst`, or else the rate's count; and
/// for a role as much more as its rate is higher, so that all buckets fill in the same time. What is told
/// of them is that: so many calls in the time that fills them.
pub(super) fn buckets(name: &str, config: &config::Limit) -> Option<Tiers<(Rate, u32)>> {
    let base = config.rate?;
    let burst = config.burst.map_or(base.count, |burst| burst.0);
    let rates = sorted(config)?.into_iter().map(|(role, rate)| {
        let capacity = match role {
            Some(_) => scaled(burst, base, rate),
            None => burst,
        };
        let tier = Tier {
            role: role.map(Into::into),
            rate: Some(rate),
            names: Names::in_window(name, capacity, bucket::fill_millis(rate, capacity)),
        };
        (tier, (rate, capacity))
    });
    let (tiers, rates): (Vec<_>, Vec<_>) = rates.unzip();
    Some((tiers.into(), rates))
}

/// Is the first rate higher? Rates of different windows are compared by calls in the same time.
pub(super) fn is_higher(one: Rate, other: Rate) -> bool {
    per_time(one, other) > per_time(other, one)
}

/// Roles and their rates, the highest first; the last is everyone's.
fn sorted(config: &config::Limit) -> Option<Vec<(Option<&str>, Rate)>> {
    let base = config.rate?;
    let roles = config.per_role.iter();
    let mut sorted: Vec<_> = roles
        .filter(|(_, rate)| is_higher(**rate, base))
        .map(|(role, rate)| (Some(role.value.as_str()), *rate))
        .collect();
    sorted.sort_by(|(_, one), (_, other)| per_time(*other, *one).cmp(&per_time(*one, *other)));
    sorted.push((None, base));
    Some(sorted)
}

fn scaled(burst: u32, base: Rate, rate: Rate) -> u32 {
    let capacity = u128::from(burst) * per_time(rate, base) / per_time(base, rate).max(1);
    capacity.min(u128::from(Rate::MAX_COUNT)) as u32
}

/// Calls of `rate` in its own and the other's window together.
fn per_time(rate: Rate, other: Rate) -> u128 {
    u128::from(rate.count) * other.window.as_millis()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rate(count: u32, seconds: u64) -> Rate {
        let window = Duration::from_secs(seconds);
        Rate { count, window }
    }

    #[test]
    fn rates_are_compared_by_calls_in_the_same_time() {
        assert!(is_higher(rate(1_000, 60), rate(20, 120)));
        assert!(is_higher(rate(11, 120), rate(5, 60)));
        assert!(!is_higher(rate(10, 120), rate(5, 60)));
        assert!(!is_higher(rate(100, 3_600), rate(2, 60)));
    }

    #[test]
    fn a_higher_rate_has_a_larger_bucket_that_fills_in_the_same_time() {
        assert_eq!(scaled(100, rate(50, 1), rate(500, 1)), 1_000);
        assert_eq!(scaled(10, rate(600, 60), rate(12_000, 600)), 20);
        assert_eq!(
            scaled(u32::MAX, rate(1, 3_600), rate(1 << 23, 1)),
            Rate::MAX_COUNT
        );
    }
}
