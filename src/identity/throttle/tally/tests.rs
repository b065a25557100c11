//! When the next attempt may be made.

use super::*;

const NOW: u64 = 1_800_000_000_000;
const RULES: Rules = Rules {
    account_failures: 5,
    account_max_delay: 900_000,
    ip_per_minute: 3,
};

/// A tally after so many failures of an account, all at one moment.
fn failed(times: u32) -> Tally {
    let mut tally = Tally::default();
    for _ in 0..times {
        tally.pending += 1;
        tally.settle_account(Outcome::Failed, RULES.kept_for(), NOW);
    }
    tally
}

/// How long an account with so many failures waits.
fn wait(times: u32) -> u64 {
    match failed(times).grant_account(&RULES, NOW) {
        Verdict::Go => 0,
        Verdict::Wait(millis) => millis,
        Verdict::Pending => panic!("nothing is pending"),
    }
}

#[test]
fn rule_16_an_accounts_delay_doubles_up_to_the_longest() {
    let waits: Vec<_> = (0..18).map(wait).collect();
    let seconds = [
        0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900,
    ];
    assert_eq!(waits, seconds.map(|seconds| seconds * 1_000));
    assert_eq!(wait(u32::MAX >> 12), 900_000);
}

#[test]
fn rule_16_no_more_attempts_are_under_way_than_may_fail() {
    let mut tally = failed(2);
    for _ in 0..3 {
        assert_eq!(tally.grant_account(&RULES, NOW), Verdict::Go);
    }
    assert_eq!(tally.grant_account(&RULES, NOW), Verdict::Pending);
    // Beyond the free ones it is one at a time.
    let mut tally = failed(5);
    assert_eq!(tally.grant_account(&RULES, NOW + 999), Verdict::Wait(1));
    assert_eq!(tally.grant_account(&RULES, NOW + 1_000), Verdict::Go);
    assert_eq!(tally.grant_account(&RULES, NOW + 1_000), Verdict::Pending);
    tally.settle_account(Outcome::Failed, RULES.kept_for(), NOW + 1_000);
    let next = tally.grant_account(&RULES, NOW + 1_000);
    assert_eq!(next, Verdict::Wait(2_000));
}

#[test]
fn a_success_wipes_out_failures_and_what_was_not_made_counts_for_nothing() {
    let mut tally = failed(4);
    assert_eq!(tally.grant_account(&RULES, NOW), Verdict::Go);
    tally.settle_account(Outcome::NotMade, RULES.kept_for(), NOW);
    assert_eq!((tally.failures, tally.pending), (4, 0));
    assert_eq!(tally.grant_account(&RULES, NOW), Verdict::Go);
    tally.settle_account(Outcome::Succeeded, RULES.kept_for(), NOW);
    assert_eq!(tally.unless_nothing(), None);
}

#[test]
fn rule_16_an_address_has_so_many_failures_a_minute() {
    let mut tally = Tally::default();
    for _ in 0..3 {
        assert_eq!(tally.grant_address(&RULES, NOW), Verdict::Go);
        tally.settle_address(Outcome::Succeeded);
    }
    for _ in 0..3 {
        assert_eq!(tally.grant_address(&RULES, NOW), Verdict::Go);
    }
    // How these end is not known yet.
    let soon = tally.grant_address(&RULES, NOW + 10);
    assert_eq!(soon, Verdict::Wait(1_000));
    for _ in 0..3 {
        tally.settle_address(Outcome::Failed);
    }
    let later = tally.grant_address(&RULES, NOW + 10_000);
    assert_eq!(later, Verdict::Wait(50_000));
    assert_eq!(tally.grant_address(&RULES, NOW + 60_000), Verdict::Go);
}

#[test]
fn an_attempt_that_nobody_settles_counts_as_failed_after_a_while() {
    let mut tally = failed(4);
    assert_eq!(tally.grant_account(&RULES, NOW), Verdict::Go);
    let before = tally.as_of(NOW + LOST - 1).unwrap();
    assert_eq!((before.failures, before.pending), (4, 1));
    let after = tally.as_of(NOW + LOST).unwrap();
    assert_eq!((after.failures, after.pending), (5, 0));
}

#[test]
fn failures_are_forgotten_when_waiting_for_it_gains_nothing() {
    let tally = failed(40);
    let kept = RULES.kept_for().0;
    assert!(tally.as_of(NOW + kept - 1).is_some());
    assert_eq!(tally.as_of(NOW + kept), None);
    // Whoever waits for it has this many attempts at once, and then at the delays up to the longest.
    let (mut attempts, mut time) = (0, kept);
    while wait(attempts) < RULES.account_max_delay {
        time += wait(attempts);
        attempts += 1;
    }
    assert!(u64::from(attempts) * RULES.account_max_delay <= time);
}

#[test]
fn a_clock_that_was_put_back_locks_nobody_out() {
    let tally = failed(40).as_of(NOW - 86_400_000).unwrap();
    assert_eq!((tally.failures, tally.pending), (0, 0));
    // Gateways' clocks that differ a little are no such thing.
    assert_eq!(failed(40).as_of(NOW - 1_000).unwrap().failures, 40);
}
