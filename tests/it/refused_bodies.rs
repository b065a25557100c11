//! Requests with a body that are refused: the answer arrives whole, and the connection goes on where the next
//! request's beginning is known.

use std::thread;

use crate::support::edge::{self, assert_refused, get};
use crate::support::origin::Origin;
use crate::support::raw::Raw;
use crate::support::server::Airside;

fn start() -> (Airside, Origin) {
    let top = "defaults: { auth: public, max_body: 1KiB, response_headers: { set: { X-Policy: \"on\" } } }";
    let origin = Origin::start();
    let set_up = edge::with_top(top, "  - { path: /up, upstream: origin }");
    (set_up.origin(&origin).start(), origin)
}

fn post(target: &str, length: usize) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

fn chunked(target: &str, sizes: &[usize]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut bytes = head.into_bytes();
    for size in sizes {
        bytes.extend_from_slice(format!("{size:x}\r\n{}\r\n", "x".repeat(*size)).as_bytes());
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Sends beside reading, as clients do whose kernel takes no more bytes.
fn exchange(airside: &Airside, bytes: Vec<u8>) -> (Raw, crate::support::raw::Response) {
    let mut raw = airside.raw();
    let mut writer = raw.writer();
    let sending = thread::spawn(move || {
        // The other side may close before all of it is sent.
        let _ = std::io::Write::write_all(&mut writer, &bytes);
    });
    let answer = raw.read();
    sending.join().unwrap();
    (raw, answer)
}

#[test]
fn a_small_refused_body_keeps_the_connection() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    for bytes in [
        post("/none", 3),
        post("/none", 100_000),
        post("/%00", 1),
        chunked("/none", &[1, 2, 3]),
        post("/up", 1025),
        post("/up", 1_000_000),
    ] {
        let answer = raw.exchange(&bytes);
        assert!(
            matches!(answer.status, 400 | 404 | 413),
            "{}",
            answer.status
        );
        assert_eq!(answer.header("connection"), "keep-alive");
        assert_eq!(raw.exchange(get("/up")).status, 200);
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[test]
fn a_body_above_the_bound_is_413_by_its_length_at_once() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let head = "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 1025\r\n\r\n";
    // No byte of the body is sent before the answer is there.
    let answer = raw.exchange(head);
    let body = assert_refused(&answer, 413, "body_too_large");
    assert_eq!(body["title"], "The body is too large");
    assert_eq!(answer.header("x-policy"), "on");
    assert_eq!(origin.count(), 0);
    assert_eq!(airside.raw().exchange(post("/up", 1024)).status, 200);
    assert_eq!(origin.last().body.len(), 1024);
}

#[test]
fn a_body_above_the_bound_is_413_by_counting() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let answer = raw.exchange(chunked("/up", &[1000, 25]));
    assert_refused(&answer, 413, "body_too_large");
    assert_eq!(answer.header("x-policy"), "on");
    assert_eq!(origin.count(), 0, "a whole request reached the upstream");
    let mut raw = airside.raw();
    assert_eq!(raw.exchange(chunked("/up", &[1000, 24])).status, 200);
    assert_eq!(origin.last().body.len(), 1024);
    assert_eq!(raw.exchange(get("/up")).status, 200);
}

#[test]
fn the_answer_to_a_huge_refused_body_arrives_whole_and_the_connection_closes() {
    let (airside, origin) = start();
    for _ in 0..5 {
        for bytes in [post("/none", 5 << 20), chunked("/none", &[1 << 20; 5])] {
            let (mut raw, answer) = exchange(&airside, bytes);
            assert_refused(&answer, 404, "no_route");
            assert!(raw.closes());
        }
        let (mut raw, answer) = exchange(&airside, post("/up", 5 << 20));
        assert_refused(&answer, 413, "body_too_large");
        assert_eq!(answer.header("connection"), "close");
        assert!(raw.closes());
        let (mut raw, answer) = exchange(&airside, chunked("/up", &[1 << 20; 5]));
        assert_refused(&answer, 413, "body_too_large");
        assert!(raw.closes());
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_client_that_waits_for_100_continue_is_refused_before_it_sends_its_body() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let head =
        "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    assert_refused(&raw.exchange(head), 404, "no_route");
    assert!(raw.closes());
    let mut raw = airside.raw();
    raw.send(head.replace("/none", "/up"));
    assert_eq!(raw.read_head().line.split(' ').nth(1), Some("100"));
    assert_eq!(raw.exchange("abc").status, 200);
    assert_eq!(origin.last().body, b"abc");
}
