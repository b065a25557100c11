//! One table: what a server does, and what exactly the client gets and the log says.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use super::{line, start};
use crate::support::edge::{assert_refused, get};
use crate::support::origin::{Answer, Origin, Reply};

/// What a client sees.
enum Seen {
    /// An answer of ours: status, code, and whether its connection is kept.
    Refused(u16, &'static str, bool),
    /// The server's answer, whole.
    Whole(u16, bool),
    /// A head with this status, and then the end.
    Cut(u16),
}
use Seen::{Cut, Refused, Whole};

#[test]
fn each_fault_of_a_server_has_its_answer_and_its_reason() {
    let origin = Origin::start();
    let keys = "timeouts: { connect: 1s, first_byte: 300ms, idle: 200ms }";
    let airside = start(&[&origin], keys);
    let bytes = |text: &str| Answer::Bytes(text.as_bytes().to_vec());
    let stall = |text: &str| Answer::Stall(text.as_bytes().to_vec());
    let late = Reply::new(200, "late").after(Duration::from_millis(600));
    let unreachable = |kept| Refused(502, "upstream_unreachable", kept);
    let timeout = |kept| Refused(504, "upstream_timeout", kept);
    let table: Vec<(&str, Answer, Seen, Option<&str>)> = vec![
        (
            "close",
            Answer::Close,
            unreachable(false),
            Some("connection_closed"),
        ),
        (
            "reset",
            Answer::Reset(Vec::new()),
            unreachable(false),
            Some("connection_closed"),
        ),
        (
            "garbage",
            bytes("garbage\r\n\r\n"),
            unreachable(false),
            Some("upstream"),
        ),
        (
            "half-head",
            bytes("HTTP/1.1 200 OK\r\nContent-"),
            unreachable(false),
            Some("connection_closed"),
        ),
        (
            "nothing",
            stall(""),
            timeout(false),
            Some("first_byte_timeout"),
        ),
        (
            "half-head-stall",
            stall("HTTP/1.1 200 OK\r\nContent-Le"),
            timeout(false),
            Some("first_byte_timeout"),
        ),
        (
            "late",
            late.into(),
            timeout(false),
            Some("first_byte_timeout"),
        ),
        (
            "dribbled-head",
            Answer::Dribble(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
                Duration::from_millis(50),
            ),
            timeout(false),
            Some("first_byte_timeout"),
        ),
        (
            "short-body",
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            Cut(200),
            Some("connection_closed"),
        ),
        (
            "stalled-body",
            stall("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            Cut(200),
            Some("idle_timeout"),
        ),
        (
            "stalled-chunk",
            stall("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"),
            Cut(200),
            Some("idle_timeout"),
        ),
        (
            "stalled-to-the-close",
            stall("HTTP/1.1 200 OK\r\n\r\nhalf"),
            Cut(200),
            Some("idle_timeout"),
        ),
        (
            "to-the-close",
            bytes("HTTP/1.1 200 OK\r\n\r\nwhole"),
            Whole(200, true),
            None,
        ),
        (
            "error",
            Reply::new(500, "no").into(),
            Whole(500, true),
            None,
        ),
        (
            "unavailable",
            Reply::new(503, "no").into(),
            Whole(503, true),
            None,
        ),
        (
            "close-after",
            Reply::new(200, "bye").then_close().into(),
            Whole(200, true),
            None,
        ),
        (
            "interim",
            bytes(
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            ),
            Whole(200, true),
            None,
        ),
    ];
    for (number, (name, answer, seen, reason)) in table.into_iter().enumerate() {
        origin.on(&format!("/{name}"), answer);
        let mut raw = airside.raw();
        raw.send(get(&format!("/{name}")));
        let status = match seen {
            Refused(status, code, kept) => {
                let answer = raw.read();
                assert_refused(&answer, status, code);
                let connection = answer.header("connection");
                assert_eq!(connection == "keep-alive", kept, "{name}: {connection}");
                assert!(kept || raw.closes(), "{name}");
                status
            }
            Whole(status, kept) => {
                let answer = raw.read();
                assert_eq!(answer.status, status, "{name}");
                assert_eq!(answer.header("connection") == "keep-alive", kept, "{name}");
                status
            }
            Cut(status) => {
                let head = raw.read_head();
                assert!(head.line.contains(&status.to_string()), "{name}");
                let body = head.read_body(raw.reader(), true);
                assert!(body.is_err(), "{name} looked whole: {body:?}");
                status
            }
        };
        let line = line(&airside, number + 1);
        let told = (line["status"].as_u64(), line["reason"].as_str());
        assert_eq!(told, (Some(u64::from(status)), reason), "{name}: {line}");
        assert_eq!(line["attempts"], 1, "{name}: {line}");
        assert_eq!(line["server"], origin.address().to_string(), "{name}");
    }
}

/// What a client gets where a server stops after so many bytes of `WHOLE`, and what the log says.
#[test]
fn a_server_that_stops_at_any_byte_is_told_from_one_that_was_done() {
    const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody";
    let head = WHOLE.len() - 4;
    let origin = Origin::start();
    let keys = "timeouts: { first_byte: 1s, idle: 1s }, max_requests: 1000";
    let airside = start(&[&origin], keys);
    let reset = |bytes: &[u8]| {
        let bytes = bytes.to_vec();
        Answer::Take(std::sync::Arc::new(move |mut stream: TcpStream, _: &_| {
            let _ = stream.write_all(&bytes);
            let now = Some(Duration::ZERO);
            let _ = socket2::SockRef::from(&stream).set_linger(now);
        }))
    };
    let ways = ["close", "stall", "reset"];
    for at in 0..=WHOLE.len() {
        let part = &WHOLE[..at];
        origin.on(&format!("/close/{at}"), Answer::Bytes(part.to_vec()));
        origin.on(&format!("/stall/{at}"), Answer::Stall(part.to_vec()));
        origin.on(&format!("/reset/{at}"), reset(part));
    }
    // All at once: a stall takes its second.
    std::thread::scope(|scope| {
        for (way, at) in (0..=WHOLE.len()).flat_map(|at| ways.map(|way| (way, at))) {
            let airside = &airside;
            scope.spawn(move || {
                let mut raw = airside.raw();
                raw.send(get(&format!("/{way}/{at}")));
                let status = if way == "stall" { 504 } else { 502 };
                let answer = raw.try_read("GET");
                match answer {
                    Ok(whole) if at == WHOLE.len() => assert_eq!(whole.text(), "body", "{way}"),
                    Ok(refused) => {
                        // A reset may overtake what was sent before it.
                        assert!(at < head || way == "reset", "{way} {at}");
                        assert_eq!(refused.status, status, "{way} {at}");
                    }
                    Err(_) => assert!(at >= head, "{way} {at}: the answer was cut"),
                }
            });
        }
    });
    let log = airside.wait_for_access_log(3 * (WHOLE.len() + 1));
    for (way, at) in (0..=WHOLE.len()).flat_map(|at| ways.map(|way| (way, at))) {
        let path = format!("/{way}/{at}");
        let line = log
            .iter()
            .find(|line| line["path"] == path.as_str())
            .unwrap();
        let reason = match (way, at) {
            ("reset", _) if at >= head => continue,
            (_, at) if at == WHOLE.len() => None,
            ("stall", at) if at < head => Some("first_byte_timeout"),
            ("stall", _) => Some("idle_timeout"),
            _ => Some("connection_closed"),
        };
        assert_eq!(line["reason"].as_str(), reason, "{line}");
    }
}

#[test]
fn a_server_that_refuses_connections_is_502_and_the_clients_connection_ends() {
    let origin = Origin::start();
    let airside = start(&[&origin], "");
    drop(origin);
    let answer = airside.raw().exchange(get("/a"));
    assert_refused(&answer, 502, "upstream_unreachable");
    let line = line(&airside, 1);
    assert_eq!(line["reason"], "connect_refused");
}

#[test]
fn a_server_that_closes_after_every_third_request_loses_none() {
    let origin = Origin::start();
    origin.close_after(3);
    let airside = start(&[&origin], "");
    let mut raw = airside.raw();
    for number in 0..30 {
        let answer = raw.exchange(get("/a"));
        assert_eq!(answer.status, 200, "{number}");
    }
    assert!(origin.connections() >= 10);
}

#[test]
fn more_requests_than_may_be_in_flight_are_503_at_once_and_keep_their_connection() {
    let origin = Origin::start();
    let airside = start(&[&origin], "max_requests: 2");
    let slow = Reply::new(200, "done").after(Duration::from_millis(500));
    origin.on("/slow", slow);
    let mut busy = [airside.raw(), airside.raw()];
    busy.iter_mut().for_each(|raw| raw.send(get("/slow")));
    origin.wait_for_requests(2);
    let mut raw = airside.raw();
    let answer = raw.exchange(get("/a"));
    assert_refused(&answer, 503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("connection"), "keep-alive");
    assert_eq!(origin.count(), 2, "it never got there");
    busy.iter_mut()
        .for_each(|raw| assert_eq!(raw.read().text(), "done"));
    // Both places are free again, and so is the connection.
    assert_eq!(raw.exchange(get("/a")).status, 200);
    let log = airside.wait_for_access_log(4);
    let refused = log.iter().find(|line| line["status"] == 503).unwrap();
    assert_eq!(refused["reason"], "max_requests");
    assert_eq!(refused["attempts"], 0);
}
