//! Which server gets a request, over real connections: weights, stickiness, canaries, and how many connections stay.

use super::start;
use crate::support::edge::{self, get, request};
use crate::support::origin::{Origin, Reply};

#[test]
fn round_robin_goes_by_weight_exactly() {
    let (one, two) = (Origin::start(), Origin::start());
    let top = "upstreams:\n  origin: { servers: [\"{one}\", { address: \"{two}\", weight: 3 }], balance: round_robin }";
    let airside = edge::with_top(top, super::ROUTE)
        .set("one", one.address())
        .set("two", two.address())
        .start();
    let mut raw = airside.raw();
    for _ in 0..40 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!((one.count(), two.count()), (10, 30));
}

#[test]
fn a_caller_by_hash_stays_at_its_server_and_moves_only_when_that_is_gone() {
    for (keys, header) in [
        ("balance: hash, by: \"header:X-Key\"", "X-Key"),
        ("balance: hash, by: \"cookie:sid\"", "Cookie"),
    ] {
        let keys = format!("{keys}, retry: {{ on: [connect] }}");
        let (one, two) = (Origin::start(), Origin::start());
        let airside = start(&[&one, &two], &keys);
        for origin in [&one, &two] {
            origin.on("/a", Reply::new(200, origin.address().to_string()));
        }
        let mut raw = airside.raw();
        let mut ask = |caller: usize| {
            let value = match header {
                "Cookie" => format!("other=1; sid=c{caller}"),
                _ => format!("c{caller}"),
            };
            raw.exchange(request("GET", "/a", &[(header, &value)]))
                .text()
        };
        let homes: Vec<_> = (0..40).map(&mut ask).collect();
        let at_one = homes
            .iter()
            .filter(|home| **home == one.address().to_string());
        assert!((8..=32).contains(&at_one.count()), "{homes:?}");
        for (caller, home) in homes.iter().enumerate() {
            assert_eq!(ask(caller), *home, "{header} {caller}");
        }
        drop(two);
        let gone: Vec<_> = (0..40).map(&mut ask).collect();
        let home = one.address().to_string();
        assert!(gone.iter().all(|found| *found == home), "{gone:?}");
    }
}

#[test]
fn connections_above_keepalive_are_closed_after_their_answer() {
    let origin = Origin::start();
    let airside = start(&[&origin], "keepalive: 0");
    let mut raw = airside.raw();
    for _ in 0..5 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!(origin.connections(), 5);
    assert_eq!(origin.last().header("connection"), Some("close"));
    let kept = Origin::start();
    let airside = start(&[&kept], "keepalive: 1");
    let mut raw = airside.raw();
    for _ in 0..5 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!(kept.connections(), 1);
    assert_eq!(kept.last().header("connection"), None);
}

#[test]
fn a_canary_is_stable_for_a_caller() {
    let (stable, canary) = (Origin::start(), Origin::start());
    let top = "server: { trusted_proxies: [127.0.0.0/8] }\nupstreams:\n  stable: { servers: [\"{stable}\"] }\n  canary: { servers: [\"{canary}\"] }";
    let routes = "  - { path: /*, upstream: { stable: 80, canary: 20 } }";
    let airside = edge::with_top(top, routes)
        .set("stable", stable.address())
        .set("canary", canary.address())
        .start();
    for origin in [&stable, &canary] {
        origin.on("/a", Reply::new(200, origin.address().to_string()));
    }
    let mut raw = airside.raw();
    let mut ask = |client: usize| {
        let address = format!("203.0.113.{client}");
        raw.exchange(request("GET", "/a", &[("X-Forwarded-For", &address)]))
            .text()
    };
    let homes: Vec<_> = (0..250).map(&mut ask).collect();
    for (client, home) in homes.iter().enumerate() {
        assert_eq!(ask(client), *home);
    }
    let at_canary = homes
        .iter()
        .filter(|home| **home == canary.address().to_string());
    let count = at_canary.count();
    // A fifth of 250, with four standard deviations.
    assert!((25..=75).contains(&count), "{count}");
}
