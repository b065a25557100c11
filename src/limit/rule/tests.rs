//! A limit from its words to its answers: what is counted, for whom, and what is taken back.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use http::HeaderMap;

use super::super::key::{Caller, User};
use super::*;
use crate::base::decode::Decode;
use crate::base::report::Report;
use crate::base::yaml;

fn limit(source: &str) -> Arc<Limit> {
    let mut report = Report::default();
    let config = config::Limit::decode(&yaml::read(source).unwrap(), &mut report).unwrap();
    assert!(!report.has_errors(), "{report:?}");
    Arc::new(Limit::new("sample".into(), &config).unwrap())
}

/// A caller of that name, with roles.
#[derive(Default)]
struct Person(&'static str, &'static [&'static str]);

impl Caller for Person {
    fn user(&self) -> User<'_> {
        User {
            id: self.0,
            issuer: "airside",
        }
    }

    fn api_key(&self) -> Option<&str> {
        None
    }

    fn has_role(&self, role: &str) -> bool {
        self.1.contains(&role)
    }

    fn hash_claim(&self, _: &str, mut hasher: &mut dyn Hasher) -> bool {
        self.0.hash(&mut hasher);
        true
    }
}

fn outcome(limit: &Arc<Limit>, client: &str, caller: Option<&Person>, now: u64) -> Outcome {
    let parts = Parts {
        client: client.parse().unwrap(),
        route: 0,
        headers: &HeaderMap::new(),
        caller: caller.map(|caller| caller as &dyn Caller),
    };
    limit.decide(&parts, now)
}

#[track_caller]
fn call(limit: &Arc<Limit>, caller: Option<&Person>, now: u64) -> Counted {
    match outcome(limit, "192.0.2.1", caller, now) {
        Outcome::Decided(counted) => counted,
        outcome => panic!("{outcome:?}"),
    }
}

fn admits(limit: &Arc<Limit>, client: &str, caller: Option<&Person>) -> bool {
    matches!(outcome(limit, client, caller, 1_000), Outcome::Decided(counted) if counted.decision.admitted)
}

/// How many calls in a row are admitted at that time.
fn admitted(limit: &Arc<Limit>, caller: Option<&Person>, now: u64) -> usize {
    (0..10_000)
        .take_while(|_| call(limit, caller, now).decision.admitted)
        .count()
}

const ANN: Person = Person("ann", &[]);
const GOLD_ANN: Person = Person("ann", &["gold"]);

#[test]
fn each_client_has_its_own_20_calls_in_two_minutes() {
    let limit = limit("rate: 20/2m");
    assert_eq!(admitted(&limit, None, 1_000), 20);
    let refusal = call(&limit, None, 1_000);
    assert!(refusal.refuses());
    assert!(admits(&limit, "192.0.2.2", None));
    let then = 1_000 + refusal.decision.retry_after_millis;
    assert!(!call(&limit, None, then - 1).decision.admitted);
    assert!(call(&limit, None, then).decision.admitted);
}

#[test]
fn calls_without_a_user_share_one_count_unless_told_otherwise() {
    let shared = limit("{ rate: 1/1m, by: user }");
    assert!(shared.needs_principal());
    assert!(admits(&shared, "192.0.2.1", None));
    assert!(!admits(&shared, "192.0.2.2", None));
    assert!(admits(&shared, "192.0.2.1", Some(&ANN)));

    let denied = limit("{ rate: 1/1m, by: user, on_missing: deny }");
    assert!(matches!(
        outcome(&denied, "192.0.2.1", None, 0),
        Outcome::Denied
    ));
    assert!(admits(&denied, "192.0.2.1", Some(&ANN)));

    let skipped = limit("{ rate: 1/1m, by: [ip, user], on_missing: skip }");
    assert!(matches!(
        outcome(&skipped, "192.0.2.1", None, 0),
        Outcome::Skipped
    ));

    // A header or an API key may be missing just as well.
    let denied = limit("{ rate: 1/1m, by: 'header:x-tenant', on_missing: deny }");
    assert!(!denied.needs_principal());
    assert!(matches!(
        outcome(&denied, "192.0.2.1", None, 0),
        Outcome::Denied
    ));
    let skipped = limit("{ rate: 1/1m, by: api_key, on_missing: skip }");
    assert!(matches!(
        outcome(&skipped, "192.0.2.1", Some(&ANN), 0),
        Outcome::Skipped
    ));
}

#[test]
fn a_global_limit_counts_all_calls_together() {
    let limit = limit("{ rate: 1/1m, by: global }");
    assert!(!limit.needs_principal());
    assert!(admits(&limit, "192.0.2.1", None));
    assert!(!admits(&limit, "192.0.2.2", Some(&ANN)));
}

#[test]
fn a_role_raises_a_limit_and_the_highest_of_several_counts() {
    let source = "{ rate: 2/1m, by: user, per_role: { gold: 5/1m, pilot: 9/1m } }";
    let by_user = limit(source);
    assert_eq!(admitted(&by_user, Some(&ANN), 0), 2);
    let both = Person("bob", &["gold", "pilot"]);
    assert_eq!(admitted(&by_user, Some(&both), 0), 9);
    let one = call(&by_user, Some(&Person("eve", &["gold", "other"])), 0);
    assert_eq!((one.decision.limit, one.decision.remaining), (5, 4));
    // Whose role matters is known after authentication, also where the key is not.
    assert!(limit("{ rate: 2/1m, per_role: { gold: 5/1m } }").needs_principal());
}

#[test]
fn who_gains_or_loses_a_role_keeps_their_calls() {
    let by_user = limit("{ rate: 3/1m, by: user, per_role: { gold: 5/1m } }");
    assert_eq!(admitted(&by_user, Some(&ANN), 0), 3);
    assert_eq!(admitted(&by_user, Some(&GOLD_ANN), 0), 2);
    let without = call(&by_user, Some(&ANN), 0);
    assert_eq!((without.refuses(), without.decision.remaining), (true, 0));
}

#[test]
fn windows_of_another_length_count_the_same_calls() {
    let by_user = limit("{ rate: 3/1h, by: user, per_role: { gold: 5/1m } }");
    assert_eq!(admitted(&by_user, Some(&GOLD_ANN), 0), 5);
    assert_eq!(admitted(&by_user, Some(&ANN), 0), 0);
    // Two minutes later the role's window is empty, and everyone's is full.
    assert_eq!(admitted(&by_user, Some(&ANN), 120_000), 0);
    assert_eq!(admitted(&by_user, Some(&GOLD_ANN), 120_000), 5);
    // A call that is taken back is taken back everywhere.
    let by_user = limit("{ rate: 3/1h, by: user, per_role: { gold: 5/1m } }");
    call(&by_user, Some(&GOLD_ANN), 0).give_back();
    assert_eq!(admitted(&by_user, Some(&ANN), 0), 3);
}

#[test]
fn a_bucket_grows_with_the_role() {
    let by_user = limit(
        "{ rate: 60/1m, burst: 10, algorithm: token_bucket, by: user, per_role: { gold: 120/1m } }",
    );
    assert_eq!(admitted(&by_user, Some(&ANN), 0), 10);
    let bob = Person("bob", &["gold"]);
    assert_eq!(admitted(&by_user, Some(&bob), 0), 20);
    assert_eq!(admitted(&by_user, Some(&bob), 500), 1);
    // Left out, the burst is the rate's count.
    let plain = limit("{ rate: 7/1m, algorithm: token_bucket }");
    assert_eq!(admitted(&plain, None, 0), 7);
}

const WAYS_TO_COUNT: [&str; 2] = [
    "{ rate: 5/1m, count: failures }",
    "{ rate: 5/1m, count: failures, algorithm: token_bucket }",
];

#[test]
fn fifty_wrong_tries_at_the_same_time_let_five_through() {
    for source in WAYS_TO_COUNT {
        let limit = limit(source);
        let mut calls: Vec<_> = (0..50).map(|_| call(&limit, None, 0)).collect();
        let passed = calls.iter().filter(|call| !call.refuses()).count();
        assert_eq!(passed, 5, "{source}");
        calls
            .iter_mut()
            .for_each(|call| call.settle(true, Duration::default));
        assert_eq!(admitted(&limit, None, 0), 0, "{source}");
    }
}

#[test]
fn successes_are_taken_back_exactly() {
    for source in WAYS_TO_COUNT {
        let limit = limit(source);
        for now in 0..1_000 {
            let mut one = call(&limit, None, now * 7);
            assert_eq!(
                (one.refuses(), one.decision.remaining),
                (false, 4),
                "{source}"
            );
            one.settle(false, Duration::default);
            assert_eq!(one.decision.remaining, 5, "{source}");
        }
        let now = 7_000;
        let mut calls: Vec<_> = (0..5).map(|_| call(&limit, None, now)).collect();
        assert!(call(&limit, None, now).refuses());
        for (number, call) in calls.iter_mut().enumerate() {
            call.settle(number < 3, Duration::default);
        }
        drop(calls);
        let left: Vec<_> = (0..3).map(|_| call(&limit, None, now)).collect();
        assert_eq!(
            left.iter().filter(|call| !call.refuses()).count(),
            2,
            "{source}"
        );
    }
}

#[test]
fn who_hangs_up_has_tried() {
    for source in WAYS_TO_COUNT {
        let limit = limit(source);
        (0..5).for_each(|_| drop(call(&limit, None, 0)));
        assert!(call(&limit, None, 0).refuses(), "{source}");
    }
}

#[test]
fn a_place_comes_back_however_the_call_ends() {
    let limit = limit("{ concurrent: 1 }");
    let mut one = call(&limit, None, 0);
    assert!(call(&limit, None, 0).refuses());
    one.leave();
    let two = call(&limit, None, 0);
    assert!(!two.refuses());
    drop(one);
    assert!(
        call(&limit, None, 0).refuses(),
        "the first call's end came twice"
    );
    drop(two);
    let mut three = call(&limit, None, 0);
    three.give_back();
    let in_a_panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _held = call(&limit, None, 0);
        panic!("the request ends in a panic");
    }));
    assert!(in_a_panic.is_err());
    assert!(!call(&limit, None, 0).refuses());
}

#[test]
fn a_limit_that_watches_counts_and_never_refuses() {
    let watching = limit("{ rate: 2/1m, mode: shadow }");
    let calls: Vec<_> = (0..4).map(|_| call(&watching, None, 0)).collect();
    let would: Vec<_> = calls.iter().map(|call| call.decision.admitted).collect();
    assert_eq!(would, [true, true, false, false]);
    assert!(
        calls
            .iter()
            .all(|call| !call.refuses() && call.names().is_none())
    );
    let lacking = limit("{ rate: 2/1m, by: user, on_missing: deny, mode: shadow }");
    let one = call(&lacking, None, 0);
    assert!(!one.refuses() && !one.decision.admitted);
}

#[test]
fn threads_that_take_calls_back_leave_exactly_the_failures() {
    for source in [
        "{ rate: 1000/1m, count: failures }",
        "{ rate: 1000/1m, count: failures, algorithm: token_bucket }",
    ] {
        let limit = limit(source);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let limit = &limit;
                scope.spawn(move || {
                    for round in 0..200 {
                        call(limit, None, 0).settle((thread + round) % 2 == 0, Duration::default);
                    }
                });
            }
        });
        assert_eq!(admitted(&limit, None, 0), 200, "{source}");
    }
}

#[test]
fn what_is_left_is_told_as_of_the_answer() {
    for source in WAYS_TO_COUNT {
        let limit = limit(source);
        let mut slow = call(&limit, None, 0);
        let failures = (0..3).map(|_| call(&limit, None, 600_000));
        failures.for_each(|mut call| call.settle(true, Duration::default));
        slow.settle(false, || Duration::from_secs(600));
        assert_eq!(slow.decision.remaining, 2, "{source}");
    }
}
