//! `request_headers` and `response_headers`: on every answer there is, ours and the upstream's.

use crate::support::edge::{self, get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::port;
use crate::support::server::Airside;

const TOP: &str = r#"
identity: { listen: "{identity}", store: "sqlite:{folder}/a.db", keys: "{folder}/keys" }
upstreams: { origin: { servers: ["{origin}"] }, closed: { servers: ["{closed}"] } }
defaults:
  auth: public
  response_headers:
    set: { X-Content-Type-Options: nosniff, Strict-Transport-Security: max-age=31536000 }
    add: { Link: "</help>; rel=help" }
    remove: [Server, Cache-Control]
"#;
const ROUTES: &str = r#"
  - { path: /open, upstream: origin }
  - { path: /get, methods: [GET], upstream: origin }
  - { path: /private, upstream: origin, auth: required }
  - { path: /denied, upstream: origin, deny: [127.0.0.1] }
  - { path: /once, upstream: origin, limits: [{ rate: 1/1h }] }
  - { path: /small, upstream: origin, max_body: 1 }
  - { path: /closed, upstream: closed }
  - { path: /hi, respond: { body: hi } }
  - { path: /none, respond: { status: 204 } }
  - { path: /moved, redirect: { to: /hi } }
  - { path: /own, upstream: origin, response_headers: { set: { X-Own: "1" } } }
"#;

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    let set_up = edge::with_top(TOP, ROUTES).origin(&origin);
    (set_up.set("closed", port::free()).start(), origin)
}

#[test]
fn response_headers_stand_on_every_answer_that_a_client_can_get() {
    let (airside, origin) = start();
    origin.on(
        "/open",
        Reply::new(200, "")
            .header("Server", "s")
            .header("Link", "</x>"),
    );
    origin.on(
        "/get",
        Reply::new(500, "").header("Cache-Control", "no-store"),
    );
    assert_eq!(airside.raw().exchange(get("/once")).status, 200);
    let long = format!("/{}", "a".repeat(9 << 10));
    let wide = "a".repeat(33 << 10);
    for (sent, status) in [
        (get("/open"), 200),
        (get("/get"), 500),
        (get("/hi"), 200),
        (get("/none"), 204),
        (get("/moved"), 308),
        (get("/%00"), 400),
        (get("/private"), 401),
        (get("/denied"), 403),
        (get("/nowhere"), 404),
        (request("PUT", "/get", &[]), 405),
        (request("TRACE", "/open", &[]), 405),
        ("POST /small HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab".to_owned(), 413),
        ("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n".to_owned(), 413),
        (get(&long), 414),
        (request("GET", "/open", &[("Expect", "more")]), 417),
        (get("/once"), 429),
        (request("GET", "/open", &[("A", &wide)]), 431),
        (request("BREW", "/open", &[]), 501),
        (get("/closed"), 502),
        (request("OPTIONS", "*", &[]), 204),
    ] {
        let answer = airside.raw().exchange(&sent);
        let line = sent.lines().next().unwrap_or_default();
        let line = &line[..line.len().min(60)];
        assert_eq!(answer.status, status, "{line}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("strict-transport-security", "max-age=31536000"),
        ] {
            let found: Vec<_> = answer.head.all(name).collect();
            assert_eq!(found, [value], "{line}");
        }
        assert!(answer.head.all("link").any(|link| link == "</help>; rel=help"), "{line}");
        for removed in ["server", "cache-control"] {
            assert_eq!(answer.head.header(removed), None, "{line}");
        }
    }
    let links = airside.raw().exchange(get("/open"));
    let links: Vec<_> = links.head.all("link").collect();
    assert_eq!(
        links,
        ["</x>", "</help>; rel=help"],
        "`add` leaves what was there"
    );
}

#[test]
fn a_routes_own_edit_replaces_the_defaults_as_a_whole() {
    let (airside, _origin) = start();
    let answer = airside.raw().exchange(get("/own"));
    assert_eq!(answer.header("x-own"), "1");
    assert_eq!(answer.head.header("x-content-type-options"), None);
}

#[test]
fn removing_goes_first_then_setting_then_adding() {
    let (airside, origin) = edge::start(
        r#"
  - path: /a
    upstream: origin
    request_headers: { remove: [X-A, X-B], set: { X-A: one }, add: { X-A: two, x-b: only, X-C: d } }
    response_headers: { remove: [X-A], set: { X-A: one }, add: { x-a: two, Set-Cookie: s=t } }
"#,
    );
    let reply = Reply::new(200, "").header("X-A", "theirs");
    origin.on("/a", reply.header("Set-Cookie", "u=v"));
    let sent = [("X-A", "0"), ("X-B", "0"), ("X-B", "0"), ("X-C", "b")];
    let answer = airside.raw().exchange(request("GET", "/a", &sent));
    let seen = origin.last();
    assert_eq!(seen.head.all("x-a").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(seen.head.all("x-b").collect::<Vec<_>>(), ["only"]);
    assert_eq!(seen.head.all("x-c").collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(answer.head.all("x-a").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(
        answer.head.all("set-cookie").collect::<Vec<_>>(),
        ["u=v", "s=t"]
    );
}

/// Many servers read `X_Admin` and `X-Admin` as one, so that a filter of one spelling would let the other pass.
#[test]
fn names_with_an_underscore_reach_no_upstream() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let headers = [("X_Admin", "1"), ("X-Fine", "1"), ("Content_Length", "3")];
    let answer = airside.raw().exchange(request("GET", "/a", &headers));
    assert_eq!(answer.status, 200);
    let seen = origin.last();
    assert_eq!(seen.header("x-fine"), Some("1"));
    let odd = |(name, _): &&(String, String)| name.contains('_');
    assert_eq!(seen.head.headers.iter().find(odd), None);
}
