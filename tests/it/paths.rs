//! One reading of a path: what the upstream sees for each spelling, and that no spelling goes round a route.

use crate::support::edge::{self, assert_refused, get};
use crate::support::origin::Origin;

#[test]
fn every_spelling_reaches_the_upstream_in_its_normal_form() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let mut raw = airside.raw();
    for (sent, seen) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b", "/a/b"),
        ("/a/./b/.", "/a/b/"),
        ("/a/../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/%2e/b", "/a/b"),
        ("/a/.%2e/b", "/b"),
        ("/a/..;x/b", "/b"),
        ("/a/..;/b", "/b"),
        ("/a;v=1/b;w", "/a/b"),
        ("/;a/b", "/b"),
        ("/%61%2D%5f%7E", "/a-_~"),
        ("/a%20b", "/a%20b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%3bb%3f%23", "/a%3Bb%3F%23"),
        ("/%252e%252e/x", "/%252e%252e/x"),
        ("/%25%32%66", "/%252f"),
        ("/a/...", "/a/..."),
        ("/a/.b", "/a/.b"),
        ("/a?x=//../%2f%00;y", "/a?x=//../%2f%00;y"),
        ("/a/../b?c=/../d", "/b?c=/../d"),
        ("/a#part", "/a"),
        ("http://edge.test/a/b?c", "/a/b?c"),
        ("http://edge.test/a/../b;c", "/b"),
        ("http://edge.test", "/"),
        ("HTTPS://edge.test/x", "/x"),
    ] {
        let before = origin.count();
        assert_eq!(raw.exchange(get(sent)).status, 200, "{sent}");
        assert_eq!(origin.count(), before + 1, "{sent}");
        assert_eq!(
            origin.last().head.line,
            format!("GET {seen} HTTP/1.1"),
            "{sent}"
        );
        assert_eq!(origin.last().header("host"), Some("edge.test"), "{sent}");
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_400_and_reaches_nobody() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let mut raw = airside.raw();
    for sent in [
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%5Cb",
        "/a\\b",
        "/%00",
        "/a%00b",
        "/a%0d%0ab",
        "/a%7f",
        "/a%1f",
        "/a;%2f",
        "/a;x%00",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%%20",
        "/%u0041",
        "/..",
        "/a/../..",
        "/%2e%2e/a",
        "/..;/a",
        "/a/%2e%2e;x/..",
        "a",
        "a/b",
        "?q",
        "*",
        "admin:80",
        "edge.test/a",
        "foo:bar://edge.test/a",
        "ftp://edge.test/a",
    ] {
        let answer = raw.exchange(get(sent));
        let body = assert_refused(&answer, 400, "bad_request");
        assert_ne!(body["detail"].as_str().unwrap_or_default(), "", "{sent}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn bytes_that_are_not_text_and_schemes_without_a_host_are_400_and_reach_nobody() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    for target in [
        &b"/a\xff"[..],
        b"/\xc3\x28",
        b"/a\xc3",
        b"/a?\xff",
        b"/\x80/b",
        b"http://edge.test/\xff",
        b"file:///a",
        b"http:/a",
        b"http:a",
    ] {
        let mut sent = b"GET ".to_vec();
        sent.extend_from_slice(target);
        sent.extend_from_slice(b" HTTP/1.1\r\nHost: edge.test\r\n\r\n");
        assert_eq!(
            airside.raw().exchange(sent).status,
            400,
            "{}",
            target.escape_ascii()
        );
    }
    for byte in [0, 1, 0x0b, 0x7f] {
        let mut sent = b"GET /a".to_vec();
        sent.push(byte);
        sent.extend_from_slice(b" HTTP/1.1\r\nHost: edge.test\r\n\r\n");
        assert_eq!(airside.raw().exchange(sent).status, 400, "{byte:#x}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn options_of_the_whole_server_is_answered_here() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let answer = airside
        .raw()
        .exchange("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("allow"),
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    );
    assert_eq!(answer.head.header("content-length"), None);
    assert_eq!(origin.count(), 0);
}

#[test]
fn no_spelling_goes_round_a_protected_route() {
    let origin = Origin::start();
    let top = r#"
identity:
  listen: "{identity}"
  store: "sqlite:{folder}/a.db"
  keys: "{folder}/keys"
  issuer: http://edge.test
  audience: edge
"#;
    // Everything else is public, so that a spelling which misses the first route is caught in the act.
    let routes = r#"
  - { path: /admin/*, upstream: origin, auth: required }
  - { path: /*, upstream: origin, rewrite: "/public/{rest}" }
"#;
    let airside = edge::with_top(top, routes).origin(&origin).start();
    for sent in [
        "/admin/x",
        "/admin",
        "/admin/",
        "//admin/x",
        "///admin//x",
        "/./admin/x",
        "/admin/./x",
        "/a/../admin/x",
        "/a/b/../../admin/x",
        "/a/..;/admin/x",
        "/a/..;y=1/admin/x",
        "/a/%2e%2e/admin/x",
        "/a/.%2e/admin/x",
        "/a/%2E./admin/x",
        "/%2e/admin/x",
        "/admin;v=1/x",
        "/admin;/x",
        "/;/admin/x",
        "/;x/admin/x",
        "/%61dmin/x",
        "/%61%64%6d%69%6e/x",
        "/admi%6E/x",
        "/admin/%78",
        "/admin?x",
        "/admin?/../public",
        "/admin/x#/public",
        "/admin/public/../x",
        "/admin//x",
        "/admin/x/",
        "/admin/x;y",
        "/public/../admin/x",
        "/public/..//admin/x",
        "/public/%2e%2e;/admin/x",
        "/admin%2fx",
        "/admin%2Fx",
        "/admin%5cx",
        "/admin\\x",
        "\\admin\\x",
        "/\\admin/x",
        "/..%2fadmin/x",
        "/a/..%2fadmin/x",
        "/a/..%5cadmin/x",
        "/..\\admin/x",
        "/a\\..\\admin/x",
        "/admin%00/x",
        "/%00/admin/x",
        "/admin%0a/x",
        "/../admin/x",
        "/%2e%2e/admin/x",
        "/..;/admin/x",
        "/admin%/x",
        "/%/admin/x",
        "/%zz/../admin/x",
        "admin/x",
        "./admin/x",
        "../admin/x",
        "?/admin/x",
        "http://edge.test/admin/x",
        "HTTP://edge.test/admin/x",
        "http://edge.test//admin/x",
        "*/admin/x",
        "http://edge.test/a/../admin/x",
        "http:/admin/x",
        "http:admin/x",
        "foo:bar://edge.test/admin/x",
        "foo://edge.test/admin/x",
        "http://edge.test:80/admin/x",
        "http://a@edge.test/admin/x",
        "//edge.test/../admin/x",
    ] {
        let status = airside.raw().exchange(get(sent)).status;
        assert!(matches!(status, 400 | 401 | 404), "{status} for {sent}");
    }
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let sent = format!("{method} /admin/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let mut raw = airside.raw();
        raw.send(sent);
        assert_eq!(raw.try_read(method).unwrap().status, 401, "{method}");
    }
    let seen: Vec<_> = origin
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert!(seen.is_empty(), "reached the upstream: {seen:?}");
    // The trap works: a neighbour's path does get through.
    assert_eq!(airside.raw().exchange(get("/adminx")).status, 200);
    assert_eq!(origin.last().target, "/public/adminx");
}
