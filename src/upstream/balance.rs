//! How one of an upstream's servers is chosen among those that are in. No lock, no allocation.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::config::Balance;
use super::endpoint::Endpoint;
use super::ring::Ring;
use super::standing::FULL;

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
    Hash {
        ring: Ring,
    },
}

/// Endpoints by chance, each as often as its weight says.
#[derive(Debug)]
pub struct Chance {
    /// Sums of the weights up to and with each endpoint.
    sums: Vec<u32>,
}

/// For whom a server is sought.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Monotonic, in milliseconds.
    pub now: u64,
    /// Of the caller; what `hash` goes by.
    pub key: u64,
    /// Servers that this request has failed at.
    pub tried: &'a [SocketAddr],
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
            Balance::LeastRequests => Self::LeastRequests { chance: chance() },
            Balance::Hash => Self::Hash {
                ring: Ring::new(endpoints),
            },
        }
    }

    /// The index of an endpoint that is in and was not tried; `None` where there is none. `random` gives numbers
    /// below its argument.
    pub fn pick(
        &self,
        endpoints: &[Arc<Endpoint>],
        wish: &Wish,
        mut random: impl FnMut(u32) -> u32,
    ) -> Option<usize> {
        self.draw(endpoints, wish, &mut random)
            .or_else(|| search(endpoints, wish, &mut random))
    }

    /// A quick try, which finds a server as a rule.
    fn draw(
        &self,
        endpoints: &[Arc<Endpoint>],
        wish: &Wish,
        random: &mut impl FnMut(u32) -> u32,
    ) -> Option<usize> {
        match self {
            Self::RoundRobin { turn, next } => (0..turn.len().min(LONG_WAY)).find_map(|_| {
                let place = next.fetch_add(1, Ordering::Relaxed) % turn.len().max(1);
                let index = turn.get(place).copied().map(usize::from)?;
                wish.admits(endpoints.get(index)?, random).then_some(index)
            }),
            Self::Random { chance } => chance.draw_fitting(endpoints, wish, random),
            Self::LeastRequests { chance } => {
                let first = chance.draw_fitting(endpoints, wish, random)?;
                let second = chance.draw_other(first, endpoints, wish, random);
                Some(match second {
                    Some(second) if busier(endpoints.get(first), endpoints.get(second)) => second,
                    _ => first,
                })
            }
            // One caller stays at one server: while that is warming up, it is not asked to wait its turn.
            Self::Hash { ring } => ring.find(wish.key, |index| {
                endpoints
                    .get(index)
                    .is_some_and(|endpoint| wish.share(endpoint) > 0)
            }),
        }
    }
}

impl Wish<'_> {
    /// The server's weight now, in thousandths of its own; none where it is out of the question.
    fn share(&self, endpoint: &Endpoint) -> u32 {
        match self.tried.contains(&endpoint.address) {
            true => 0,
            false => endpoint.standing.share(self.now),
        }
    }

    /// Does a server that chance named take the request? One that is warming up does so at times.
    fn admits(&self, endpoint: &Endpoint, random: &mut impl FnMut(u32) -> u32) -> bool {
        let share = self.share(endpoint);
        share == FULL || (share > 0 && random(FULL) < share)
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

    fn draw_fitting(
        &self,
        endpoints: &[Arc<Endpoint>],
        wish: &Wish,
        random: &mut impl FnMut(u32) -> u32,
    ) -> Option<usize> {
        (0..DRAWS).find_map(|_| {
            let index = self.draw(random);
            wish.admits(endpoints.get(index)?, random).then_some(index)
        })
    }

    /// Another one than `first`, or it would be no choice.
    fn draw_other(
        &self,
        first: usize,
        endpoints: &[Arc<Endpoint>],
        wish: &Wish,
        random: &mut impl FnMut(u32) -> u32,
    ) -> Option<usize> {
        let others = endpoints
            .len()
            .checked_sub(1)
            .filter(|others| *others > 0)?;
        (0..DRAWS).find_map(|_| {
            let mut index = self.draw(random);
            if index == first {
                index = (first + 1 + random(others as u32) as usize) % endpoints.len();
            }
            wish.admits(endpoints.get(index)?, random).then_some(index)
        })
    }
}

/// By weight among all that are in: for the case that chance named none of them. Two walks over all servers.
fn search(
    endpoints: &[Arc<Endpoint>],
    wish: &Wish,
    random: &mut impl FnMut(u32) -> u32,
) -> Option<usize> {
    let weight =
        |endpoint: &Arc<Endpoint>| u64::from(endpoint.weight) * u64::from(wish.share(endpoint));
    let total: u64 = endpoints.iter().map(weight).sum();
    if total == 0 {
        return None;
    }
    let mut ticket = u64::from(random(u32::MAX)) * total / u64::from(u32::MAX);
    let mut last = None;
    for (index, endpoint) in endpoints.iter().enumerate() {
        // Between the walks a server may have gone out; `last` is then as good.
        let weight = weight(endpoint);
        if weight == 0 {
            continue;
        }
        if ticket < weight {
            return Some(index);
        }
        ticket -= weight;
        last = Some(index);
    }
    last
}

/// Would one more request load `one` more than `other`, each by its weight?
fn busier(one: Option<&Arc<Endpoint>>, other: Option<&Arc<Endpoint>>) -> bool {
    let (Some(one), Some(other)) = (one, other) else {
        return false;
    };
    let load = |endpoint: &Endpoint| u64::from(endpoint.standing.in_flight()) + 1;
    load(one) * u64::from(other.weight) > load(other) * u64::from(one.weight)
}

/// One turn of smooth weighted round robin: at each step everyone gains its weight, the richest goes and pays the
/// sum. Weights are divided by their common divisor first. A turn of more than `LONGEST_TURN` steps is scaled down
/// to that, which rounds weights.
fn smooth_turn(endpoints: &[Arc<Endpoint>]) -> Vec<u16> {
    let divisor = endpoints
        .iter()
        .fold(0, |divisor, endpoint| gcd(divisor, endpoint.weight))
        .max(1);
    let exact = endpoints
        .iter()
        .map(|endpoint| i64::from(endpoint.weight / divisor));
    let sum: i64 = exact.clone().sum();
    let scaled = |weight: i64| match sum > LONGEST_TURN {
        true => ((weight * LONGEST_TURN + sum / 2) / sum).max(1),
        false => weight,
    };
    let weights: Vec<i64> = exact.map(scaled).collect();
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

pub(super) fn gcd(one: u32, other: u32) -> u32 {
    match other {
        0 => one,
        other => gcd(other, one % other),
    }
}

/// Times that chance may name a server that is out before all are looked at.
const DRAWS: usize = 4;
/// Steps of a turn before all are looked at.
const LONG_WAY: usize = 64;
const LONGEST_TURN: i64 = 10_000;

#[cfg(test)]
mod tests;
