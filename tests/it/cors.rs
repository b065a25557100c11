//! `cors`, asked as browsers ask: preflights, and the headers without which a script may not read an answer
//! (Fetch standard §3.2).

use crate::support::edge::{self, assert_refused, request};
use crate::support::origin::{Origin, Reply};
use crate::support::raw::{Raw, Response};
use crate::support::server::Airside;

const APP: &str = "https://app.example.com";
const TOP: &str = r#"
identity: { listen: "{identity}", store: "sqlite:{folder}/a.db", keys: "{folder}/keys" }
upstreams: { origin: { servers: ["{origin}"] }, closed: { servers: ["{closed}"] } }
"#;
const ROUTES: &str = r#"
  - path: /flights/*
    methods: [GET, DELETE]
    upstream: origin
    cors: { origins: ["https://app.example.com", "https://*.example.org"], headers: [Authorization, X-Own], expose: [RateLimit, X-Seen], credentials: true, max_age: 1h }
  - { path: /open, upstream: origin, cors: { origins: ["*"] } }
  - { path: /private, upstream: origin, auth: required, cors: { origins: ["https://app.example.com"], methods: [GET, PUT] } }
  - { path: /once, upstream: origin, limits: [{ rate: 1/1h }], cors: { origins: ["https://app.example.com"] } }
  - { path: /small, upstream: origin, max_body: 1, cors: { origins: ["https://app.example.com"] } }
  - { path: /closed, upstream: closed, cors: { origins: ["https://app.example.com"] } }
  - { path: /denied, upstream: origin, deny: [127.0.0.1], cors: { origins: ["https://app.example.com"] } }
  - { path: /hi, respond: { body: hi }, cors: { origins: ["https://app.example.com"] } }
  - { path: /moved, redirect: { to: /hi }, cors: { origins: ["https://app.example.com"] } }
  - { path: /plain, methods: [GET], upstream: origin }
  - { path: /theirs, upstream: origin }
"#;

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    let set_up = edge::with_top(TOP, ROUTES).origin(&origin);
    let closed = crate::support::port::free();
    (set_up.set("closed", closed).start(), origin)
}

fn preflight(raw: &mut Raw, target: &str, origin: &str, method: &str) -> Response {
    let headers = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", "content-type,x-own"),
    ];
    raw.exchange(request("OPTIONS", target, &headers))
}

fn get_from(raw: &mut Raw, target: &str, origin: &str) -> Response {
    raw.exchange(request("GET", target, &[("Origin", origin)]))
}

/// Every header of the protocol on an answer, in order of their names.
fn told(answer: &Response) -> Vec<(String, String)> {
    let named = |name: &str| name.starts_with("access-control-") || name == "vary";
    let headers = answer.head.headers.iter();
    let lower = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut told: Vec<_> = lower.filter(|(name, _)| named(name)).collect();
    told.sort();
    told
}

#[track_caller]
fn assert_told(answer: &Response, expected: &[(&str, &str)]) {
    let line = &answer.head.line;
    let told = told(answer);
    let told: Vec<_> = told
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect();
    assert_eq!(told, expected, "{line}");
}

/// What lets the script of `APP` read an answer, where nothing more is configured.
const READABLE: &[(&str, &str)] = &[("access-control-allow-origin", APP), ("vary", "Origin")];
const UNREADABLE: &[(&str, &str)] = &[("vary", "Origin")];

#[test]
fn a_preflight_is_answered_here_for_the_method_that_it_asks_about() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    for method in ["GET", "DELETE"] {
        let answer = preflight(&mut raw, "/flights/7", APP, method);
        assert_eq!((answer.status, answer.text().as_str()), (204, ""));
        assert_eq!(answer.head.header("content-length"), None);
        assert_told(
            &answer,
            &[
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-headers", "Authorization, X-Own"),
                ("access-control-allow-methods", "GET, DELETE"),
                ("access-control-allow-origin", APP),
                ("access-control-expose-headers", "RateLimit, X-Seen"),
                ("access-control-max-age", "3600"),
                ("vary", "Origin"),
            ],
        );
    }
    // No list of headers: what the browser asks for. No list of methods: the route's.
    assert_told(
        &preflight(&mut raw, "/open", "https://any.test", "PATCH"),
        &[
            ("access-control-allow-headers", "content-type,x-own"),
            (
                "access-control-allow-methods",
                "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
            ),
            ("access-control-allow-origin", "*"),
        ],
    );
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_preflight_needs_no_token_and_is_counted_by_no_limit() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let answer = preflight(&mut raw, "/private", APP, "PUT");
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-methods"), "GET, PUT");
    for _ in 0..5 {
        let answer = preflight(&mut raw, "/once", APP, "GET");
        assert_eq!(
            (answer.status, answer.head.header("ratelimit")),
            (204, None)
        );
    }
    assert_eq!(get_from(&mut raw, "/once", APP).status, 200);
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_preflight_from_another_origin_gets_no_leave_and_goes_nowhere() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    for other in [
        "https://evil.test",
        "http://app.example.com",
        "https://app.example.com.evil.test",
        "https://app.example.com:8443",
        "null",
        "",
    ] {
        let answer = preflight(&mut raw, "/flights/7", other, "GET");
        assert_eq!(answer.status, 204, "{other}");
        assert_told(&answer, UNREADABLE);
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_preflight_for_what_no_route_has_is_405_or_404() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let answer = preflight(&mut raw, "/flights/7", APP, "PUT");
    assert_refused(&answer, 405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "GET, DELETE");
    assert_refused(
        &preflight(&mut raw, "/plain", APP, "GET"),
        405,
        "method_not_allowed",
    );
    assert_refused(&preflight(&mut raw, "/none", APP, "GET"), 404, "no_route");
    for method in ["TRACE", "BREW", "", "get"] {
        let answer = preflight(&mut raw, "/flights/7", APP, method);
        assert_refused(&answer, 405, "method_not_allowed");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn options_that_are_no_preflight_are_a_request_like_any_other() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    assert_refused(
        &raw.exchange(request("OPTIONS", "/private", &[])),
        401,
        "unauthenticated",
    );
    let half = [("Origin", APP)];
    assert_refused(
        &raw.exchange(request("OPTIONS", "/private", &half)),
        401,
        "unauthenticated",
    );
    assert_eq!(raw.exchange(request("OPTIONS", "/open", &half)).status, 200);
    // Without `cors`, an upstream may answer preflights itself.
    let own = Reply::new(204, "").header("Access-Control-Allow-Origin", "https://own.test");
    origin.on("/theirs", own);
    let answer = preflight(&mut raw, "/theirs", "https://own.test", "PUT");
    assert_told(
        &answer,
        &[("access-control-allow-origin", "https://own.test")],
    );
    assert_eq!(
        origin.last().header("access-control-request-method"),
        Some("PUT")
    );
}

#[test]
fn an_answer_is_readable_for_its_origin_and_for_no_other() {
    let (airside, origin) = start();
    origin.on("/flights/7", Reply::new(200, "seven").header("X-Seen", "1"));
    let mut raw = airside.raw();
    for own in [APP, "https://a.b.example.org"] {
        let answer = get_from(&mut raw, "/flights/7", own);
        assert_eq!(answer.text(), "seven");
        assert_told(
            &answer,
            &[
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-origin", own),
                ("access-control-expose-headers", "RateLimit, X-Seen"),
                ("vary", "Origin"),
            ],
        );
    }
    for other in ["https://evil.test", "https://example.org", "null"] {
        let answer = get_from(&mut raw, "/flights/7", other);
        // Who may read is the browser's to enforce; who may call is not asked here.
        assert_eq!(answer.status, 200, "{other}");
        assert_told(&answer, UNREADABLE);
    }
    assert_told(&raw.exchange(request("GET", "/flights/7", &[])), UNREADABLE);
    let twice = request("GET", "/hi", &[("Origin", APP), ("Origin", APP)]);
    assert_told(&raw.exchange(twice), UNREADABLE);
    // Any origin: nothing depends on whose it is.
    let any = &[("access-control-allow-origin", "*")][..];
    assert_told(&get_from(&mut raw, "/open", "https://any.test"), any);
    assert_told(&raw.exchange(request("GET", "/open", &[])), any);
}

#[test]
fn scripts_can_read_refusals_and_own_answers_too() {
    let (airside, _origin) = start();
    let ask = |target| get_from(&mut airside.raw(), target, APP);
    assert_eq!(ask("/once").status, 200);
    for (target, status) in [
        ("/private", 401),
        ("/denied", 403),
        ("/once", 429),
        ("/closed", 502),
        ("/hi", 200),
        ("/moved", 308),
    ] {
        let answer = ask(target);
        assert_eq!(answer.status, status, "{target}");
        assert_told(&answer, READABLE);
        let answer = get_from(&mut airside.raw(), target, "https://evil.test");
        assert_eq!(answer.status, status, "{target}");
        assert_told(&answer, UNREADABLE);
    }
    for framing in [
        "Content-Length: 2\r\n\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ] {
        let sent = format!("POST /small HTTP/1.1\r\nHost: x\r\nOrigin: {APP}\r\n{framing}");
        let answer = airside.raw().exchange(sent);
        assert_refused(&answer, 413, "body_too_large");
        assert_told(&answer, READABLE);
    }
}

#[test]
fn what_the_upstream_says_of_origins_is_replaced_and_its_vary_is_kept() {
    let (airside, origin) = start();
    let mut reply = Reply::new(200, "hi");
    for (name, value) in [
        ("Access-Control-Allow-Origin", "*"),
        ("access-control-allow-origin", "https://evil.test"),
        ("Access-Control-Allow-Credentials", "true"),
        ("ACCESS-CONTROL-EXPOSE-HEADERS", "Set-Cookie"),
        ("Access-Control-Allow-Private-Network", "true"),
        ("Vary", "Accept-Encoding"),
    ] {
        reply = reply.header(name, value);
    }
    origin.on("/small", reply);
    let mut raw = airside.raw();
    let kept = ("vary", "Accept-Encoding");
    assert_told(
        &get_from(&mut raw, "/small", APP),
        &[
            ("access-control-allow-origin", APP),
            kept,
            ("vary", "Origin"),
        ],
    );
    assert_told(
        &get_from(&mut raw, "/small", "https://evil.test"),
        &[kept, ("vary", "Origin")],
    );
    for vary in ["accept, ORIGIN", "*"] {
        origin.on("/small", Reply::new(200, "").header("Vary", vary));
        let answer = get_from(&mut raw, "/small", APP);
        assert_told(
            &answer,
            &[("access-control-allow-origin", APP), ("vary", vary)],
        );
    }
}

#[test]
fn the_defaults_cors_holds_where_no_route_was_found() {
    let top = r#"defaults: { auth: public, cors: { origins: ["https://app.example.com"] } }"#;
    let origin = Origin::start();
    let set_up = edge::with_top(top, "  - { path: /a, methods: [POST], upstream: origin }");
    let airside = set_up.origin(&origin).start();
    let mut raw = airside.raw();
    for (target, status) in [("/none", 404), ("/a", 405), ("/%00", 400)] {
        let answer = get_from(&mut raw, target, APP);
        assert_eq!(answer.status, status);
        assert_told(&answer, READABLE);
        let answer = get_from(&mut raw, target, "https://evil.test");
        assert_told(&answer, UNREADABLE);
    }
}

/// curl sends what browsers send, byte for byte, and shows what they decide by.
#[test]
fn a_browsers_two_requests_as_curl_sends_them() {
    let (airside, _origin) = start();
    let url = airside.url("/flights/7");
    let browser = "-A 'Mozilla/5.0 (X11; Linux x86_64)' -H 'Accept: */*' -H 'Sec-Fetch-Mode: cors' \
        -H 'Sec-Fetch-Site: cross-site' -H 'Referer: https://app.example.com/'";
    let shown = crate::support::bash::session(&[
        format!(
            "curl -si -X OPTIONS {browser} -H 'Origin: {APP}' -H 'Access-Control-Request-Method: DELETE' \
             -H 'Access-Control-Request-Headers: authorization' {url}"
        ),
        format!("curl -si -X DELETE {browser} -H 'Origin: {APP}' -H 'Authorization: x' {url}"),
    ]);
    let [preflight, answer] = [&shown[0], &shown[1]].map(|text| text.to_ascii_lowercase());
    assert!(preflight.starts_with("http/1.1 204"), "{preflight}");
    assert!(
        preflight.contains("access-control-allow-methods: get, delete\r\n"),
        "{preflight}"
    );
    assert!(preflight.contains("access-control-allow-headers: authorization, x-own\r\n"));
    assert!(answer.starts_with("http/1.1 200"), "{answer}");
    for text in [preflight, answer] {
        assert!(
            text.contains(&format!("access-control-allow-origin: {APP}\r\n")),
            "{text}"
        );
        assert!(
            text.contains("access-control-allow-credentials: true\r\n"),
            "{text}"
        );
        assert!(text.contains("vary: origin\r\n"), "{text}");
    }
}
