//! However a request comes, it meets the same policies: no method, version, form of the target or upgrade goes
//! around one.

use std::io::Write;
use std::sync::Arc;

use crate::support::edge::{self, request};
use crate::support::origin::{Answer, Origin, Reply};
use crate::support::raw::Response;
use crate::support::server::{Airside, SetUp};

const TOP: &str = r#"
server: { trusted_proxies: [127.0.0.1] }
identity: { listen: "{identity}", store: "sqlite:{folder}/a.db", keys: "{folder}/keys" }
"#;
const ROUTES: &str = r#"
  - { path: /deny/*, upstream: origin, deny: [203.0.113.9], response_headers: { set: { X-Policy: "on" } } }
  - { path: /auth/*, upstream: origin, auth: required, response_headers: { set: { X-Policy: "on" } } }
  - { path: /role/*, upstream: origin, auth: { roles: [admin] }, response_headers: { set: { X-Policy: "on" } } }
  - { path: /limit/*, upstream: origin, limits: [{ rate: 1/1h, by: ip }], response_headers: { set: { X-Policy: "on" } } }
  - path: /pass/*
    upstream: origin
    rewrite: /inner/{rest}
    request_headers: { set: { X-Told: "yes" }, remove: [X-Secret] }
    response_headers: { set: { X-Policy: "on" }, remove: [X-Inside] }
"#;

/// One way in which a request may come.
struct Way {
    name: &'static str,
    /// The method, for reading the answer.
    method: &'static str,
    bytes: fn(path: &str, client: &str) -> String,
}

const WAYS: &[Way] = &[
    Way {
        name: "GET",
        method: "GET",
        bytes: |path, client| plain("GET", path, client),
    },
    Way {
        name: "HEAD",
        method: "HEAD",
        bytes: |path, client| plain("HEAD", path, client),
    },
    Way {
        name: "OPTIONS",
        method: "GET",
        bytes: |path, client| plain("OPTIONS", path, client),
    },
    Way {
        name: "DELETE",
        method: "GET",
        bytes: |path, client| plain("DELETE", path, client),
    },
    Way {
        name: "POST with a body",
        method: "GET",
        bytes: |path, client| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: a.test\r\nX-Secret: s\r\nX-Forwarded-For: {client}\r\nContent-Length: 2\r\n\r\nab"
            )
        },
    },
    Way {
        name: "a preflight where there is no cors",
        method: "GET",
        bytes: |path, client| {
            request(
                "OPTIONS",
                path,
                &[
                    ("X-Forwarded-For", client),
                    ("X-Secret", "s"),
                    ("Origin", "https://app.example.com"),
                    ("Access-Control-Request-Method", "GET"),
                ],
            )
        },
    },
    Way {
        name: "HTTP/1.0",
        method: "GET",
        bytes: |path, client| {
            format!(
                "GET {path} HTTP/1.0\r\nHost: a.test\r\nX-Secret: s\r\nX-Forwarded-For: {client}\r\n\r\n"
            )
        },
    },
    Way {
        name: "absolute form",
        method: "GET",
        bytes: |path, client| {
            let target = format!("http://edge.test{path}");
            plain("GET", &target, client)
        },
    },
    Way {
        name: "a path that is not normal",
        method: "GET",
        bytes: |path, client| plain("GET", &format!("/x/..//.{}", path), client),
    },
    Way {
        name: "an upgrade",
        method: "GET",
        bytes: |path, client| upgrade(path, client),
    },
];

fn plain(method: &str, target: &str, client: &str) -> String {
    request(
        method,
        target,
        &[("X-Forwarded-For", client), ("X-Secret", "s")],
    )
}

fn upgrade(path: &str, client: &str) -> String {
    request(
        "GET",
        path,
        &[
            ("X-Forwarded-For", client),
            ("X-Secret", "s"),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
    )
}

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    let set_up: SetUp = edge::with_top(TOP, ROUTES).origin(&origin);
    (set_up.start(), origin)
}

#[track_caller]
fn ask(airside: &Airside, way: &Way, path: &str, client: &str) -> Response {
    let mut raw = airside.raw();
    raw.send((way.bytes)(path, client));
    raw.try_read(way.method).expect(way.name)
}

#[test]
fn every_way_meets_every_policy() {
    let (airside, origin) = start();
    for (index, way) in WAYS.iter().enumerate() {
        let name = way.name;
        let client = format!("198.51.100.{}", index + 1);
        for (path, client, status) in [
            ("/deny/x", "203.0.113.9", 403),
            ("/auth/x", &client[..], 401),
            ("/role/x", &client, 401),
        ] {
            let before = origin.count();
            let answer = ask(&airside, way, path, client);
            assert_eq!(answer.status, status, "{name} {path}");
            assert_eq!(answer.header("x-policy"), "on", "{name} {path}");
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{name}"
            );
            assert_eq!(origin.count(), before, "{name} {path} reached the upstream");
        }
        assert_eq!(ask(&airside, way, "/deny/x", &client).status, 200, "{name}");
        let first = ask(&airside, way, "/limit/x", &client);
        assert_eq!(
            (first.status, first.header("ratelimit").is_empty()),
            (200, false),
            "{name}"
        );
        let second = ask(&airside, way, "/limit/x", &client);
        assert_eq!(
            (second.status, second.header("x-policy")),
            (429, "on"),
            "{name}"
        );
    }
}

#[test]
fn every_way_is_rewritten_and_its_headers_are_changed() {
    let (airside, origin) = start();
    origin.on("/inner/x", Reply::new(200, "").header("X-Inside", "1"));
    for way in WAYS {
        let name = way.name;
        let answer = ask(&airside, way, "/pass/x", "198.51.100.1");
        assert_eq!(
            (answer.status, answer.header("x-policy")),
            (200, "on"),
            "{name}"
        );
        assert_eq!(answer.head.header("x-inside"), None, "{name}");
        let seen = origin.last();
        assert_eq!(seen.target, "/inner/x", "{name}");
        assert_eq!(seen.header("x-told"), Some("yes"), "{name}");
        assert_eq!(seen.header("x-secret"), None, "{name}");
        assert_eq!(seen.head.all("host").count(), 1, "{name}");
    }
}

#[test]
fn a_switch_of_protocols_bears_the_routes_headers_and_counts() {
    let (airside, origin) = start();
    let switch = |mut stream: std::net::TcpStream, _: &crate::support::origin::Request| {
        let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Inside: 1\r\n\r\nhello";
        let _ = stream.write_all(head.as_bytes());
    };
    let switch: Answer = Answer::Take(Arc::new(switch));
    origin
        .on("/inner/ws", switch.clone())
        .on("/limit/ws", switch);
    let mut raw = airside.raw();
    let answer = raw.exchange(upgrade("/pass/ws", "198.51.100.1"));
    assert_eq!((answer.status, answer.header("x-policy")), (101, "on"));
    assert_eq!(answer.header("connection").to_ascii_lowercase(), "upgrade");
    assert_eq!(answer.head.header("x-inside"), None);
    assert_eq!(raw.read_bytes(5), b"hello");
    let answer = airside.raw().exchange(upgrade("/limit/ws", "198.51.100.2"));
    assert_eq!(
        (answer.status, answer.header("ratelimit").is_empty()),
        (101, false)
    );
    let answer = airside.raw().exchange(upgrade("/limit/ws", "198.51.100.2"));
    assert_eq!(answer.status, 429);
}

#[test]
fn what_is_never_forwarded_is_refused_before_any_route() {
    let (airside, origin) = start();
    let own = "198.51.100.1";
    for (sent, status) in [
        (plain("TRACE", "/pass/x", own), 405),
        (plain("CONNECT", "edge.test:80", own), 405),
        (plain("CONNECT", "/pass/x", own), 405),
        (plain("BREW", "/pass/x", own), 501),
        (plain("GET", "*", own), 400),
        (plain("GET", "edge.test/pass/x", own), 400),
        (plain("GET", "ftp://edge.test/pass/x", own), 400),
    ] {
        let answer = airside.raw().exchange(&sent);
        assert_eq!(answer.status, status, "{sent}");
    }
    // About the server as a whole: what it knows, and nothing of the routes.
    let answer = airside.raw().exchange(plain("OPTIONS", "*", own));
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.header("allow"),
        "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    );
    assert_eq!(origin.count(), 0);
}
