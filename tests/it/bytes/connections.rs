//! What upstreams say as bytes: framing that is in doubt, interim answers without end, heads without end, and what was
//! meant for the gateway alone.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::{answer_to, start};
use crate::support::edge::{assert_refused, get, with_top};
use crate::support::origin::Answer;
use crate::support::port;

/// What the upstream answers, whole; the status that the client gets.
#[rustfmt::skip]
const ROWS: &[(&str, &str, u16)] = &[
    ("9112 6.3 two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502),
    ("9112 6.3 no number", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nab", 502),
    ("9112 6.3 negative", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", 502),
    ("9112 4 no version", "200 OK\r\n\r\n", 502),
    ("9112 4 no status", "HTTP/1.1 OK\r\n\r\n", 502),
    ("9112 4 four digits", "HTTP/1.1 2000 OK\r\n\r\n", 502),
    ("9112 4 HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", 502),
    ("9112 5 no colon", "HTTP/1.1 200 OK\r\nX\r\n\r\n", 502),
    ("9110 5.5 NUL", "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", 502),
    ("9110 15.2.2 a 101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", 502),
    ("9110 15.2 an interim answer", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ("9112 6.3 the close ends it", "HTTP/1.1 200 OK\r\n\r\nabc", 200),
    ("9112 4 no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200),
    ("9112 2.3 HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
];

#[test]
fn answers_that_are_in_doubt_are_502_and_their_connection_is_not_used_again() {
    let (airside, origin) = start();
    let mut wrong = Vec::new();
    for (rule, bytes, status) in ROWS {
        origin.on("/a", Answer::Bytes(bytes.as_bytes().to_vec()));
        let answer = airside.raw().exchange(get("/a"));
        if answer.status != *status {
            wrong.push(format!("{rule}: {}", answer.status));
        } else if *status == 502 {
            assert_refused(&answer, 502, "upstream_unreachable");
        }
        let (before, connections) = (origin.count(), origin.connections());
        assert_eq!(airside.raw().exchange(get("/b")).status, 200, "{rule}");
        assert_eq!(origin.count(), before + 1);
        assert!(origin.connections() >= connections, "{rule}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_head_without_end_is_502() {
    let (airside, origin) = start();
    let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    head.resize(3 << 20, b'x');
    origin.on("/a", Answer::Bytes(head));
    assert_refused(
        &airside.raw().exchange(get("/a")),
        502,
        "upstream_unreachable",
    );
    let fields = "X: y\r\n".repeat(1_000);
    let many = format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n");
    origin.on("/a", Answer::Bytes(many.into_bytes()));
    assert_refused(
        &airside.raw().exchange(get("/a")),
        502,
        "upstream_unreachable",
    );
}

#[test]
fn what_upstreams_say_to_the_gateway_alone_does_not_pass() {
    let (airside, origin) = start();
    let answer = "HTTP/1.1 200 OK\r\nConnection: X-Mine, keep-alive\r\nX-Mine: a\r\nKeep-Alive: timeout=5\r\n\
        Proxy-Connection: keep-alive\r\nX-Yours: b\r\nContent-Length: 0\r\n\r\n";
    origin.on("/a", Answer::Bytes(answer.as_bytes().to_vec()));
    let answer = airside.raw().exchange(get("/a"));
    assert_eq!((answer.status, answer.header("x-yours")), (200, "b"));
    for name in ["x-mine", "keep-alive", "proxy-connection"] {
        assert_eq!(answer.head.header(name), None, "{name}");
    }
}

#[test]
fn interim_answers_without_end_are_502_and_their_connection_is_not_used_again() {
    let (airside, origin) = start();
    let interims = |count: usize| "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(count);
    let whole = format!(
        "{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        interims(32)
    );
    origin.on("/few", Answer::Bytes(whole.into_bytes()));
    assert_eq!(answer_to(&airside, get("/few").as_bytes()).0, 200);
    // It has the connection open, and could say more.
    origin.on("/many", Answer::Stall(interims(50_000).into_bytes()));
    let connections = origin.connections();
    let (status, text) = answer_to(&airside, get("/many").as_bytes());
    assert_eq!(status, 502);
    assert!(text.contains("upstream_unreachable"), "{text}");
    assert_eq!(text.matches("HTTP/1.1 103 ").count(), 32, "{text}");
    assert_eq!(airside.raw().exchange(get("/b")).status, 200);
    assert!(
        origin.connections() >= connections + 2,
        "it is not used again"
    );
}

/// An upstream that answers each request by its head, and closes.
fn hasty() -> std::net::SocketAddr {
    let address = port::free();
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer =
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // Whether the rest is read or not, the answer was there first.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    address
}

#[test]
fn an_upstreams_early_answer_reaches_a_client_that_is_still_sending() {
    let top = "upstreams: { hasty: { servers: [\"{hasty}\"] } }";
    let airside = with_top(top, "  - { path: /*, upstream: hasty }");
    let airside = airside.set("hasty", hasty()).start();
    for round in 0..5 {
        let mut raw = airside.raw();
        let mut writer = raw.writer();
        let sending = thread::spawn(move || {
            let _ =
                writer.write_all(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
            let _ = writer.write_all(&vec![b'x'; 900_000]);
        });
        // It takes its time, as one does that sends first and reads then.
        sending.join().unwrap();
        let answer = raw.try_read("POST");
        let answer = answer.unwrap_or_else(|why| panic!("round {round}: {why}"));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "no"),
            "{round}"
        );
    }
}
