//! Several limits on one route: who is told what, and who counts.

use super::*;

#[test]
fn several_limits_are_all_told_and_the_first_that_is_full_refuses() {
    let (airside, origin) = start(
        "{ wide: { rate: 5/1h }, narrow: { rate: 2/1m } }",
        "  - { path: /x, upstream: origin, limits: [wide, narrow] }\n  - { path: /wide, upstream: origin, limits: [wide] }",
    );
    let one = "203.0.113.1";
    let first = call(&airside, "/x", one);
    assert_eq!(
        first.header("ratelimit-policy"),
        "\"wide\";q=5;w=3600, \"narrow\";q=2;w=60"
    );
    let states: Vec<_> = first.header("ratelimit").split(", ").collect();
    assert_eq!(states.len(), 2);
    assert!(states[0].starts_with("\"wide\";r=4;t="), "{states:?}");
    assert!(states[1].starts_with("\"narrow\";r=1;t="), "{states:?}");
    assert_eq!(call(&airside, "/x", one).status, 200);
    let refused = call(&airside, "/x", one);
    assert_refused(&refused, 429, "rate_limited");
    // By `narrow`: it says when, not `wide`.
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=120).contains(&wait), "{wait}");
    assert!(
        refused
            .header("ratelimit")
            .contains(&format!("\"narrow\";r=0;t={wait}"))
    );
    assert_eq!(origin.count(), 2);
}

#[test]
fn a_call_that_one_limit_refuses_counts_in_none() {
    let (airside, origin) = start(
        "{ wide: { rate: 10/1h }, narrow: { rate: 2/1h }, bucket: { rate: 9/1h, algorithm: token_bucket }, places: { concurrent: 3 } }",
        r#"
  - { path: /x, upstream: origin, limits: [wide, bucket, places, narrow] }
  - { path: /wide, upstream: origin, limits: [wide] }
  - { path: /bucket, upstream: origin, limits: [bucket] }
"#,
    );
    let one = "203.0.113.1";
    assert_admits(&airside, "/x", one, 2);
    for _ in 0..20 {
        let refused = call(&airside, "/x", one);
        assert_refused(&refused, 429, "rate_limited");
        // What the next call would find.
        let states: Vec<_> = refused.header("ratelimit").split(", ").collect();
        assert!(states[0].starts_with("\"wide\";r=8;t="), "{states:?}");
        assert!(states[1].starts_with("\"bucket\";r=7;t="), "{states:?}");
        assert_eq!(states[2], "\"places\";r=3");
        assert!(states[3].starts_with("\"narrow\";r=0;t="), "{states:?}");
    }
    assert_eq!(state(&call(&airside, "/wide", one), "wide").0, 7);
    assert_eq!(state(&call(&airside, "/bucket", one), "bucket").0, 6);
    assert_eq!(origin.count(), 4);
}

#[test]
fn who_is_refused_by_several_is_told_the_longest_wait() {
    let (airside, _origin) = start(
        "{ short: { rate: 2/1m }, long: { rate: 2/1h }, open: { rate: 50/1h } }",
        "  - { path: /x, upstream: origin, limits: [short, open, long] }",
    );
    let one = "203.0.113.1";
    assert_admits(&airside, "/x", one, 2);
    let refused = call(&airside, "/x", one);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(wait > 120, "{wait}");
    let states = refused.header("ratelimit");
    assert!(
        states.contains(&format!("\"long\";r=0;t={wait}")),
        "{states}"
    );
    assert!(states.starts_with("\"short\";r=0;t="), "{states}");
    assert!(states.contains("\"open\";r=48;t="), "{states}");
    assert_eq!(refused.header("ratelimit-policy").split(", ").count(), 3);
}

#[test]
fn what_another_policy_refuses_has_counted() {
    let (airside, _origin) = start(
        "{ few: { rate: 3/1h } }",
        "  - { path: /x, upstream: origin, max_body: 1B, limits: [few] }",
    );
    let large = "POST /x HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nhello";
    for _ in 0..3 {
        assert_refused(&airside.raw().exchange(large), 413, "body_too_large");
    }
    assert_refused(&airside.raw().exchange(large), 429, "rate_limited");
}
