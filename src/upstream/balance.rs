//! How one of an upstream's servers is chosen. No lock, no allocation.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::config::Balance;
use super::endpoint::Endpoint;

/// A choice between endpoints; what it needs is computed once.
#[derive(Debug)]
pub enum Balancer {
    /// The order of one full turn, smooth: `a a b` with weights 2 and 1 becomes `a b a`.
    RoundRobin {
        turn: Vec<u16>,
        next: AtomicUsize,
    },
    /// Two by chance and weight; of these the one with fewer requests for its weight.
    LeastRequests {
        chance: Chance,
    },
    Random {
        chance: Chance,
    },
}

/// Endpoints by chance, each as often as its weight says.
#[derive(Debug)]
pub struct Chance {
    /// Sums of the weights up to and with each endpoint.
    sums: Vec<u32>,
}

impl Balancer {
    pub fn new(balance: Balance, endpoints: &[Arc<Endpoint>]) -> Self {
        let chance = || Chance::new(endpoints);
        match balance {
            Balance::RoundRobin => Self::RoundRobin {
                turn: smooth_turn(endpoints),
                next: AtomicUsize::new(0),
            },
            Balance::Random => Self::Random { chance: chance() },
            // `hash` is refused before a plan is made.
            Balance::LeastRequests | Balance::Hash => Self::LeastRequests { chance: chance() },
        }
    }

    /// The index of an endpoint. `random` gives numbers below its argument.
    pub fn pick(&self, endpoints: &[Arc<Endpoint>], mut random: impl FnMut(u32) -> u32) -> usize {
        match self {
            Self::RoundRobin { turn, next } => {
                let place = next.fetch_add(1, Ordering::Relaxed) % turn.len().max(1);
                turn.get(place).map_or(0, |index| usize::from(*index))
            }
            Self::Random { chance } => chance.draw(&mut random),
            Self::LeastRequests { chance } => {
                let first = chance.draw(&mut random);
                if endpoints.len() < 2 {
                    return first;
                }
                let mut second = chance.draw(&mut random);
                if second == first {
                    // Two different ones, or it would be no choice.
                    second =
                        (first + 1 + random(endpoints.len() as u32 - 1) as usize) % endpoints.len();
                }
                match busier(endpoints.get(first), endpoints.get(second)) {
                    true => second,
                    false => first,
                }
            }
        }
    }
}

impl Chance {
    fn new(endpoints: &[Arc<Endpoint>]) -> Self {
        let mut sum = 0;
        let sums = endpoints.iter().map(|endpoint| {
            sum += endpoint.weight;
            sum
        });
        Self {
            sums: sums.collect(),
        }
    }

    fn draw(&self, random: &mut impl FnMut(u32) -> u32) -> usize {
        let total = self.sums.last().copied().unwrap_or(1);
        let ticket = random(total);
        self.sums.partition_point(|sum| *sum <= ticket)
    }
}

/// Would one more request load `one` more than `other`, each by its weight?
fn busier(one: Option<&Arc<Endpoint>>, other: Option<&Arc<Endpoint>>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    let load = |endpoint: &Endpoint| u64::from(endpoint.in_flight()) + 1;
    load(one) * u64::from(other.weight) > load(other) * u64::from(one.weight)
}

/// One turn of smooth weighted round robin: at each step everyone gains its weight, the richest goes and
/// pays the sum. Weights are divided by their common divisor first; at most 1000 × servers steps.
fn smooth_turn(endpoints: &[Arc<Endpoint>]) -> Vec<u16> {
    let divisor = endpoints
        .iter()
        .fold(0, |divisor, endpoint| gcd(divisor, endpoint.weight))
        .max(1);
    let weights: Vec<i64> = endpoints
        .iter()
        .map(|endpoint| i64::from(endpoint.weight / divisor))
        .collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0; weights.len()];
    (0..total)
        .filter_map(|_| {
            credit
                .iter_mut()
                .zip(&weights)
                .for_each(|(credit, weight)| *credit += weight);
            let (index, richest) = credit
                .iter_mut()
                .enumerate()
                .rev()
                .max_by_key(|(_, credit)| **credit)?;
            *richest -= total;
            u16::try_from(index).ok()
        })
        .collect()
}

fn gcd(one: u32, other: u32) -> u32 {
    match other {
        0 => one,
        other => gcd(other, one % other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(weights: &[u32]) -> Vec<Arc<Endpoint>> {
        let address = "127.0.0.1:1".parse().unwrap();
        weights
            .iter()
            .map(|weight| Arc::new(Endpoint::new(address, *weight)))
            .collect()
    }

    fn lottery() -> impl FnMut(u32) -> u32 {
        let mut state = 7u64;
        move |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % u64::from(below)) as u32
        }
    }

    fn shares(balance: Balance, weights: &[u32]) -> Vec<usize> {
        let all = endpoints(weights);
        let balancer = Balancer::new(balance, &all);
        let mut random = lottery();
        let mut counts = vec![0; weights.len()];
        for _ in 0..6_000 {
            counts[balancer.pick(&all, &mut random)] += 1;
        }
        counts
    }

    #[test]
    fn round_robin_is_exact_and_smooth() {
        assert_eq!(
            shares(Balance::RoundRobin, &[1, 2, 3]),
            [1_000, 2_000, 3_000]
        );
        let all = endpoints(&[5, 1, 1]);
        assert_eq!(smooth_turn(&all), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn chance_follows_the_weights_within_five_percent() {
        for (share, expected) in shares(Balance::Random, &[1, 2, 3])
            .iter()
            .zip([1_000, 2_000, 3_000])
        {
            assert!(share.abs_diff(expected) < 300, "{share} for {expected}");
        }
    }

    #[test]
    fn the_less_busy_of_two_is_taken() {
        let all = endpoints(&[1, 1]);
        all[0].begin();
        let balancer = Balancer::new(Balance::LeastRequests, &all);
        let mut random = lottery();
        assert!((0..100).all(|_| balancer.pick(&all, &mut random) == 1));
        all[1].begin();
        all[1].begin();
        assert!((0..100).all(|_| balancer.pick(&all, &mut random) == 0));
    }

    #[test]
    fn one_server_is_always_taken() {
        for balance in [Balance::RoundRobin, Balance::LeastRequests, Balance::Random] {
            assert_eq!(shares(balance, &[3]), [6_000]);
        }
    }
}
