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
    let told: Vec<_> = log
        .iter()
        .map(|line| {
            (
                line["limit"].as_str().unwrap(),
                line["decision"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told[1], ("trial", "admitted"));
    assert_eq!(told[2..4], [("trial", "shadow_refused"); 2]);
    assert_eq!(told[4], ("lacking", "shadow_refused"));
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
    assert_eq!(log[3]["limit"], "real");
    assert_eq!(log[3]["decision"], "refused");
}
