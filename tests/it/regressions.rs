//! One test for each bug that was found, named after what it did.

use std::time::Duration;

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::{Answer, Reply};
use crate::support::wait::wait_for;

const ROUTE: &str = "  - { path: /*, upstream: origin }";

/// Routed as `/`, it was handed on as it was written.
#[test]
fn a_target_without_a_slash_reached_the_upstream() {
    let (airside, origin) = edge::start(ROUTE);
    for target in ["admin/x", "?x", "foo:bar://edge.test/admin"] {
        assert_refused(&airside.raw().exchange(get(target)), 400, "bad_request");
    }
    assert_eq!(origin.count(), 0);
}

/// Upstreams that read the request's line got a whole address where they expect a path.
#[test]
fn the_absolute_form_was_forwarded_as_it_was() {
    let (airside, origin) = edge::start(ROUTE);
    assert_eq!(
        airside.raw().exchange(get("http://edge.test/a?b")).status,
        200
    );
    assert_eq!(origin.last().target, "/a?b");
}

/// RFC 9112 §6.1: who sends both may be smuggling, so the connection ends with the answer.
#[test]
fn a_length_beside_chunks_left_the_connection_open() {
    let (airside, origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    let answer = raw.exchange(
        "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    assert!(raw.closes());
    assert_eq!(origin.last().body, b"hi");
    assert_eq!(origin.last().header("content-length"), None);
}

/// Clients of HTTP/1.0 that did not ask for more waited for the close that ends the answer.
#[test]
fn a_client_of_http_1_0_was_kept_waiting() {
    let (airside, _origin) = edge::start(&format!(
        "{ROUTE}\n  - {{ path: /own, respond: {{ body: hi }} }}"
    ));
    for target in ["/a", "/own", "/%00"] {
        let mut raw = airside.raw();
        let answer = raw.exchange(format!("GET {target} HTTP/1.0\r\nHost: x\r\n\r\n"));
        assert_eq!(answer.header("connection"), "close", "{target}");
        assert!(raw.closes(), "{target}");
    }
    let mut raw = airside.raw();
    let kept = "GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(raw.exchange(kept).header("connection"), "keep-alive");
    assert_eq!(raw.exchange(kept).status, 200);
}

/// The answer said `keep-alive`, and the connection was closed under the client's next request.
#[test]
fn a_failed_upstream_closed_the_connection_unannounced() {
    let (airside, origin) = edge::start(ROUTE);
    drop(origin);
    let mut raw = airside.raw();
    let answer = raw.exchange(get("/a"));
    assert_refused(&answer, 502, "upstream_unreachable");
    assert_eq!(answer.header("connection"), "close");
    assert!(raw.closes());
}

#[test]
fn a_strangers_forwarded_port_reached_the_upstream() {
    let (airside, origin) = edge::start(ROUTE);
    let sent = request(
        "GET",
        "/a",
        &[("X-Forwarded-Port", "443"), ("X-Forwarded-Ssl", "on")],
    );
    assert_eq!(airside.raw().exchange(sent).status, 200);
    assert_eq!(origin.last().header("x-forwarded-port"), None);
    assert_eq!(origin.last().header("x-forwarded-ssl"), None);
}

#[test]
fn two_equal_lengths_were_forwarded_as_two() {
    let (airside, origin) = edge::start(ROUTE);
    let sent = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nhi";
    assert_eq!(airside.raw().exchange(sent).status, 200);
    assert_eq!(
        origin.last().head.all("content-length").collect::<Vec<_>>(),
        ["2"]
    );
}

/// RFC 9110 §7.6.1: what `Connection` names was said to the gateway alone.
#[test]
fn hop_by_hop_headers_of_an_upstream_reached_the_client() {
    let (airside, origin) = edge::start(ROUTE);
    let reply = Reply::new(200, "hi")
        .header("Connection", "X-Hop, Content-Length")
        .header("X-Hop", "a");
    origin.on(
        "/a",
        reply
            .header("Keep-Alive", "timeout=1")
            .header("Proxy-Connection", "x"),
    );
    let answer = airside.raw().exchange(get("/a"));
    for name in ["x-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(answer.head.header(name), None, "{name}");
    }
    // Naming what frames the message does not take it away.
    assert_eq!(
        (answer.header("content-length"), answer.text().as_str()),
        ("2", "hi")
    );
}

/// It said `keep-alive`, so that the client's next request met the close.
#[test]
fn an_answer_given_while_leaving_did_not_say_so() {
    let (mut airside, origin) = edge::start(ROUTE);
    origin.on(
        "/slow",
        Reply::new(200, "done").after(Duration::from_millis(300)),
    );
    let mut raw = airside.raw();
    raw.send(get("/slow"));
    origin.wait_for_requests(1);
    airside.daemon().signal("TERM");
    let answer = raw.read();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    assert_eq!(answer.header("connection"), "close");
}

/// `ts` is when the request came, not when its answer ended.
#[test]
fn the_access_log_dated_a_request_by_its_end() {
    let (airside, origin) = edge::start(ROUTE);
    origin.on(
        "/slow",
        Reply::new(200, "").after(Duration::from_millis(600)),
    );
    let mut raw = airside.raw();
    raw.send(get("/slow"));
    origin.wait_for_requests(1);
    // This one begins later, and ends earlier.
    assert_eq!(airside.raw().exchange(get("/fast")).status, 200);
    assert_eq!(raw.read().status, 200);
    wait_for("both lines", || airside.access_log().len() == 2);
    let lines = airside.access_log();
    let at = |path: &str| {
        let line = lines.iter().find(|line| line["path"] == path).unwrap();
        line["ts"].as_str().unwrap().to_owned()
    };
    // ISO 8601 in UTC sorts as text.
    assert!(at("/slow") <= at("/fast"), "{lines:?}");
}

/// RFC 9112 §6.1: it knows none, so the close ends the body.
#[test]
fn a_client_of_http_1_0_got_chunks() {
    let (airside, origin) = edge::start(ROUTE);
    let sent =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    origin.on("/a", Answer::Bytes(sent.to_vec()));
    for connection in ["close", "keep-alive"] {
        let mut raw = airside.raw();
        raw.send(format!(
            "GET /a HTTP/1.0\r\nHost: x\r\nConnection: {connection}\r\n\r\n"
        ));
        let answer = raw.read();
        assert_eq!(
            answer.head.header("transfer-encoding"),
            None,
            "{connection}"
        );
        assert_eq!(answer.header("connection"), "close");
        assert_eq!((answer.status, answer.text().as_str()), (200, "abcde"));
        assert_eq!(origin.last().head.line, "GET /a HTTP/1.1");
    }
}

/// The log said `client_gone`, and the one who reads it looked in the wrong place.
#[test]
fn an_upstream_that_broke_off_its_answer_was_logged_as_the_client_leaving() {
    let (airside, origin) = edge::start(ROUTE);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    origin.on("/a", Answer::Bytes(half.to_vec()));
    let mut raw = airside.raw();
    raw.send(get("/a"));
    assert!(raw.try_read("GET").is_err());
    wait_for("the line", || airside.access_log().len() == 1);
    assert_eq!(airside.access_log()[0]["reason"], "connection_closed");
}

/// The body of a 504 stood in the tunnel, where the client took it for the other side's.
#[test]
fn a_tunnel_that_failed_got_an_answer_of_ours_into_it() {
    let origin = crate::support::origin::Origin::start();
    let head =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    origin.on("/ws", Answer::Reset(head.to_vec()));
    let airside = edge::gateway(ROUTE).origin(&origin).start();
    let mut raw = airside.raw();
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(raw.exchange(request("GET", "/ws", &upgrade)).status, 101);
    // It may be closed by now.
    let _ = raw.try_send("x");
    assert!(raw.closes(), "without another byte");
}

/// What was sent again was counted again: a body of half the bound was refused as too large.
#[test]
fn a_replayed_body_was_counted_twice() {
    use crate::support::origin::Origin;
    let (bad, good) = (Origin::start(), Origin::start());
    bad.on("/a", Answer::Close);
    let top = "upstreams:\n  origin: { servers: [\"{bad}\", \"{good}\"], balance: round_robin, retry: { on: [reset] } }";
    let routes = "  - { path: /*, upstream: origin, max_body: 1KiB }";
    let airside = edge::with_top(top, routes)
        .set("bad", bad.address())
        .set("good", good.address())
        .start();
    let body = "x".repeat(600);
    let put = format!("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n{body}");
    assert_eq!(airside.raw().exchange(put).status, 200);
    assert_eq!((bad.count(), good.last().body.len()), (1, 600));
}
