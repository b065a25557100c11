//! Each bound on its own: who sets it, what it counts, and what it does not.

use std::time::{Duration, Instant};

use super::{line, set_up, start};
use crate::support::edge::{self, assert_refused, get};
use crate::support::origin::{Answer, Origin, Reply};

/// Within a generous time, but not before.
#[track_caller]
fn assert_took(begun: Instant, at_least: u64) {
    let took = begun.elapsed();
    let bounds = Duration::from_millis(at_least)..Duration::from_millis(at_least + 5_000);
    assert!(bounds.contains(&took), "{took:?}");
}

#[test]
fn a_routes_timeout_ends_a_request_before_the_upstreams_own_would() {
    let origin = Origin::start();
    origin.on("/slow", Answer::Stall(Vec::new()));
    let routes = "  - { path: /*, upstream: origin, timeout: 300ms }";
    let airside = edge::gateway(routes).origin(&origin).start();
    let begun = Instant::now();
    let answer = airside.raw().exchange(get("/slow"));
    assert_refused(&answer, 504, "upstream_timeout");
    assert_took(begun, 300);
    assert_eq!(line(&airside, 1)["reason"], "route_timeout");
    assert_eq!(airside.raw().exchange(get("/fine")).status, 200);
}

#[test]
fn a_total_ends_a_request_that_no_answer_has_come_to() {
    let origin = Origin::start();
    origin.on("/slow", Answer::Stall(Vec::new()));
    let airside = start(&[&origin], "timeouts: { first_byte: 30s, total: 300ms }");
    let begun = Instant::now();
    let answer = airside.raw().exchange(get("/slow"));
    assert_refused(&answer, 504, "upstream_timeout");
    assert_took(begun, 300);
    assert_eq!(line(&airside, 1)["reason"], "total_timeout");
}

#[test]
fn a_total_ends_an_answer_that_goes_on_for_too_long() {
    let origin = Origin::start();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let bytes = [&head[..], &[b'x'; 900]].concat();
    origin.on("/long", Answer::Dribble(bytes, Duration::from_millis(10)));
    let airside = start(&[&origin], "timeouts: { total: 600ms }");
    let begun = Instant::now();
    let mut raw = airside.raw();
    raw.send(get("/long"));
    assert!(raw.try_read("GET").is_err());
    assert_took(begun, 600);
    let line = line(&airside, 1);
    // The head takes some 400 ms of it; on a busy machine more.
    assert_eq!(line["reason"], "total_timeout", "{line}");
}

#[test]
fn a_slow_answer_that_never_pauses_for_long_is_not_idle() {
    let origin = Origin::start();
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n".to_vec();
    let body = vec![b'x'; 20];
    let taker = move |mut stream: std::net::TcpStream, _: &crate::support::origin::Request| {
        use std::io::Write;
        let _ = stream.write_all(&head);
        for byte in &body {
            std::thread::sleep(Duration::from_millis(50));
            let _ = stream.write_all(&[*byte]);
        }
    };
    origin.on("/slow", Answer::Take(std::sync::Arc::new(taker)));
    let airside = start(&[&origin], "timeouts: { first_byte: 10s, idle: 900ms }");
    let begun = Instant::now();
    let answer = airside.raw().exchange(get("/slow"));
    assert_eq!(answer.text().len(), 20);
    assert_took(begun, 1_000);
}

#[test]
fn a_slow_upload_does_not_use_up_the_servers_time_to_answer() {
    let origin = Origin::start();
    let keys = "timeouts: { first_byte: 300ms, idle: 300ms }, ejection: { failures: 1, max_ejected: 100% }";
    let airside = start(&[&origin], keys);
    let mut raw = airside.raw();
    raw.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n");
    let begun = Instant::now();
    for _ in 0..2 {
        // Longer than the server may take: the client's own slowness.
        std::thread::sleep(Duration::from_millis(600));
        raw.send("xxxxx");
    }
    assert_eq!(raw.read().status, 200);
    assert_took(begun, 1_200);
    assert_eq!(origin.last().body, b"xxxxxxxxxx");
    // Its time begins with the last byte.
    origin.on("/slow", Answer::Stall(Vec::new()));
    raw.send("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    assert_refused(&raw.read(), 504, "upstream_timeout");
}

#[test]
fn a_tunnel_outlives_every_bound_of_the_request_that_opened_it() {
    use std::io::{Read, Write};
    let origin = Origin::start();
    let echo = |mut stream: std::net::TcpStream, _: &crate::support::origin::Request| {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        // Pingora tears a tunnel down that is answered before it has noticed the request's end.
        std::thread::sleep(Duration::from_millis(100));
        let _ = stream.write_all(head);
        let mut buffer = [0; 16];
        while let Ok(read @ 1..) = stream.read(&mut buffer) {
            let _ = stream.write_all(&buffer[..read]);
        }
    };
    origin.on("/ws", Answer::Take(std::sync::Arc::new(echo)));
    let top = "upstreams:\n  origin: { servers: [\"{origin}\"], timeouts: { idle: 200ms, total: 500ms } }";
    let routes = "  - { path: /*, upstream: origin, timeout: 500ms }";
    let airside = edge::with_top(top, routes).origin(&origin).start();
    let mut raw = airside.raw();
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let answer = raw.exchange(edge::request("GET", "/ws", &upgrade));
    assert_eq!(answer.status, 101);
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(300));
        raw.send("hi");
        assert_eq!(raw.read_bytes(2), b"hi");
    }
}

#[test]
fn a_client_that_reads_slowly_is_not_an_idle_server() {
    let origin = Origin::start();
    let body = vec![b'x'; 8 << 20];
    origin.on("/big", Reply::new(200, body.clone()));
    let airside = start(&[&origin], "timeouts: { first_byte: 10s, idle: 200ms }");
    let mut raw = airside.raw();
    raw.send(get("/big"));
    let head = raw.read_head();
    // Longer than the server may pause: the client's own pause.
    std::thread::sleep(Duration::from_millis(900));
    let read = head.read_body(raw.reader(), true).unwrap();
    assert_eq!(read.len(), body.len());
}

#[test]
fn a_connection_in_use_is_not_reused_after_it_was_cut() {
    let origin = Origin::start();
    let airside = set_up(&[&origin], "timeouts: { first_byte: 200ms }").start();
    assert_eq!(airside.raw().exchange(get("/warm")).status, 200);
    let late = Reply::new(200, "an answer to another").after(Duration::from_millis(400));
    origin.on("/late", late);
    assert_eq!(airside.raw().exchange(get("/late")).status, 504);
    for _ in 0..5 {
        let answer = airside.raw().exchange(get("/own"));
        assert_eq!(answer.json()["target"], "/own");
    }
}
