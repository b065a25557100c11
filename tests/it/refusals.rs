//! What Airside refuses: status, code, title and headers of each refusal, and that the next request on the same
//! connection is served.

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::Origin;
use crate::support::port;
use crate::support::raw::{Raw, Response};
use crate::support::server::Airside;

const TOP: &str = r#"
identity:
  listen: "{identity}"
  store: "sqlite:{folder}/a.db"
  keys: "{folder}/keys"
  issuer: http://edge.test
  audience: edge
upstreams: { origin: { servers: ["{origin}"] }, closed: { servers: ["{closed}"] } }
defaults:
  auth: public
  max_body: 1KiB
  response_headers: { set: { X-Policy: "on" } }
"#;
const ROUTES: &str = r#"
  - { path: /open/*, upstream: origin }
  - { path: /get, methods: [GET], upstream: origin }
  - { path: /private, upstream: origin, auth: required }
  - { path: /once, upstream: origin, limits: [{ rate: 1/1h }] }
  - { path: /closed, upstream: closed }
"#;

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    let closed = port::free();
    let set_up = edge::with_top(TOP, ROUTES)
        .origin(&origin)
        .set("closed", closed);
    (set_up.start(), origin)
}

/// The connection serves another request.
#[track_caller]
fn assert_usable(raw: &mut Raw) {
    assert_eq!(
        raw.exchange(get("/open/next")).status,
        200,
        "the next request"
    );
}

#[track_caller]
fn assert_title(answer: &Response, status: u16, code: &str, title: &str) {
    let body = assert_refused(answer, status, code);
    assert_eq!(body["title"], title);
}

#[test]
fn refusals_say_what_they_are_and_leave_the_connection_open() {
    let (airside, _origin) = start();
    let mut raw = airside.raw();
    assert_eq!(raw.exchange(get("/once")).status, 200);
    let long = format!("/open/{}", "a".repeat(8 << 10));
    let fields: Vec<_> = (0..100).map(|_| ("A", "b")).collect();
    let wide = "a".repeat(33 << 10);
    for (sent, status, code, title) in [
        (
            get("/none"),
            404,
            "no_route",
            "No route matches this request",
        ),
        (
            request("DELETE", "/get", &[]),
            405,
            "method_not_allowed",
            "This method is not allowed here",
        ),
        (
            get("/private"),
            401,
            "unauthenticated",
            "A valid token is needed",
        ),
        (get("/once"), 429, "rate_limited", "Too many requests"),
        (
            get("/open/%00"),
            400,
            "bad_request",
            "The request is not valid",
        ),
        (
            get(&long),
            414,
            "uri_too_long",
            "The request's target is too long",
        ),
        (
            request("GET", "/open", &fields),
            431,
            "headers_too_large",
            "The request's headers are too large",
        ),
        (
            request("GET", "/open", &[("A", &wide)]),
            431,
            "headers_too_large",
            "The request's headers are too large",
        ),
        (
            request("BREW", "/open", &[]),
            501,
            "bad_request",
            "This method is not implemented",
        ),
        (
            request("TRACE", "/open", &[]),
            405,
            "method_not_allowed",
            "This method is not allowed here",
        ),
    ] {
        let answer = raw.exchange(&sent);
        assert_title(&answer, status, code, title);
        assert_eq!(answer.header("connection"), "keep-alive", "{status}");
        assert_usable(&mut raw);
    }
}

#[test]
fn each_refusal_bears_the_headers_that_its_status_asks_for_and_no_others() {
    let (airside, origin) = start();
    assert_eq!(airside.raw().exchange(get("/once")).status, 200);
    let usual = [
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "date",
    ];
    for (sent, extra) in [
        (get("/none"), &["x-policy"][..]),
        (request("PUT", "/get", &[]), &["allow", "x-policy"]),
        (get("/private"), &["www-authenticate", "x-policy"]),
        (
            get("/once"),
            &["ratelimit", "ratelimit-policy", "retry-after", "x-policy"],
        ),
        (get("/closed"), &["x-policy"]),
        (get("/open/%2f"), &["x-policy"]),
    ] {
        let answer = airside.raw().exchange(&sent);
        let mut names: Vec<_> = answer
            .head
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.sort();
        let mut expected: Vec<_> = usual
            .iter()
            .chain(extra)
            .map(|name| (*name).to_owned())
            .collect();
        expected.sort();
        assert_eq!(names, expected, "{sent}");
        let inside = ["127.0.0.1", "Pingora", "pingora", "closed", "origin"];
        let text = answer.text();
        assert!(inside.iter().all(|word| !text.contains(word)), "{text}");
    }
    let private = airside.raw().exchange(get("/private"));
    assert_eq!(
        private.header("www-authenticate"),
        "Bearer realm=\"airside\""
    );
    assert_eq!(
        airside
            .raw()
            .exchange(request("PUT", "/get", &[]))
            .header("allow"),
        "GET"
    );
    let traced = airside.raw().exchange(request("TRACE", "/open", &[]));
    assert_eq!(
        traced.header("allow"),
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    );
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_token_that_cannot_be_one_is_told_nothing_more_than_none() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    for value in [
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Basic YTpi",
        "Bearer a b",
        "x",
        "bearer \u{e9}",
    ] {
        let answer = raw.exchange(request("GET", "/private", &[("Authorization", value)]));
        let body = assert_refused(&answer, 401, "unauthenticated");
        assert_eq!(body.get("detail"), None, "{value}");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"airside\""
        );
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_refused_head_gets_the_length_but_no_body() {
    let (airside, _origin) = start();
    let mut raw = airside.raw();
    for (target, status) in [
        ("/none", 404),
        ("/get", 405),
        ("/private", 401),
        ("/%00", 400),
    ] {
        raw.send(request("HEAD", target, &[]));
        let answer = raw.try_read("HEAD").unwrap();
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let length: usize = answer.header("content-length").parse().unwrap();
        assert!(length > 100, "{length}");
        // Bytes of a body would stand before the next answer.
        assert_usable(&mut raw);
    }
}

#[test]
fn an_unreachable_upstream_is_502_and_the_connection_is_closed_as_announced() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let answer = raw.exchange(get("/closed"));
    assert_title(
        &answer,
        502,
        "upstream_unreachable",
        "The service could not be reached",
    );
    assert_eq!(
        (answer.header("connection"), answer.header("x-policy")),
        ("close", "on")
    );
    assert!(raw.closes());
    let answer = airside
        .raw()
        .exchange("POST /closed HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    assert_refused(&answer, 502, "upstream_unreachable");
    assert_eq!(origin.count(), 0);
}

#[test]
fn ambiguous_heads_are_400_with_the_reason_where_it_is_safe() {
    let (airside, origin) = start();
    for (head, detail) in [
        ("GET /open HTTP/1.1", "the request names no host"),
        ("GET /open HTTP/1.1\r\nHost:", "the request names no host"),
        (
            "GET /open HTTP/1.1\r\nHost: a b",
            "the request's host is not a name or an address with an optional port",
        ),
        (
            "GET /open HTTP/1.1\r\nHost: a,b",
            "the request's host is not a name or an address with an optional port",
        ),
        (
            "GET /open HTTP/1.1\r\nHost: a/b",
            "the request's host is not a name or an address with an optional port",
        ),
        (
            "GET /open HTTP/1.1\r\nHost: a:99999",
            "the request's host is not a name or an address with an optional port",
        ),
        (
            "GET /open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nauthorization: Bearer b",
            "the request has more than one Authorization header",
        ),
        (
            "POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked",
            "the only transfer encoding is one `chunked`",
        ),
        (
            "POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "the only transfer encoding is one `chunked`",
        ),
        (
            "POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, chunked",
            "the only transfer encoding is one `chunked`",
        ),
    ] {
        // The body of those that have one; to the others it is a request of its own, after the answer.
        let end = if head.contains("Transfer") {
            "\r\n\r\n0\r\n\r\n"
        } else {
            "\r\n\r\n"
        };
        let answer = airside.raw().exchange(format!("{head}{end}"));
        let body = assert_refused(&answer, 400, "bad_request");
        assert_eq!(body["detail"], detail, "{head}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn what_the_parser_refuses_is_400_and_the_connection_closes() {
    let (airside, origin) = start();
    for head in [
        "GET /open HTTP/1.1\r\nHost: a\r\nHost: b",
        "GET http://other.test/open HTTP/1.1\r\nHost: x",
        "POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip",
        "POST /open HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip",
        "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4",
        "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: +3",
        "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: -1",
        "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3",
        "POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999",
        "POST /open HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked",
        "GET /open HTTP/1.1\r\nHost : x",
        "GET /open HTTP/1.1\r\nHost: x\r\nA\u{1}: b",
        "garbage",
    ] {
        let mut raw = airside.raw();
        let answer = raw.exchange(format!("{head}\r\n\r\n"));
        assert_eq!(
            (answer.status, answer.header("connection")),
            (400, "close"),
            "{head}"
        );
        assert!(raw.closes(), "{head}");
    }
    let mut raw = airside.raw();
    assert_eq!(
        raw.exchange("CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n")
            .status,
        405
    );
    assert!(raw.closes());
    assert_eq!(origin.count(), 0);
}

#[test]
fn equal_lengths_are_one_length_and_an_unknown_expectation_is_417() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let twice =
        "POST /open/x HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(raw.exchange(twice).status, 200);
    assert_eq!(origin.last().body, b"abc");
    assert_eq!(origin.last().head.all("content-length").count(), 1);
    assert_usable(&mut raw);
    let answer = raw.exchange(request("GET", "/open", &[("Expect", "the-unexpected")]));
    assert_title(&answer, 417, "bad_request", "This expectation can't be met");
    // Whether that client sends a body now, nobody can tell.
    assert_eq!(answer.header("connection"), "close");
    assert!(raw.closes());
}
