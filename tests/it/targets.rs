//! What a route does with its request: rewrite and forward, redirect, answer; and who shares the load.

use std::collections::BTreeSet;

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::Origin;

#[test]
fn rewrite_builds_the_path_from_captures_and_keeps_the_query_byte_for_byte() {
    let (airside, origin) = edge::start(
        r#"
  - { path: /flights/*, upstream: origin, rewrite: "/api/v1/flights/{rest}" }
  - { path: "/u/{user}/f/{*file}", upstream: origin, rewrite: "/files/{file}/of/{user}" }
  - { path: /fixed/*, upstream: origin, rewrite: /one }
  - { path: /keep/*, upstream: origin }
  - { path: /all/*, upstream: origin, rewrite: "/{rest}" }
"#,
    );
    let mut raw = airside.raw();
    for (sent, seen) in [
        ("/flights", "/api/v1/flights"),
        ("/flights/", "/api/v1/flights/"),
        ("/flights/7", "/api/v1/flights/7"),
        ("/flights/7/", "/api/v1/flights/7/"),
        ("/flights?a=1&b=%2F..", "/api/v1/flights?a=1&b=%2F.."),
        ("/flights/7?", "/api/v1/flights/7?"),
        ("/flights//7/./x/../y", "/api/v1/flights/7/y"),
        ("/flights/a%20b;v=1", "/api/v1/flights/a%20b"),
        ("/u/ada/f/a/b.txt?x", "/files/a/b.txt/of/ada?x"),
        ("/fixed/a/b?c=d", "/one?c=d"),
        ("/keep", "/keep"),
        ("/keep/?%zz&;a=//\\", "/keep/?%zz&;a=//\\"),
        ("/all", "/"),
        ("/all/x", "/x"),
    ] {
        assert_eq!(raw.exchange(get(sent)).status, 200, "{sent}");
        assert_eq!(origin.last().target, seen, "{sent}");
    }
}

#[test]
fn a_redirect_brings_captures_and_query_along() {
    let (airside, origin) = edge::start(
        r#"
  - { path: /old/*, redirect: { to: "/new/{rest}", status: 301 } }
  - { path: "/x/{id}", redirect: { to: "https://example.com/y/{id}" } }
  - { path: /q, redirect: { to: "/z?fixed=1", status: 303 } }
"#,
    );
    let mut raw = airside.raw();
    for (sent, status, location) in [
        ("/old/a/b", 301, "/new/a/b"),
        ("/old", 301, "/new"),
        ("/old/a?b=c&d=%20", 301, "/new/a?b=c&d=%20"),
        ("/old//evil.test/", 301, "/new/evil.test/"),
        ("/x/7", 308, "https://example.com/y/7"),
        ("/x/a%20b?k", 308, "https://example.com/y/a%20b?k"),
        ("/q", 303, "/z?fixed=1"),
        ("/q?more=1", 303, "/z?fixed=1"),
    ] {
        let answer = raw.exchange(get(sent));
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, location),
            "{sent}"
        );
        assert_eq!(
            (answer.header("content-length"), answer.text().as_str()),
            ("0", "")
        );
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_path_of_slashes_never_becomes_a_redirect_to_another_host() {
    let (airside, _origin) = edge::start(r#"  - { path: /*, redirect: { to: "/{rest}" } }"#);
    let mut raw = airside.raw();
    for sent in [
        "//evil.test",
        "///evil.test",
        "/./%2e//evil.test",
        "/x/..//evil.test",
    ] {
        assert_eq!(
            raw.exchange(get(sent)).header("location"),
            "/evil.test",
            "{sent}"
        );
    }
}

#[test]
fn an_answer_of_the_configuration_is_given_as_it_stands() {
    let (airside, origin) = edge::start(
        r#"
  - { path: /ping, respond: { status: 200, body: pong, content_type: text/x-own } }
  - { path: /gone, respond: { status: 410 } }
  - { path: /none, respond: { status: 204 } }
  - { path: /plain, respond: { body: "h\u00e9" } }
"#,
    );
    let mut raw = airside.raw();
    let ping = raw.exchange(get("/ping"));
    assert_eq!((ping.status, ping.text().as_str()), (200, "pong"));
    assert_eq!(ping.header("content-type"), "text/x-own");
    raw.send(request("HEAD", "/ping", &[]));
    let head = raw.try_read("HEAD").unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, "4"));
    let posted = raw.exchange("POST /ping HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_eq!(posted.text(), "pong");
    let gone = raw.exchange(get("/gone"));
    assert_eq!((gone.status, gone.header("content-length")), (410, "0"));
    assert_eq!(gone.head.header("content-type"), None);
    let none = raw.exchange(get("/none"));
    assert_eq!(
        (none.status, none.head.header("content-length")),
        (204, None)
    );
    let plain = raw.exchange(get("/plain"));
    assert_eq!(plain.text(), "h\u{e9}");
    assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_canary_gets_its_share_of_the_callers_and_each_stays_where_it_is() {
    let (old, new) = (Origin::start(), Origin::start());
    let top = r#"
server: { trusted_proxies: [127.0.0.0/8] }
upstreams: { old: { servers: ["{old}"] }, new: { servers: ["{new}"] } }
"#;
    let routes = "  - { path: /*, upstream: { old: 80, new: 20 } }";
    let set_up = edge::with_top(top, routes);
    let airside = set_up
        .set("old", old.address())
        .set("new", new.address())
        .start();
    let mut raw = airside.raw();
    let mut went = |caller: u32| {
        let address = format!("203.0.{}.{}", caller / 256, caller % 256);
        let before = new.count();
        let asked = request("GET", "/", &[("X-Forwarded-For", &address)]);
        assert_eq!(raw.exchange(asked).status, 200);
        new.count() - before
    };
    let first: Vec<usize> = (0..200).map(&mut went).collect();
    let second: Vec<usize> = (0..200).map(&mut went).collect();
    assert_eq!(first, second, "a caller changed sides");
    let share = first.iter().sum::<usize>();
    assert!(
        (20..=60).contains(&share),
        "{share} of 200 went to the canary"
    );
    assert_eq!(old.count() + new.count(), 400);
}

#[test]
fn round_robin_gives_each_server_exactly_its_weight() {
    let origins = [Origin::start(), Origin::start()];
    let top = r#"
upstreams:
  origin:
    balance: round_robin
    servers: [{ address: "{one}", weight: 3 }, "{two}"]
"#;
    let set_up = edge::with_top(top, "  - { path: /*, upstream: origin }");
    let set_up = set_up.set("one", origins[0].address());
    let airside = set_up.set("two", origins[1].address()).start();
    let mut raw = airside.raw();
    for _ in 0..40 {
        assert_eq!(raw.exchange(get("/")).status, 200);
    }
    assert_eq!((origins[0].count(), origins[1].count()), (30, 10));
}

#[test]
fn random_and_least_requests_use_every_server() {
    let origins = [Origin::start(), Origin::start(), Origin::start()];
    let servers = r#"["{a}", "{b}", "{c}"]"#;
    let top = format!(
        "upstreams: {{ r: {{ balance: random, servers: {servers} }}, l: {{ servers: {servers} }} }}"
    );
    let routes = "  - { path: /r, upstream: r }\n  - { path: /l, upstream: l }";
    let mut set_up = edge::with_top(&top, routes);
    for (name, origin) in ["a", "b", "c"].iter().zip(&origins) {
        set_up = set_up.set(name, origin.address());
    }
    let airside = set_up.start();
    let mut raw = airside.raw();
    for target in ["/r", "/l"] {
        let before: Vec<_> = origins.iter().map(Origin::count).collect();
        for _ in 0..60 {
            assert_eq!(raw.exchange(get(target)).status, 200);
        }
        // That one of three is never chosen in 60 draws has a chance below 10^-10.
        let used = origins
            .iter()
            .zip(before)
            .filter(|(origin, before)| origin.count() > *before);
        assert_eq!(used.count(), 3, "{target}");
    }
    let hosts: BTreeSet<_> = origins[0]
        .requests()
        .iter()
        .filter_map(|request| request.header("host").map(str::to_owned))
        .collect();
    assert_eq!(
        hosts,
        BTreeSet::from(["edge.test".to_owned()]),
        "the client's host is kept"
    );
}

#[test]
fn a_route_with_no_target_for_a_path_does_not_reach_the_upstream() {
    let (airside, origin) = edge::start("  - { path: /a/*, upstream: origin }");
    let mut raw = airside.raw();
    for target in ["/", "/ab", "/b", "/A/x"] {
        assert_refused(&raw.exchange(get(target)), 404, "no_route");
    }
    assert_eq!(origin.count(), 0);
}
