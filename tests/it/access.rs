//! `allow` and `deny`, on the address that the client really has.

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::Origin;
use crate::support::raw::{Raw, Response};
use crate::support::server::Airside;

const TRUSTING: &str = "server: { trusted_proxies: [127.0.0.0/8, 10.0.0.0/8] }";

/// A gateway behind a proxy that it trusts, which is this test.
fn behind_a_proxy(routes: &str) -> (Airside, Origin) {
    let origin = Origin::start();
    let set_up = edge::with_top(TRUSTING, routes).origin(&origin);
    (set_up.start(), origin)
}

#[track_caller]
fn ask(raw: &mut Raw, target: &str, client: &str) -> Response {
    raw.exchange(request("GET", target, &[("X-Forwarded-For", client)]))
}

#[test]
fn only_allowed_networks_may_call_and_deny_wins() {
    let (airside, origin) = behind_a_proxy(
        r#"
  - { path: /office, upstream: origin, allow: [192.0.2.0/24, "2001:db8::/32"], deny: [192.0.2.13] }
  - { path: /most, upstream: origin, deny: [203.0.113.0/25, "2001:db8:bad::/48"] }
  - { path: /all, upstream: origin }
"#,
    );
    let mut raw = airside.raw();
    let mut served = 0;
    for (target, client, allowed) in [
        ("/office", "192.0.2.1", true),
        ("/office", "192.0.2.255", true),
        ("/office", "192.0.2.13", false),
        ("/office", "192.0.3.1", false),
        ("/office", "::ffff:192.0.2.1", true),
        ("/office", "::ffff:192.0.2.13", false),
        ("/office", "2001:db8::1", true),
        ("/office", "2001:db9::1", false),
        ("/most", "203.0.113.127", false),
        ("/most", "203.0.113.128", true),
        ("/most", "2001:db8:bad::1", false),
        ("/most", "2001:db8:bae::1", true),
        ("/all", "203.0.113.1", true),
    ] {
        let answer = ask(&mut raw, target, client);
        match allowed {
            true => assert_eq!(answer.status, 200, "{target} {client}"),
            false => {
                let body = assert_refused(&answer, 403, "forbidden");
                assert_eq!(body.get("detail"), None, "{body}");
            }
        }
        served += usize::from(allowed);
        assert_eq!(origin.count(), served, "{target} {client}");
    }
}

#[test]
fn what_a_stranger_says_of_its_address_opens_nothing() {
    let (airside, origin) =
        edge::start("  - { path: /a, upstream: origin, allow: [192.0.2.0/24] }");
    let mut raw = airside.raw();
    for name in [
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-IP",
        "True-Client-IP",
    ] {
        for value in ["192.0.2.1", "for=192.0.2.1"] {
            let answer = raw.exchange(request("GET", "/a", &[(name, value)]));
            assert_refused(&answer, 403, "forbidden");
        }
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_client_cannot_write_an_allowed_address_in_front_of_its_own() {
    let (airside, origin) =
        behind_a_proxy("  - { path: /a, upstream: origin, allow: [192.0.2.0/24] }");
    let mut raw = airside.raw();
    for forged in [
        "192.0.2.1, 203.0.113.9",
        "192.0.2.1, 203.0.113.9, 10.0.0.2",
        "192.0.2.1, unknown",
        "192.0.2.1, 203.0.113.9:5123",
        "192.0.2.1, [2001:db8::9]:443",
    ] {
        assert_refused(&ask(&mut raw, "/a", forged), 403, "forbidden");
    }
    let lines = [
        ("X-Forwarded-For", "192.0.2.1"),
        ("X-Forwarded-For", "203.0.113.9"),
    ];
    assert_refused(
        &raw.exchange(request("GET", "/a", &lines)),
        403,
        "forbidden",
    );
    // RFC 7239's header is not read, from whomever it comes.
    let forwarded = [
        ("X-Forwarded-For", "203.0.113.9"),
        ("Forwarded", "for=192.0.2.1"),
    ];
    assert_refused(
        &raw.exchange(request("GET", "/a", &forwarded)),
        403,
        "forbidden",
    );
    assert_eq!(origin.count(), 0);
    for honest in [
        "192.0.2.1, 10.0.0.2",
        "6.6.6.6, 192.0.2.1:5123",
        "192.0.2.7,,",
    ] {
        assert_eq!(ask(&mut raw, "/a", honest).status, 200, "{honest}");
    }
}

#[test]
fn a_denied_address_is_asked_for_no_token_and_counted_by_no_limit() {
    let top = format!(
        r#"{TRUSTING}
identity: {{ listen: "{{identity}}", store: "sqlite:{{folder}}/a.db", keys: "{{folder}}/keys" }}"#
    );
    let routes = r#"
  - { path: /a, upstream: origin, auth: required, deny: [203.0.113.9], limits: [{ rate: 1/1h, by: global }] }
"#;
    let origin = Origin::start();
    let airside = edge::with_top(&top, routes).origin(&origin).start();
    let mut raw = airside.raw();
    for _ in 0..3 {
        let answer = ask(&mut raw, "/a", "203.0.113.9");
        assert_refused(&answer, 403, "forbidden");
        assert_eq!(answer.head.header("ratelimit"), None);
    }
    assert_refused(&ask(&mut raw, "/a", "203.0.113.8"), 401, "unauthenticated");
    assert_refused(&ask(&mut raw, "/a", "203.0.113.8"), 429, "rate_limited");
}

#[test]
fn a_routes_own_list_replaces_the_defaults() {
    let top = "defaults: { auth: public, deny: [127.0.0.1] }";
    let routes = r#"
  - { path: /closed, upstream: origin }
  - { path: /open, upstream: origin, deny: [] }
"#;
    let origin = Origin::start();
    let airside = edge::with_top(top, routes).origin(&origin).start();
    let mut raw = airside.raw();
    assert_refused(&raw.exchange(get("/closed")), 403, "forbidden");
    assert_eq!(raw.exchange(get("/open")).status, 200);
}

#[test]
fn thousands_of_networks_are_one_list_like_any_other() {
    let even: Vec<_> = (0..8192_u32)
        .map(|index| format!("20.{}.{}.0/24", index / 128, index % 128 * 2))
        .collect();
    let routes = format!(
        "  - {{ path: /a, upstream: origin, deny: [{}] }}",
        even.join(", ")
    );
    let (airside, _origin) = behind_a_proxy(&routes);
    let mut raw = airside.raw();
    for (client, status) in [
        ("19.255.255.255", 200),
        ("20.0.0.0", 403),
        ("20.0.1.0", 200),
        ("20.31.128.77", 403),
        ("20.31.129.77", 200),
        ("20.63.254.255", 403),
        ("20.63.255.0", 200),
    ] {
        assert_eq!(ask(&mut raw, "/a", client).status, status, "{client}");
    }
}

#[test]
fn the_access_log_says_which_list_refused_whom() {
    let routes = r#"
  - { path: /a, upstream: origin, deny: [203.0.113.9] }
  - { path: /b, upstream: origin, allow: [192.0.2.0/24] }
"#;
    let (airside, _origin) = behind_a_proxy(routes);
    let mut raw = airside.raw();
    ask(&mut raw, "/a", "203.0.113.9");
    ask(&mut raw, "/b", "203.0.113.8");
    let lines = airside.wait_for_access_log(2);
    let told = lines.iter().map(|line| {
        let word = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        [word("client"), word("code"), word("reason"), word("route")]
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ["203.0.113.9", "forbidden", "denied_address", "/a"],
            ["203.0.113.8", "forbidden", "address_not_allowed", "/b"],
        ]
    );
}
