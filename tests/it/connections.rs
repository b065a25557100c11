//! Connections on both sides: kept, pipelined, upgraded, cut off by the upstream or by the client.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::{Answer, Reply, Request};
use crate::support::wait::wait_for;

const ROUTE: &str = "  - { path: /*, upstream: origin }";

#[test]
fn one_connection_carries_a_hundred_requests_on_both_sides() {
    let (airside, origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    for number in 0..100 {
        let answer = raw.exchange(get(&format!("/{number}")));
        assert_eq!(
            (answer.status, answer.header("connection")),
            (200, "keep-alive")
        );
        assert_eq!(answer.json()["target"], format!("/{number}"));
    }
    assert_eq!((origin.count(), origin.connections()), (100, 1));
}

#[test]
fn who_asks_for_the_close_gets_it() {
    let (airside, _origin) = edge::start(ROUTE);
    for target in ["/a", "/%00"] {
        let mut raw = airside.raw();
        let answer = raw.exchange(request("GET", target, &[("Connection", "close")]));
        assert_eq!(answer.header("connection"), "close", "{target}");
        assert!(raw.closes(), "{target}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_or_left_to_be_sent_again() {
    let (airside, origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    raw.send(
        (0..5)
            .map(|number| get(&format!("/{number}")))
            .collect::<String>(),
    );
    let mut answered = 0;
    while let Ok(answer) = raw.try_read("GET") {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["target"], format!("/{answered}"));
        answered += 1;
        if answered == 5 {
            break;
        }
    }
    assert!(answered >= 1);
    assert_eq!(
        origin.count(),
        answered,
        "a request reached the upstream and its answer nobody"
    );
}

#[test]
fn bytes_behind_a_refused_body_are_never_taken_for_its_part() {
    let (airside, origin) = edge::start("  - { path: /a, upstream: origin }");
    let mut raw = airside.raw();
    raw.send(format!(
        "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc{}",
        get("/a")
    ));
    assert_refused(&raw.read(), 404, "no_route");
    if let Ok(next) = raw.try_read("GET") {
        assert_eq!(
            (next.status, origin.last().head.line.as_str()),
            (200, "GET /a HTTP/1.1")
        );
    }
}

#[test]
fn an_answer_that_is_cut_off_is_seen_to_be() {
    let (airside, origin) = edge::start(ROUTE);
    for cut in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nonly this"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
    ] {
        origin.on("/cut", Answer::Bytes(cut.to_vec()));
        let mut raw = airside.raw();
        raw.send(get("/cut"));
        let read = raw.try_read("GET");
        let error = read.expect_err("it looked complete");
        assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof, "{error}");
    }
    assert_eq!(airside.raw().exchange(get("/fine")).status, 200);
}

#[test]
fn an_upstream_that_talks_garbage_or_nothing_is_502() {
    let (airside, origin) = edge::start(ROUTE);
    for garbage in [
        &b"garbage\r\n\r\n"[..],
        b"\x16\x03\x01\x00\x05hello\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-",
    ] {
        origin.on("/bad", Answer::Bytes(garbage.to_vec()));
        let answer = airside.raw().exchange(get("/bad"));
        let body = assert_refused(&answer, 502, "upstream_unreachable");
        assert_eq!(body.get("detail"), None, "{}", garbage.escape_ascii());
    }
    origin.on("/bad", Answer::Close);
    let post = "POST /bad HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi";
    let before = origin.count();
    assert_refused(&airside.raw().exchange(post), 502, "upstream_unreachable");
    assert_eq!(origin.count(), before + 1, "a POST is not sent twice");
    assert_eq!(airside.raw().exchange(get("/fine")).status, 200);
}

#[test]
fn idle_connections_that_the_upstream_closed_do_no_harm() {
    let (airside, origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    for number in 1..=10 {
        assert_eq!(raw.exchange(get("/a")).status, 200, "round {number}");
        origin.close_connections();
    }
    let close = Reply::new(200, "bye").then_close();
    origin.on("/bye", close);
    for number in 1..=10 {
        assert_eq!(raw.exchange(get("/bye")).text(), "bye", "round {number}");
    }
}

#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let (mut airside, origin) = edge::start(ROUTE);
    origin.on(
        "/slow",
        Reply::new(200, vec![b'x'; 200_000]).after(Duration::from_millis(30)),
    );
    thread::scope(|scope| {
        for worker in 0..4 {
            let airside = &airside;
            scope.spawn(move || {
                for number in 0..50 {
                    let mut raw = airside.raw();
                    // At each stage: half a head, half a body, before the answer, within it.
                    match (worker + number) % 4 {
                        0 => raw.send("GET /slow HTTP/1.1\r\nHo"),
                        1 => raw.send(
                            "POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
                        ),
                        2 => raw.send(get("/slow")),
                        _ => {
                            raw.send(get("/slow"));
                            raw.read_bytes(100);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(airside.raw().exchange(get("/fine")).status, 200);
    let begun = Instant::now();
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(Duration::from_secs(5));
    assert_eq!(ended.status.code(), Some(0));
    // Nothing counts as in flight any more, or it would wait for `drain`, which is 30 s.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        ended.stderr.contains("nothing in flight"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_websocket_upgrade_passes_and_bytes_flow_both_ways() {
    let (airside, origin) = edge::start(ROUTE);
    let echo = |mut stream: TcpStream, _: &Request| {
        // Interim bytes wait until the client has spoken: it must see the head alone first.
        let _ = stream.write_all(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        );
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..read]).is_err() {
                return;
            }
        }
    };
    origin.on("/ws", Answer::Take(Arc::new(echo)));
    let mut raw = airside.raw();
    let answer = raw.exchange(request(
        "GET",
        "/ws",
        &[
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ],
    ));
    assert_eq!(answer.status, 101);
    assert_eq!(answer.header("upgrade").to_ascii_lowercase(), "websocket");
    assert_eq!(answer.header("connection").to_ascii_lowercase(), "upgrade");
    assert_eq!(
        answer.header("sec-websocket-accept"),
        "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    );
    for length in [1, 125, 4_000, 100_000] {
        let frame = vec![0x81; length];
        raw.send(&frame);
        assert_eq!(raw.read_bytes(length), frame);
    }
    let seen = origin.last();
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    assert_eq!(
        seen.header("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert_eq!(seen.header("via"), Some("1.1 airside"));
    drop(raw);
    let log = || {
        airside
            .access_log()
            .iter()
            .filter(|line| line["path"] == "/ws")
            .count()
    };
    wait_for("the tunnel's line in the log", || log() == 1);
    assert_eq!(airside.access_log()[0]["status"], 101);
}

#[test]
fn an_upgrade_without_the_token_that_its_route_needs_is_refused() {
    let top = r#"
identity: { listen: "{identity}", store: "sqlite:{folder}/a.db", keys: "{folder}/keys", issuer: "http://x", audience: a }
"#;
    let origin = crate::support::origin::Origin::start();
    let routes = "  - { path: /ws, upstream: origin, auth: required }";
    let airside = edge::with_top(top, routes).origin(&origin).start();
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
    ];
    let answer = airside.raw().exchange(request("GET", "/ws", &upgrade));
    assert_refused(&answer, 401, "unauthenticated");
    assert_eq!(origin.count(), 0);
}

/// A server whose queue of connections is full: further ones get no answer at all, as through a firewall that
/// drops. Holds what fills it.
fn unanswering() -> (SocketAddr, Vec<Socket>) {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        filler.set_nonblocking(true).unwrap();
        // Still on its way, or in the queue; both fill it.
        let _ = filler.connect(&address.into());
        held.push(filler);
    }
    (address, held)
}

#[test]
fn a_server_that_does_not_answer_a_connection_is_a_504_after_three_seconds() {
    let (address, _held) = unanswering();
    let airside = edge::with_top(
        "upstreams:\n  silent: { servers: [\"{silent}\"] }",
        "  - { path: /a, upstream: silent }\n  - { path: /own, respond: { body: here } }\n",
    );
    let airside = airside.set("silent", address).start();
    let begun = Instant::now();
    let mut raw = airside.raw();
    let answer = raw.exchange(get("/a"));
    let body = assert_refused(&answer, 504, "upstream_timeout");
    assert_eq!(body["title"], "The service did not answer in time");
    let took = begun.elapsed();
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(6)).contains(&took),
        "{took:?}"
    );
    // What does not need that server is not held up by it.
    assert_eq!(airside.raw().exchange(get("/own")).status, 200);
    let log = airside.wait_for_access_log(2);
    let line = log.iter().find(|line| line["path"] == "/a").unwrap();
    assert_eq!(
        (&line["code"], &line["reason"], &line["attempts"]),
        (
            &"upstream_timeout".into(),
            &"connect_timeout".into(),
            &1.into()
        )
    );
}
