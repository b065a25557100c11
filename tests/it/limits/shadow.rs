//! `mode: shadow`: what would be refused is in the log, and nowhere else.

use super::*;

#[test]
fn a_limit_that_watches_reports_and_never_refuses_nor_tells() {
    let (airside, origin) = start(
        r#"{ trial: { rate: 2/1h, mode: shadow }, places: { concurrent: 1, mode: shadow },
             lacking: { rate: 9/1h, by: "header:X-Key", on_missing: deny, mode: shadow } }"#,
        r#"
  - { path: /trial, upstream: origin, limits: [trial, places] }
  - { path: /lacking, upstream: origin, limits: [lacking] }
"#,
    );
    let one = "203.0.113.1";
    for _ in 0..4 {
        let answer = call(&airside, "/trial", one);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.head.header("ratelimit"), None);
        assert_eq!(answer.head.header("ratelimit-policy"), None);
    }
    assert_eq!(call(&airside, "/lacking", one).status, 200);
    assert_eq!(origin.count(), 5);
    let log = airside.wait_for_access_log(5);
    // Two requests that follow each other may be noted in the other order.
    let told = |limit: &str, decision: &str| {
        let is = |line: &&serde_json::Value| line["limit"] == limit && line["decision"] == decision;
        log.iter().filter(is).count()
    };
    assert_eq!(told("trial", "shadow_refused"), 2, "{log:?}");
    assert_eq!(told("lacking", "shadow_refused"), 1, "{log:?}");
    assert!(told("trial", "admitted") >= 1, "{log:?}");
}

#[test]
fn a_limit_that_watches_stands_beside_one_that_does_not() {
    let (airside, _origin) = start(
        "{ trial: { rate: 1/1h, mode: shadow }, real: { rate: 3/1h } }",
        "  - { path: /*, upstream: origin, limits: [trial, real] }",
    );
    let one = "203.0.113.1";
    for left in [2, 1, 0] {
        // Alone in the fields.
        assert_eq!(state(&call(&airside, "/", one), "real").0, left);
    }
    let refused = call(&airside, "/", one);
    assert_refused(&refused, 429, "rate_limited");
    assert!(!refused.header("ratelimit").contains("trial"));
    let log = airside.wait_for_access_log(4);
    let refused = log.iter().find(|line| line["decision"] == "refused");
    assert_eq!(refused.unwrap()["limit"], "real");
}
