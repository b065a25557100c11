//! An upstream with servers that fail, come back, are drained, and are defined anew, on a clock of the test's own.

use super::*;
use crate::upstream::config::Balance;
use crate::upstream::settings::{self, Ejection, Retry};
use crate::upstream::standing::Out;

fn address(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, index as u8], 80))
}

fn three() -> Settings {
    let mut settings = Settings::single(address(0));
    settings.servers = (0..3)
        .map(|index| (Address::Socket(address(index)), 1))
        .collect();
    settings.balance = Balance::RoundRobin;
    settings.ejection = Some(Ejection {
        failures: 2,
        millis: 30_000,
        max_ejected: 0.5,
    });
    settings
}

fn cluster(settings: Settings) -> Arc<Cluster> {
    Arc::new(Cluster::new("test", 1, settings, None))
}

fn lease(cluster: &Arc<Cluster>, now: u64, tried: &[SocketAddr]) -> Result<Lease, NoLease> {
    let wish = Wish { now, key: 0, tried };
    cluster.lease(&wish, |below| below / 2)
}

fn settle(cluster: &Arc<Cluster>, success: bool, now: u64) {
    let mut lease = lease(cluster, now, &[]).unwrap();
    lease.settle(cluster, success, now);
}

fn out(cluster: &Cluster, now: u64) -> Vec<Option<Out>> {
    let members = cluster.members();
    let endpoints = members.endpoints.iter();
    endpoints
        .map(|endpoint| endpoint.standing.out(now))
        .collect()
}

fn fail_at(cluster: &Arc<Cluster>, index: usize, times: usize, now: u64) {
    let endpoint = cluster.members().endpoints[index].clone();
    for _ in 0..times {
        Lease::new(endpoint.clone(), None).settle(cluster, false, now);
    }
}

#[test]
fn a_server_is_ejected_after_failures_in_a_row_and_returns_after_its_time() {
    let cluster = cluster(three());
    fail_at(&cluster, 1, 2, 1_000);
    assert_eq!(out(&cluster, 1_000), [None, Some(Out::Ejected), None]);
    let mut seen: Vec<_> = (0..12)
        .map(|_| lease(&cluster, 2_000, &[]).unwrap().endpoint.address)
        .collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen, [address(0), address(2)]);
    assert_eq!(out(&cluster, 31_000), [None, None, None]);
}

#[test]
fn never_more_than_the_ceiling_are_ejected_at_once() {
    let cluster = cluster(three());
    for index in 0..3 {
        fail_at(&cluster, index, 10, 1_000);
    }
    // Half of three is one.
    assert_eq!(out(&cluster, 1_000), [Some(Out::Ejected), None, None]);
    // Once that one is back, another may go.
    fail_at(&cluster, 1, 1, 40_000);
    assert_eq!(out(&cluster, 40_000), [None, Some(Out::Ejected), None]);
    let mut settings = three();
    settings.ejection.as_mut().unwrap().max_ejected = 2.0 / 3.0;
    let cluster = self::cluster(settings);
    for index in 0..3 {
        fail_at(&cluster, index, 2, 1_000);
    }
    assert_eq!(
        out(&cluster, 1_000),
        [Some(Out::Ejected), Some(Out::Ejected), None]
    );
}

#[test]
fn a_retry_goes_to_another_server_and_to_the_same_one_where_there_is_no_other() {
    let cluster = cluster(three());
    for _ in 0..6 {
        let tried = [address(0), address(1)];
        let lease = lease(&cluster, 1, &tried).unwrap();
        assert_eq!(lease.endpoint.address, address(2));
    }
    cluster.drain(&Address::Socket(address(2)), true);
    let tried = [address(0), address(1)];
    assert!(lease(&cluster, 1, &tried).is_ok());
}

#[test]
fn where_all_are_out_there_is_no_server_and_it_says_when_to_ask_again() {
    let mut settings = three();
    settings.ejection.as_mut().unwrap().max_ejected = 1.0;
    let cluster = cluster(settings);
    assert_eq!(cluster.retry_after(1_000), 1);
    for index in 0..3 {
        fail_at(&cluster, index, 2, 1_000 + index as u64 * 1_000);
    }
    let refused = lease(&cluster, 4_000, &[]).map(|lease| lease.endpoint.address);
    assert_eq!(refused, Err(NoLease::NoServer));
    // The first of them returns at 31 s.
    assert_eq!(cluster.retry_after(4_000), 27);
    assert_eq!(cluster.retry_after(30_900), 1);
}

#[test]
fn in_flight_requests_are_bounded_and_free_their_places() {
    let mut settings = three();
    settings.max_requests = Some(2);
    let cluster = cluster(settings);
    let (first, _second) = (cluster.enter().unwrap(), cluster.enter().unwrap());
    assert!(cluster.enter().is_none());
    assert_eq!(cluster.in_flight(), 2, "the refused one counts no longer");
    drop(first);
    assert!(cluster.enter().is_some());
}

#[test]
fn the_breaker_opens_for_the_whole_upstream_and_a_dropped_trial_frees_its_place() {
    let mut settings = three();
    settings.breaker = Some(settings::Breaker {
        failure_rate: 0.5,
        min_requests: 4,
        open_millis: 10_000,
    });
    let cluster = cluster(settings);
    for _ in 0..4 {
        settle(&cluster, false, 1_000);
    }
    let refused = lease(&cluster, 2_000, &[]).map(drop);
    assert_eq!(refused, Err(NoLease::BreakerOpen(9_000)));
    let trial = lease(&cluster, 11_000, &[]).unwrap();
    assert_eq!(
        lease(&cluster, 11_000, &[]).map(drop),
        Err(NoLease::BreakerOpen(1_000))
    );
    drop(trial);
    for _ in 0..5 {
        settle(&cluster, true, 11_000);
    }
    assert_eq!(cluster.breaker(), Some(State::Closed));
}

#[test]
fn a_trial_without_a_server_frees_its_place() {
    let mut settings = three();
    settings.breaker = Some(settings::Breaker {
        failure_rate: 0.5,
        min_requests: 1,
        open_millis: 1_000,
    });
    let cluster = cluster(settings);
    settle(&cluster, false, 1_000);
    for index in 0..3 {
        cluster.drain(&Address::Socket(address(index)), true);
    }
    for _ in 0..2 {
        let refused = lease(&cluster, 5_000, &[]).map(drop);
        assert_eq!(refused, Err(NoLease::NoServer));
    }
}

#[test]
fn draining_is_by_address_and_tells_what_it_found() {
    let cluster = cluster(three());
    let server = Address::Socket(address(1));
    assert_eq!(cluster.drain(&server, true), [address(1)]);
    assert_eq!(out(&cluster, 1), [None, Some(Out::Drained), None]);
    assert_eq!(cluster.drain(&server, false), [address(1)]);
    assert_eq!(out(&cluster, 1), [None, None, None]);
    assert_eq!(cluster.drain(&Address::Socket(address(9)), true), []);
}

#[test]
fn a_new_definition_takes_over_what_is_known_of_its_servers() {
    let mut settings = three();
    settings.retry = Some(Retry {
        attempts: 2,
        on: Vec::new(),
        budget: 0.2,
    });
    let old = cluster(settings.clone());
    old.drain(&Address::Socket(address(0)), true);
    fail_at(&old, 1, 2, 1_000);
    let held = lease(&old, 1_000, &[]).unwrap();
    assert!((0..10).all(|_| old.may_retry()));

    settings.servers.push((Address::Socket(address(3)), 1));
    let new = Arc::new(Cluster::new("test", 1, settings.clone(), Some(&old)));
    assert_eq!(
        out(&new, 1_000),
        [Some(Out::Drained), Some(Out::Ejected), None, None]
    );
    assert_eq!(new.members().endpoints[2].standing.in_flight(), 1);
    drop(held);
    assert_eq!(new.members().endpoints[2].standing.in_flight(), 0);
    assert!(!new.may_retry(), "the budget is the same one");

    settings.ejection = None;
    let newer = Cluster::new("test", 1, settings, Some(&new));
    newer.take_over();
    assert_eq!(out(&newer, 1_000), [Some(Out::Drained), None, None, None]);
}

#[test]
fn new_addresses_of_a_name_leave_what_is_known_of_the_others() {
    let mut settings = three();
    settings.servers = vec![(Address::Name("a.test".to_owned(), 80), 1)];
    let cluster = cluster(settings);
    assert!(cluster.is_pending());
    assert_eq!(lease(&cluster, 1, &[]).map(drop), Err(NoLease::NoServer));
    let answer = |last: &[usize]| {
        let addresses = last.iter().map(|last| address(*last).ip());
        Resolved::from([("a.test".to_owned(), addresses.collect())])
    };
    assert!(cluster.resolve(answer(&[1, 2])));
    assert!(!cluster.is_pending());
    assert!(!cluster.resolve(answer(&[1, 2])), "nothing new");
    let name = Address::Name("a.test".to_owned(), 80);
    assert_eq!(cluster.drain(&name, true), [address(1), address(2)]);
    assert!(cluster.resolve(answer(&[2, 3])));
    assert_eq!(out(&cluster, 1), [Some(Out::Drained), None]);
}
