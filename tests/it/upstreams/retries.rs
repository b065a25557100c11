//! What is sent again, where to, and what never is.

use std::time::Duration;

use serde_json::Value;

use super::{line, set_up, start};
use crate::support::edge::{self, assert_refused, get};
use crate::support::origin::{Answer, Origin, Reply};

const ALL: &str = "balance: round_robin, retry: { attempts: 2, on: [connect, reset, 502, 503, 504], budget: 100% }";

fn post(target: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn put(target: &str, body: &str) -> String {
    post(target, body).replacen("POST", "PUT", 1)
}

fn facts(line: &Value) -> (u64, u64, Option<&str>, Option<&str>) {
    (
        line["status"].as_u64().unwrap(),
        line["attempts"].as_u64().unwrap(),
        line["reason"].as_str(),
        line["not_retried"].as_str(),
    )
}

#[test]
fn what_a_server_fails_at_another_one_does_and_the_client_sees_nothing() {
    let (bad, good) = (Origin::start(), Origin::start());
    good.on("/a", Reply::new(200, "good"));
    let late = Reply::new(200, "late").after(Duration::from_secs(2));
    let keys = format!("{ALL}, timeouts: {{ first_byte: 400ms }}");
    let airside = start(&[&bad, &good], &keys);
    let faults: [Answer; 7] = [
        Answer::Close,
        Answer::Reset(Vec::new()),
        Answer::Bytes(b"garbage\r\n\r\n".to_vec()),
        Reply::new(502, "bad").into(),
        Reply::new(503, "bad").into(),
        Reply::new(504, "bad").into(),
        late.into(),
    ];
    for fault in faults {
        bad.on("/a", fault);
        let before = bad.count();
        let mut raw = airside.raw();
        for request in [get("/a"), get("/a"), put("/a", "body"), put("/a", "body")] {
            let answer = raw.exchange(request);
            assert_eq!((answer.status, answer.text().as_str()), (200, "good"));
            assert_eq!(answer.header("connection"), "keep-alive");
        }
        // In turn: the second attempt takes the good one's turn, and so each request meets the bad one first.
        assert_eq!(bad.count(), before + 4);
        assert_eq!(good.last().body, b"body", "the body is replayed");
    }
    let log = airside.wait_for_access_log(28);
    for line in log {
        assert_eq!(line["attempts"], 2);
        assert_eq!(line["server"], good.address().to_string());
        assert_eq!(line.get("reason"), None, "{line}");
    }
}

#[test]
fn a_post_goes_elsewhere_where_nothing_was_sent_and_only_there() {
    let (bad, good) = (Origin::start(), Origin::start());
    let address = bad.address();
    let airside = start(
        &[&bad, &good],
        &format!("{ALL}, timeouts: {{ first_byte: 500ms }}"),
    );
    drop(bad);
    for _ in 0..4 {
        let answer = airside.raw().exchange(post("/a", "hi"));
        assert_eq!(answer.status, 200);
        assert_eq!(good.last().body, b"hi");
    }
    let bad = Origin::start_at(address);
    let faults: [(Answer, u16); 3] = [
        (Answer::Close, 502),
        (Answer::Stall(b"HTTP/1.1 2".to_vec()), 504),
        (Reply::new(503, "own").into(), 503),
    ];
    let mut count = 4;
    for (fault, status) in faults {
        bad.on("/a", fault);
        let before = bad.count();
        // One of two in turn is the bad one's.
        let answers = [(); 2].map(|()| airside.raw().exchange(post("/a", "hi")).status);
        count += 2;
        assert_eq!(bad.count(), before + 1, "it was not sent twice");
        assert!(
            answers.contains(&status) && answers.contains(&200),
            "{answers:?}"
        );
        let log = airside.wait_for_access_log(count);
        let failed = log
            .iter()
            .rev()
            .find(|line| line["status"] == status)
            .unwrap();
        assert_eq!(facts(failed).1, 1, "{failed}");
        assert_eq!(facts(failed).3, Some("method"), "{failed}");
    }
}

#[test]
fn an_upload_above_the_buffer_is_not_sent_twice_and_the_log_says_so() {
    let (bad, good) = (Origin::start(), Origin::start());
    bad.on("/a", Answer::Close);
    let airside = start(&[&bad, &good], ALL);
    let (small, large) = ("x".repeat(60_000), "x".repeat(200_000));
    for _ in 0..2 {
        assert_eq!(airside.raw().exchange(put("/a", &small)).status, 200);
        assert_eq!(good.last().body.len(), 60_000);
    }
    let mut answers = [(); 2].map(|()| airside.raw().exchange(put("/a", &large)).status);
    answers.sort();
    assert_eq!(answers, [200, 502]);
    let log = airside.wait_for_access_log(4);
    let failed = log.iter().find(|line| line["status"] == 502).unwrap();
    assert_eq!(
        facts(failed),
        (502, 1, Some("connection_closed"), Some("body"))
    );
}

#[test]
fn attempts_are_bounded_and_the_last_answer_is_the_clients() {
    let servers = [Origin::start(), Origin::start(), Origin::start()];
    for (index, server) in servers.iter().enumerate() {
        server.on("/a", Reply::new(503, format!("server {index}")));
    }
    let all: Vec<_> = servers.iter().collect();
    let keys = ALL.replace("attempts: 2", "attempts: 3");
    let airside = start(&all, &keys);
    let answer = airside.raw().exchange(get("/a"));
    assert_eq!(answer.status, 503);
    assert_eq!(answer.text(), "server 2", "each once, in turn");
    assert_eq!(servers.each_ref().map(Origin::count), [1, 1, 1]);
    assert_eq!(facts(&line(&airside, 1)), (503, 3, None, Some("attempts")));
}

#[test]
fn one_server_is_asked_again_itself() {
    let origin = Origin::start();
    let airside = start(&[&origin], ALL);
    origin.on("/a", Answer::Close);
    assert_refused(
        &airside.raw().exchange(get("/a")),
        502,
        "upstream_unreachable",
    );
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_retry_does_not_name_is_not_retried() {
    let (bad, good) = (Origin::start(), Origin::start());
    bad.on("/a", Reply::new(503, "bad"));
    let keys = "balance: round_robin, retry: { on: [connect, reset] }";
    let airside = start(&[&bad, &good], keys);
    let mut answers = [(); 2].map(|()| airside.raw().exchange(get("/a")).status);
    answers.sort();
    assert_eq!(answers, [200, 503]);
    let log = airside.wait_for_access_log(2);
    assert!(log.iter().all(|line| line.get("not_retried").is_none()));
}

#[test]
fn when_everything_fails_retries_stop_at_their_budget() {
    let origin = Origin::start();
    origin.on("/a", Answer::Close);
    let keys = ALL.replace("100%", "10%");
    let airside = start(&[&origin], &keys);
    for _ in 0..100 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 502);
    }
    // Ten to begin with, and one in ten.
    assert_eq!(origin.count(), 120);
    let log = airside.wait_for_access_log(100);
    let budget = log.iter().filter(|line| line["not_retried"] == "budget");
    assert_eq!(budget.count(), 80);
}

#[test]
fn no_attempt_begins_after_the_routes_time() {
    let origin = Origin::start();
    origin.on("/a", Answer::Stall(Vec::new()));
    let top = "upstreams:\n  origin: { servers: [\"{origin}\"], timeouts: { first_byte: 300ms }, retry: { attempts: 9, on: [504] } }";
    let routes = "  - { path: /*, upstream: origin, timeout: 1s }";
    let airside = edge::with_top(top, routes).origin(&origin).start();
    let begun = std::time::Instant::now();
    assert_refused(&airside.raw().exchange(get("/a")), 504, "upstream_timeout");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert!(origin.count() <= 4, "{}", origin.count());
    let line = line(&airside, 1);
    let reason = line["reason"].as_str().unwrap();
    assert!(
        ["route_timeout", "first_byte_timeout"].contains(&reason),
        "{line}"
    );
}

#[test]
fn a_connection_that_was_closed_meanwhile_costs_no_attempt() {
    let origin = Origin::start();
    let airside = set_up(&[&origin], "").start();
    let mut raw = airside.raw();
    for number in 1..=10 {
        assert_eq!(raw.exchange(get("/a")).status, 200, "round {number}");
        origin.close_connections();
    }
    // Nothing of it counts against the server.
    let log = airside.wait_for_access_log(10);
    assert!(log.iter().all(|line| line.get("reason").is_none()));
}
