//! `token_bucket`: a burst at once, then a steady flow.

use super::*;

#[test]
fn a_burst_passes_at_once_and_then_one_call_each_interval() {
    let (airside, origin) = start(
        "{ bursty: { rate: 2/1m, burst: 5, algorithm: token_bucket } }",
        "  - { path: /*, upstream: origin, limits: [bursty] }",
    );
    let one = "203.0.113.1";
    for left in (0..5).rev() {
        let answer = call(&airside, "/", one);
        // Five calls, which are filled up in two and a half minutes.
        assert_eq!(answer.header("ratelimit-policy"), "\"bursty\";q=5;w=150");
        let (remaining, reset) = state(&answer, "bursty");
        assert_eq!((answer.status, remaining), (200, left));
        let until_full = (5 - left) * 30;
        assert!((until_full - 5..=until_full).contains(&reset), "{reset}");
    }
    let refused = call(&airside, "/", one);
    assert_refused(&refused, 429, "rate_limited");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((20..=30).contains(&wait), "{wait}");
    assert_eq!(state(&refused, "bursty"), (0, wait));
    assert_admits(&airside, "/", "203.0.113.2", 5);
    assert_eq!(origin.count(), 10);
}

#[test]
fn who_waits_for_one_interval_is_admitted_once() {
    let (airside, _origin) = start(
        "{ bursty: { rate: 1/1s, burst: 3, algorithm: token_bucket } }",
        "  - { path: /*, upstream: origin, limits: [bursty] }",
    );
    let mut raw = airside.raw();
    let begun = Instant::now();
    let mut passed = 0;
    while raw.exchange(get("/")).status == 200 {
        passed += 1;
    }
    assert!(
        passed >= 3 && passed <= 3 + begun.elapsed().as_secs(),
        "{passed}"
    );
    let refused = raw.exchange(get("/"));
    assert_eq!(refused.header("retry-after"), "1");
    let again = until(Duration::from_secs(1), || {
        (raw.exchange(get("/")).status == 200).then_some(())
    });
    assert!(again.is_some());
}
