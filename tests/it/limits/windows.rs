//! Sliding windows: what a refusal says, and when calls pass again.

use super::*;

#[test]
fn twenty_calls_in_two_minutes_pass_and_the_next_is_told_when_to_come_back() {
    let (airside, origin) = start(
        "{ per_client: { rate: 20/2m, by: ip } }",
        "  - { path: /flights/*, upstream: origin, limits: [per_client] }\n  - { path: /free, upstream: origin }",
    );
    let mut raw = airside.raw();
    for number in 1..=20 {
        let answer = raw.exchange(get("/flights/7"));
        assert_eq!(answer.status, 200, "call {number}");
        assert_eq!(
            answer.header("ratelimit-policy"),
            "\"per_client\";q=20;w=120"
        );
        let (remaining, reset) = state(&answer, "per_client");
        assert_eq!(remaining, 20 - number);
        assert!((1..=240).contains(&reset), "{reset}");
        assert_eq!(answer.head.header("retry-after"), None);
    }
    for _ in 0..3 {
        let answer = raw.exchange(get("/flights/7"));
        let body = assert_refused(&answer, 429, "rate_limited");
        assert_eq!(body["title"], "Too many requests");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        assert!((1..=240).contains(&wait), "{wait}");
        assert_eq!(
            answer.header("ratelimit-policy"),
            "\"per_client\";q=20;w=120"
        );
        assert_eq!(state(&answer, "per_client"), (0, wait));
    }
    assert_eq!(origin.count(), 20);
    let free = raw.exchange(get("/free"));
    assert_eq!((free.status, free.head.header("ratelimit")), (200, None));
    assert_eq!(free.head.header("ratelimit-policy"), None);
}

#[test]
fn who_waits_as_told_is_admitted_and_trying_meanwhile_does_not_prolong_it() {
    let (airside, origin) = start(
        "{ short: { rate: 3/1s } }",
        "  - { path: /*, upstream: origin, limits: [short] }",
    );
    let mut raw = airside.raw();
    let mut last = raw.exchange(get("/"));
    // A new window may begin between two calls, so that a fourth or fifth still passes.
    for _ in 0..20 {
        if last.status == 429 {
            break;
        }
        last = raw.exchange(get("/"));
    }
    assert_refused(&last, 429, "rate_limited");
    let wait: u64 = last.header("retry-after").parse().unwrap();
    assert!((1..=2).contains(&wait), "{wait}");
    let begun = Instant::now();
    // Knocking all the time: a refused call does not count.
    let admitted = until(Duration::from_secs(wait), || {
        (raw.exchange(get("/")).status == 200).then(|| begun.elapsed())
    });
    assert!(admitted.is_some(), "still refused after {wait} s");
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.target == "/")
    );
}
