//! Choices counted: by weight, with servers out, with servers that have just come back.

use super::*;
use crate::upstream::settings::Ejection;
use crate::upstream::standing::Standing;

const ANY: Wish = Wish {
    now: 1_000,
    key: 0,
    tried: &[],
};
const BALANCES: [Balance; 4] = [
    Balance::RoundRobin,
    Balance::LeastRequests,
    Balance::Random,
    Balance::Hash,
];

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, index as u8], 80))
}

fn endpoints(weights: &[u32]) -> Vec<Arc<Endpoint>> {
    let server = |(index, weight): (usize, &u32)| {
        let standing = Arc::new(Standing::default());
        Arc::new(Endpoint::new(address(index), None, *weight, standing))
    };
    weights.iter().enumerate().map(server).collect()
}

fn lottery() -> impl FnMut(u32) -> u32 {
    let mut state = 7u64;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 32) % u64::from(below)) as u32
    }
}

/// How often each server is chosen in 6000 picks, each by another caller.
fn shares_of(balance: Balance, all: &[Arc<Endpoint>]) -> Vec<usize> {
    let balancer = Balancer::new(balance, all);
    let mut random = lottery();
    let mut counts = vec![0; all.len()];
    for number in 0..6_000u64 {
        let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let picked = balancer.pick(all, &Wish { key, ..ANY }, &mut random);
        counts[picked.unwrap()] += 1;
    }
    counts
}

fn shares(balance: Balance, weights: &[u32]) -> Vec<usize> {
    shares_of(balance, &endpoints(weights))
}

#[track_caller]
fn assert_near(counts: &[usize], expected: &[usize], tolerance: f64) {
    for (count, expected) in counts.iter().zip(expected) {
        let off = (*count as f64 - *expected as f64).abs();
        assert!(
            off <= *expected as f64 * tolerance,
            "{counts:?}: {count} for {expected}"
        );
    }
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
fn a_turn_stays_short_whatever_the_weights_are() {
    let weights: Vec<u32> = (0..60).map(|index| 997 - index).collect();
    let turn = smooth_turn(&endpoints(&weights));
    assert!((9_900..=10_100).contains(&turn.len()), "{}", turn.len());
    assert!((0..60).all(|index| turn.contains(&index)));
}

#[test]
fn chance_follows_the_weights_within_five_percent() {
    let counts = shares(Balance::Random, &[1, 2, 3]);
    assert_near(&counts, &[1_000, 2_000, 3_000], 0.05);
}

#[test]
fn equal_servers_get_equal_shares_with_every_balance() {
    for (balance, tolerance) in BALANCES.into_iter().zip([0.0, 0.05, 0.05, 0.2]) {
        assert_near(&shares(balance, &[1; 4]), &[1_500; 4], tolerance);
    }
}

#[test]
fn requests_that_last_divide_by_weight_under_least_requests() {
    let all = endpoints(&[1, 2, 5]);
    let balancer = Balancer::new(Balance::LeastRequests, &all);
    let mut random = lottery();
    for _ in 0..800 {
        let index = balancer.pick(&all, &ANY, &mut random).unwrap();
        all[index].standing.begin();
    }
    let busy: Vec<_> = all
        .iter()
        .map(|endpoint| endpoint.standing.in_flight() as usize)
        .collect();
    assert_near(&busy, &[100, 200, 500], 0.05);
}

#[test]
fn the_less_busy_of_two_is_taken() {
    let all = endpoints(&[1, 1]);
    all[0].standing.begin();
    let balancer = Balancer::new(Balance::LeastRequests, &all);
    let mut random = lottery();
    assert!((0..100).all(|_| balancer.pick(&all, &ANY, &mut random) == Some(1)));
    all[1].standing.begin();
    all[1].standing.begin();
    assert!((0..100).all(|_| balancer.pick(&all, &ANY, &mut random) == Some(0)));
}

#[test]
fn one_server_is_always_taken_and_none_never() {
    for balance in BALANCES {
        assert_eq!(shares(balance, &[3]), [6_000]);
        let none = Balancer::new(balance, &[]);
        assert_eq!(none.pick(&[], &ANY, lottery()), None);
    }
}

#[test]
fn servers_that_are_out_get_nothing_and_the_others_share_by_weight() {
    for (balance, tolerance) in BALANCES.into_iter().zip([0.0, 0.05, 0.05, 0.2]) {
        let all = endpoints(&[2, 1, 1, 1]);
        all[1].standing.drain(true);
        let mut expected = [3_000, 0, 1_500, 1_500];
        if balance == Balance::LeastRequests {
            // Nothing is in flight here, so that of two idle servers the heavier one is always freer.
            expected = shares_of(balance, &all).try_into().unwrap();
            assert_eq!(expected[1], 0);
            assert!(expected[0] > 3_000);
        }
        assert_near(&shares_of(balance, &all), &expected, tolerance);
    }
}

#[test]
fn two_servers_that_are_left_of_many_get_half_each() {
    for balance in [Balance::Random, Balance::LeastRequests] {
        let all = endpoints(&[1; 60]);
        for (index, endpoint) in all.iter().enumerate() {
            endpoint.standing.drain(!matches!(index, 3 | 4));
        }
        let counts = shares_of(balance, &all);
        assert_near(&counts[3..5], &[3_000, 3_000], 0.05);
    }
}

#[test]
fn a_server_that_was_tried_is_not_taken_again_and_when_all_were_none_is() {
    for balance in BALANCES {
        let all = endpoints(&[1, 1, 1]);
        let balancer = Balancer::new(balance, &all);
        let mut random = lottery();
        let tried = [address(0), address(2)];
        let mut pick = |tried| balancer.pick(&all, &Wish { tried, ..ANY }, &mut random);
        assert!((0..100).all(|_| pick(&tried) == Some(1)));
        assert_eq!(pick(&[address(0), address(1), address(2)]), None);
    }
}

#[test]
fn a_server_that_came_back_gets_a_tenth_at_first() {
    let all = endpoints(&[1, 1]);
    let ejection = Ejection {
        failures: 1,
        millis: 1,
        max_ejected: 1.0,
    };
    // It ended at `ANY.now`.
    all[0].standing.eject(ANY.now - 1, &ejection);
    for balance in [Balance::Random, Balance::RoundRobin] {
        // It takes 100 of 1000 tickets, the other all: 1 in 11.
        assert_near(&shares_of(balance, &all), &[545, 5_455], 0.15);
    }
    // Where it is alone it takes them all.
    all[1].standing.drain(true);
    assert_eq!(shares_of(Balance::Random, &all), [6_000, 0]);
}

#[test]
fn one_caller_stays_at_one_server() {
    let all = endpoints(&[1; 5]);
    let balancer = Balancer::new(Balance::Hash, &all);
    let mut random = lottery();
    for key in 0..100 {
        let mut pick = || balancer.pick(&all, &Wish { key, ..ANY }, &mut random);
        let first = pick();
        assert!((0..10).all(|_| pick() == first));
    }
}
