//! Limits as clients meet them: what is counted together, what a refusal says, and when calls pass again.

use std::time::{Duration, Instant};

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::Origin;
use crate::support::raw::Response;
use crate::support::server::Airside;
use crate::support::wait::until;

fn start(limits: &str, routes: &str) -> (Airside, Origin) {
    let origin = Origin::start();
    let top = format!("server: {{ trusted_proxies: [127.0.0.0/8] }}\nlimits: {limits}");
    (edge::with_top(&top, routes).origin(&origin).start(), origin)
}

/// A call by a client at that address.
fn call(airside: &Airside, target: &str, address: &str) -> Response {
    airside
        .raw()
        .exchange(request("GET", target, &[("X-Forwarded-For", address)]))
}

#[track_caller]
fn assert_admits(airside: &Airside, target: &str, address: &str, calls: usize) {
    for number in 1..=calls {
        assert_eq!(
            call(airside, target, address).status,
            200,
            "{target} {address} {number}"
        );
    }
    let refused = call(airside, target, address);
    assert_refused(&refused, 429, "rate_limited");
}

/// `"name";r=19;t=104` as (19, 104).
#[track_caller]
fn state(answer: &Response, name: &str) -> (u64, u64) {
    let text = answer.header("ratelimit");
    let rest = text
        .strip_prefix(&format!("\"{name}\";r="))
        .unwrap_or_else(|| panic!("{text}"));
    let (remaining, reset) = rest.split_once(";t=").unwrap();
    (remaining.parse().unwrap(), reset.parse().unwrap())
}

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

#[test]
fn each_address_counts_alone_and_strangers_cannot_choose_theirs() {
    let routes = "  - { path: /*, upstream: origin, limits: [few] }";
    let (airside, _origin) = start("{ few: { rate: 2/1h } }", routes);
    assert_admits(&airside, "/", "203.0.113.1", 2);
    assert_admits(&airside, "/", "203.0.113.2", 2);
    // What stands left of the client's address was written by the client.
    assert_refused(
        &call(&airside, "/", "198.51.100.9, 203.0.113.1"),
        429,
        "rate_limited",
    );
    // One network of IPv6 is one client, and a mapped address is the IPv4 one.
    assert_admits(&airside, "/", "2001:db8::1", 2);
    assert_refused(
        &call(&airside, "/", "2001:db8::ffff:1"),
        429,
        "rate_limited",
    );
    assert_eq!(call(&airside, "/", "2001:db8:0:1::1").status, 200);
    assert_refused(
        &call(&airside, "/", "::ffff:203.0.113.1"),
        429,
        "rate_limited",
    );

    let origin = Origin::start();
    let airside = edge::with_top("limits: { few: { rate: 2/1h } }", routes)
        .origin(&origin)
        .start();
    assert_eq!(call(&airside, "/", "203.0.113.1").status, 200);
    assert_eq!(call(&airside, "/", "203.0.113.2").status, 200);
    assert_refused(&call(&airside, "/", "203.0.113.3"), 429, "rate_limited");
}

#[test]
fn a_named_limit_is_shared_and_an_own_one_is_not() {
    let (airside, origin) = start(
        "{ shared: { rate: 3/1h } }",
        r#"
  - { path: /a, upstream: origin, limits: [shared] }
  - { path: /b, upstream: origin, limits: [shared] }
  - { path: /c, upstream: origin, limits: [{ rate: 3/1h }] }
  - { path: /d, name: dee, upstream: origin, limits: [{ rate: 3/1h }] }
"#,
    );
    let one = "203.0.113.1";
    assert_eq!(call(&airside, "/a", one).status, 200);
    assert_eq!(call(&airside, "/b", one).status, 200);
    assert_eq!(state(&call(&airside, "/a", one), "shared").0, 0);
    assert_refused(&call(&airside, "/a", one), 429, "rate_limited");
    assert_refused(&call(&airside, "/b", one), 429, "rate_limited");
    assert_admits(&airside, "/c", one, 3);
    assert_eq!(state(&call(&airside, "/d", one), "dee").0, 2);
    assert_eq!(origin.count(), 7);
}

#[test]
fn a_limit_counts_by_what_it_says() {
    let (airside, _origin) = start(
        "{ route: { rate: 2/1h, by: route }, both: { rate: 2/1h, by: [ip, route] }, all: { rate: 3/1h, by: global } }",
        r#"
  - { path: /r1, upstream: origin, limits: [route] }
  - { path: /r2, upstream: origin, limits: [route] }
  - { path: /b1, upstream: origin, limits: [both] }
  - { path: /b2, upstream: origin, limits: [both] }
  - { path: /g1, upstream: origin, limits: [all] }
  - { path: /g2, upstream: origin, limits: [all] }
"#,
    );
    let (one, other) = ("203.0.113.1", "203.0.113.2");
    // By route: addresses together, routes apart.
    assert_eq!(call(&airside, "/r1", one).status, 200);
    assert_admits(&airside, "/r1", other, 1);
    assert_admits(&airside, "/r2", one, 2);
    // By both: each address on each route.
    for (target, address) in [("/b1", one), ("/b1", other), ("/b2", one), ("/b2", other)] {
        assert_admits(&airside, target, address, 2);
    }
    // Global: everything together.
    assert_eq!(call(&airside, "/g1", one).status, 200);
    assert_eq!(call(&airside, "/g2", other).status, 200);
    assert_admits(&airside, "/g1", "203.0.113.3", 1);
    assert_refused(&call(&airside, "/g2", "203.0.113.4"), 429, "rate_limited");
}

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
fn refusals_of_guessed_tokens_are_limited_before_they_are_looked_at() {
    let top = r#"
identity: { listen: "{identity}", store: "sqlite:{folder}/a.db", keys: "{folder}/keys", issuer: "http://x", audience: a }
"#;
    let routes = "  - { path: /p, upstream: origin, auth: required, limits: [{ rate: 3/1h }] }";
    let origin = Origin::start();
    let airside = edge::with_top(top, routes).origin(&origin).start();
    let mut raw = airside.raw();
    for _ in 0..3 {
        let answer = raw.exchange(request("GET", "/p", &[("Authorization", "Bearer guess")]));
        assert_refused(&answer, 401, "unauthenticated");
        assert!(answer.header("ratelimit").starts_with("\"/p\";r="));
    }
    let answer = raw.exchange(request("GET", "/p", &[("Authorization", "Bearer guess")]));
    assert_refused(&answer, 429, "rate_limited");
    assert_eq!(origin.count(), 0);
}
