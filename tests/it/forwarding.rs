//! The head that an upstream gets: what the gateway says of the request, and what of the client's word it keeps.

use crate::support::edge::{self, get, request};
use crate::support::origin::{Origin, Request};
use crate::support::server::Airside;

const ROUTE: &str = "  - { path: /*, upstream: origin }";

/// A gateway to which every client of this machine is a proxy that it trusts.
fn trusting() -> (Airside, Origin) {
    let origin = Origin::start();
    let top = "server: { trusted_proxies: [127.0.0.0/8, 10.0.0.0/8] }";
    (edge::with_top(top, ROUTE).origin(&origin).start(), origin)
}

/// Sends a request with these headers, and brings what the upstream saw.
#[track_caller]
fn seen(airside: &Airside, origin: &Origin, headers: &[(&str, &str)]) -> Request {
    let before = origin.count();
    assert_eq!(
        airside.raw().exchange(request("GET", "/a", headers)).status,
        200
    );
    assert_eq!(origin.count(), before + 1);
    origin.last()
}

#[track_caller]
fn assert_values(request: &Request, name: &str, values: &[&str]) {
    let found: Vec<_> = request.head.all(name).collect();
    assert_eq!(found, values, "{name}");
}

#[test]
fn a_plain_request_gets_exactly_the_gateways_headers_and_its_own() {
    let (airside, origin) = edge::start(ROUTE);
    let request = seen(
        &airside,
        &origin,
        &[("Accept", "a/b"), ("X-Own", "1"), ("X-Own", "2")],
    );
    let mut names: Vec<_> = request
        .head
        .headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    names.sort();
    let expected = [
        "accept",
        "host",
        "traceparent",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-own",
        "x-own",
        "x-request-id",
    ];
    assert_eq!(names, expected);
    assert_eq!(request.head.line, "GET /a HTTP/1.1");
    assert_values(&request, "host", &["edge.test"]);
    assert_values(&request, "x-own", &["1", "2"]);
    assert_values(&request, "via", &["1.1 airside"]);
    assert_values(&request, "x-forwarded-for", &["127.0.0.1"]);
    assert_values(&request, "x-forwarded-proto", &["http"]);
    assert_values(&request, "x-forwarded-host", &["edge.test"]);
}

#[test]
fn a_request_id_is_made_and_only_a_trusted_proxys_is_kept() {
    let hex = |id: &str| id.len() == 32 && id.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    let (airside, origin) = edge::start(ROUTE);
    let one = seen(&airside, &origin, &[("X-Request-Id", "mine")]);
    let other = seen(&airside, &origin, &[]);
    let ids = [&one, &other].map(|request| request.header("x-request-id").unwrap());
    assert!(ids.iter().all(|id| hex(id)), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
    let (airside, origin) = trusting();
    let kept = seen(&airside, &origin, &[("X-Request-Id", "theirs-1/2")]);
    assert_values(&kept, "x-request-id", &["theirs-1/2"]);
    let long = "i".repeat(129);
    for unfit in ["", "a b", "\u{e9}", &long] {
        let request = seen(&airside, &origin, &[("X-Request-Id", unfit)]);
        let ids: Vec<_> = request.head.all("x-request-id").collect();
        assert!(ids.len() == 1 && hex(ids[0]), "{unfit}: {ids:?}");
    }
}

#[test]
fn a_strangers_word_about_where_it_comes_from_is_replaced_or_removed() {
    let (airside, origin) = edge::start(ROUTE);
    let request = seen(
        &airside,
        &origin,
        &[
            ("X-Forwarded-For", "203.0.113.1"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("X-FORWARDED-HOST", "evil.test"),
            ("X-Forwarded-Port", "443"),
            ("X-Forwarded-Prefix", "/evil"),
            ("X-Real-IP", "203.0.113.1"),
            ("Forwarded", "for=203.0.113.1"),
            ("Via", "1.0 before"),
        ],
    );
    assert_values(&request, "x-forwarded-for", &["127.0.0.1"]);
    assert_values(&request, "x-forwarded-proto", &["http"]);
    assert_values(&request, "x-forwarded-host", &["edge.test"]);
    for name in [
        "x-forwarded-port",
        "x-forwarded-prefix",
        "x-real-ip",
        "forwarded",
    ] {
        assert_values(&request, name, &[]);
    }
    assert_values(&request, "via", &["1.0 before, 1.1 airside"]);
}

#[test]
fn a_trusted_proxys_word_is_kept_and_continued() {
    let (airside, origin) = trusting();
    let request = seen(
        &airside,
        &origin,
        &[
            ("X-Forwarded-For", "203.0.113.1"),
            ("X-Forwarded-For", "10.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "public.test"),
            ("X-Forwarded-Port", "443"),
            ("X-Real-IP", "203.0.113.1"),
            ("Forwarded", "for=203.0.113.1"),
        ],
    );
    assert_values(
        &request,
        "x-forwarded-for",
        &["203.0.113.1, 10.0.0.1, 127.0.0.1"],
    );
    assert_values(&request, "x-forwarded-proto", &["https"]);
    assert_values(&request, "x-forwarded-host", &["public.test"]);
    assert_values(&request, "x-forwarded-port", &["443"]);
    assert_values(&request, "x-real-ip", &["203.0.113.1"]);
    assert_values(&request, "forwarded", &["for=203.0.113.1"]);
    // What it leaves out is said in its place.
    let request = seen(&airside, &origin, &[]);
    assert_values(&request, "x-forwarded-for", &["127.0.0.1"]);
    assert_values(&request, "x-forwarded-proto", &["http"]);
    assert_values(&request, "x-forwarded-host", &["edge.test"]);
}

#[test]
fn a_trace_is_started_continued_or_repaired() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (airside, origin) = edge::start(ROUTE);
    let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let request = seen(&airside, &origin, &[("traceparent", &good)]);
    let parts: Vec<_> = request.header("traceparent").unwrap().split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE, "01"));
    assert_ne!(parts[2], "00f067aa0ba902b7");
    let zero = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
    let upper = good.to_uppercase();
    for broken in [
        "",
        "garbage",
        &zero,
        &upper,
        &good[..54],
        &format!("ff{}", &good[2..]),
    ] {
        let headers = [("traceparent", broken)];
        let headers = if broken.is_empty() { &[][..] } else { &headers };
        let request = seen(&airside, &origin, headers);
        let values: Vec<_> = request.head.all("traceparent").collect();
        assert_eq!(values.len(), 1, "{broken}");
        let parts: Vec<_> = values[0].split('-').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [2, 32, 16, 2]
        );
        assert_ne!(parts[1], TRACE, "{broken}");
        assert_ne!(parts[1], "0".repeat(32), "{broken}");
    }
}

#[test]
fn identity_headers_of_the_client_never_reach_an_upstream() {
    let (airside, origin) = edge::start(ROUTE);
    let request = seen(
        &airside,
        &origin,
        &[
            ("X-Auth-User", "evil"),
            ("x-auth-user", "evil"),
            ("X-AUTH-ROLES", "admin"),
            ("X_Auth_User", "evil"),
            ("x_auth-roles", "admin"),
            ("X-Auth_Email", "evil"),
            ("X-Auth-Issuer", "evil"),
            ("X-Auth-Anything-Else", "evil"),
            ("Connection", "x-auth-user, x-request-id"),
        ],
    );
    let head = String::from_utf8_lossy(&request.head.raw).to_ascii_lowercase();
    assert!(!head.contains("auth") && !head.contains("evil"), "{head}");
    // `Connection` can't take away what the gateway says either.
    assert_eq!(request.head.all("x-request-id").count(), 1);
}

#[test]
fn names_with_an_underscore_are_dropped() {
    let (airside, origin) = edge::start(ROUTE);
    let request = seen(
        &airside,
        &origin,
        &[
            ("X_Forwarded_For", "1"),
            ("content_length", "5"),
            ("A_b", "c"),
            ("A-b", "d"),
        ],
    );
    assert!(!String::from_utf8_lossy(&request.head.raw).contains('_'));
    assert_values(&request, "a-b", &["d"]);
}

#[test]
fn hop_by_hop_headers_and_those_that_connection_names_stay_behind() {
    let (airside, origin) = edge::start(ROUTE);
    let request = seen(
        &airside,
        &origin,
        &[
            ("Connection", "keep-alive, X-Hop"),
            ("X-Hop", "a"),
            ("X-End", "b"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("Proxy-Authorization", "Basic YTpi"),
            ("TE", "gzip"),
            ("Trailer", "X-T"),
            ("Upgrade", "foo"),
        ],
    );
    for name in [
        "connection",
        "x-hop",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "upgrade",
    ] {
        assert_values(&request, name, &[]);
    }
    assert_values(&request, "x-end", &["b"]);
    // Each is known without the others, too.
    for (name, value) in [
        ("Connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "Basic YTpi"),
        ("TE", "gzip"),
        ("Trailer", "X-T"),
        ("Upgrade", "foo"),
        ("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"),
    ] {
        let request = seen(&airside, &origin, &[(name, value)]);
        assert_values(&request, &name.to_lowercase(), &[]);
    }
}

#[test]
fn a_route_sets_and_removes_headers_both_ways() {
    use crate::support::origin::Reply;
    let (airside, origin) = edge::start(
        r#"
  - path: /a
    upstream: origin
    request_headers: { set: { X-Set: new, Accept: "a/b" }, remove: [X-Gone, Cookie] }
    response_headers: { set: { X-Set: new, X-Frame-Options: DENY }, remove: [Server, X-Powered-By] }
"#,
    );
    let reply = Reply::new(200, "hi")
        .header("Server", "old")
        .header("x-powered-by", "php")
        .header("X-Set", "old");
    origin.on("/a", reply.header("X-Kept", "kept"));
    let headers = [
        ("X-Set", "old"),
        ("x-set", "older"),
        ("X-Gone", "1"),
        ("cookie", "a=b"),
        ("X-Kept", "k"),
    ];
    let answer = airside.raw().exchange(request("GET", "/a", &headers));
    let request = origin.last();
    assert_values(&request, "x-set", &["new"]);
    assert_values(&request, "accept", &["a/b"]);
    assert_values(&request, "x-gone", &[]);
    assert_values(&request, "cookie", &[]);
    assert_values(&request, "x-kept", &["k"]);
    assert_eq!(answer.head.all("x-set").collect::<Vec<_>>(), ["new"]);
    assert_eq!(answer.header("x-frame-options"), "DENY");
    assert_eq!(answer.header("x-kept"), "kept");
    assert_eq!(
        (
            answer.head.header("server"),
            answer.head.header("x-powered-by")
        ),
        (None, None)
    );
    assert_eq!(airside.raw().exchange(get("/a")).text(), "hi");
}
