//! What is counted together: each part of a key, through the real program.

use serde_json::{Value, json};

use super::*;
use crate::support::people::Site;
use crate::support::token::Token;

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

#[test]
fn a_header_tells_callers_apart_and_may_be_missing() {
    let (airside, _origin) = start(
        r#"{ shared: { rate: 2/1h, by: "header:X-Tenant" }, strict: { rate: 2/1h, by: "header:X-Tenant", on_missing: deny },
             loose: { rate: 2/1h, by: "header:X-Tenant", on_missing: skip } }"#,
        r#"
  - { path: /shared, upstream: origin, limits: [shared] }
  - { path: /strict, upstream: origin, limits: [strict] }
  - { path: /loose, upstream: origin, limits: [loose] }
"#,
    );
    let of = |target: &str, tenant: Option<&str>| {
        let headers: Vec<_> = tenant
            .map(|tenant| ("x-tenant", tenant))
            .into_iter()
            .collect();
        airside.raw().exchange(request("GET", target, &headers))
    };
    for tenant in [Some("a"), Some("b"), None] {
        for left in [1, 0] {
            assert_eq!(
                state(&of("/shared", tenant), "shared").0,
                left,
                "{tenant:?}"
            );
        }
        assert_refused(&of("/shared", tenant), 429, "rate_limited");
    }
    assert_eq!(of("/strict", Some("a")).status, 200);
    let denied = of("/strict", None);
    assert_refused(&denied, 403, "forbidden");
    assert_eq!(denied.head.header("retry-after"), None);
    for _ in 0..4 {
        let free = of("/loose", None);
        assert_eq!((free.status, free.head.header("ratelimit")), (200, None));
    }
}

/// A gateway with identity and one route behind these limits, and a token of its only user.
async fn with_token(limits: &str) -> (Site, String) {
    let origin = Origin::start();
    let config = format!(
        r#"
listeners: [{{ address: "{{gateway}}" }}]
identity:
  listen: "{{identity}}"
  store: "sqlite:a.db"
  keys: "keys"
  password: {{ bcrypt_cost: 10, workers: 1 }}
admin: {{ listen: "{{admin}}" }}
upstreams: {{ origin: {{ servers: ["{{origin}}"] }} }}
routes:
  - {{ path: "/auth/*", upstream: identity, auth: public }}
  - {{ path: /p, upstream: origin, auth: required, limits: [{limits}] }}
"#
    );
    let airside = Airside::with(&config).origin(&origin).start();
    let site = Site { airside, origin };
    let (_, token) = site.api().join("ann@example.com").await;
    (site, token)
}

#[tokio::test]
async fn a_claim_tells_callers_apart_whoever_they_are() {
    let (site, token) = with_token(r#"{ rate: 2/1h, by: "claim:tenant" }"#).await;
    let api = site.api();
    let keys = site.airside.folder().join("keys");
    let with = |tenant: Value| Token::of(&token, &keys).claim("tenant", tenant).signed();
    // Text, a number, truth, and no claim at all: four callers.
    for claim in [
        json!("acme"),
        json!(7),
        json!(true),
        json!("7"),
        Value::Null,
    ] {
        let token = with(claim.clone());
        for left in ["1", "0"] {
            let answer = api.ask("GET", "/p", &token).await;
            assert_eq!(answer.status, 200, "{claim} {}", answer.body);
            let limit = answer.header("ratelimit");
            assert!(limit.contains(&format!("r={left}")), "{claim}: {limit}");
        }
        api.ask("GET", "/p", &token)
            .await
            .refused(429, "rate_limited");
    }
    // What is neither shares a count with what is missing.
    let list = with(json!(["acme"]));
    api.ask("GET", "/p", &list)
        .await
        .refused(429, "rate_limited");
}

#[tokio::test]
async fn who_brings_a_token_has_no_api_key() {
    let (site, token) = with_token("{ rate: 2/1h, by: api_key, on_missing: deny }").await;
    let answer = site.api().ask("GET", "/p", &token).await;
    answer.refused(403, "forbidden");
    assert_eq!(site.origin.count(), 0);
}
