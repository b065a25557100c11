//! `concurrent`: so many calls at the same time, and a place that comes back however a call ends.

use super::*;

const ONE: &str = "{ one: { concurrent: 1 } }";

/// Sends a call that waits at the upstream.
fn begin(airside: &Airside, arrivals: &Receiver<Held>, target: &str) -> (Raw, Held) {
    let mut raw = airside.raw();
    raw.send(get(target));
    let held = arrivals.recv_timeout(Duration::from_secs(30)).unwrap();
    (raw, held)
}

#[track_caller]
fn assert_full(airside: &Airside, target: &str) {
    assert_refused(&airside.raw().exchange(get(target)), 429, "rate_limited");
}

#[track_caller]
fn assert_free(airside: &Airside, target: &str) {
    assert_eq!(airside.raw().exchange(get(target)).status, 200);
}

#[test]
fn three_at_once_and_the_fourth_when_one_has_its_answer() {
    let (airside, origin) = start(
        "{ three: { concurrent: 3 } }",
        "  - { path: /*, upstream: origin, limits: [three] }",
    );
    let arrivals = hold(&origin, "/slow");
    let mut calls: Vec<_> = (0..3)
        .map(|_| begin(&airside, &arrivals, "/slow"))
        .collect();
    let refused = airside.raw().exchange(get("/other"));
    assert_refused(&refused, 429, "rate_limited");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(
        refused.header("ratelimit-policy"),
        "\"three\";q=3;qu=\"concurrent-requests\""
    );
    assert_eq!(refused.header("ratelimit"), "\"three\";r=0");
    // Another address has places of its own.
    assert_eq!(call(&airside, "/other", "203.0.113.9").status, 200);
    let (mut raw, held) = calls.remove(0);
    held.go_on();
    let answer = raw.read();
    assert_eq!(
        (answer.status, answer.header("ratelimit")),
        (200, "\"three\";r=2")
    );
    // At once, and on another connection.
    let next = airside.raw().exchange(get("/other"));
    assert_eq!(
        (next.status, next.header("ratelimit")),
        (200, "\"three\";r=0")
    );
}

#[test]
fn one_after_the_other_is_never_two_at_once() {
    let (airside, origin) = start(ONE, "  - { path: /*, upstream: origin, limits: [one] }");
    origin.on("/none", Reply::new(204, ""));
    origin.on("/empty", Reply::new(200, ""));
    for _ in 0..40 {
        assert_free(&airside, "/x");
        assert_free(&airside, "/empty");
        assert_eq!(airside.raw().exchange(get("/none")).status, 204);
        let mut raw = airside.raw();
        raw.send(request("HEAD", "/x", &[]));
        assert_eq!(raw.try_read("HEAD").unwrap().status, 200);
    }
}

#[test]
fn a_place_comes_back_after_an_answer_and_after_a_refusal() {
    let (airside, origin) = start(
        ONE,
        r#"
  - { path: /p, upstream: origin, limits: [one], max_body: 1B }
  - { path: /here, respond: { body: here }, limits: [one] }
  - { path: /free, upstream: origin, limits: [one] }
"#,
    );
    origin.on("/free", Reply::new(200, "ok"));
    let large = "POST /p HTTP/1.1\r\nHost: edge.test\r\nContent-Length: 5\r\n\r\nhello";
    for _ in 0..5 {
        assert_refused(&airside.raw().exchange(large), 413, "body_too_large");
        assert_free(&airside, "/here");
        assert_free(&airside, "/free");
    }
}

#[test]
fn a_place_comes_back_when_the_upstream_fails() {
    let (airside, origin) = start(ONE, "  - { path: /*, upstream: origin, limits: [one] }");
    origin.on("/closes", Answer::Close);
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec();
    origin.on("/breaks-off", Answer::Bytes(half));
    for _ in 0..3 {
        assert_refused(
            &airside.raw().exchange(get("/closes")),
            502,
            "upstream_unreachable",
        );
        assert_free(&airside, "/x");
        let mut raw = airside.raw();
        raw.send(get("/breaks-off"));
        assert!(raw.try_read("GET").is_err());
        wait_for("the place", || {
            airside.raw().exchange(get("/x")).status == 200
        });
    }
}

#[test]
fn a_place_comes_back_when_the_client_goes_away() {
    let (airside, origin) = start(ONE, "  - { path: /*, upstream: origin, limits: [one] }");
    let arrivals = hold(&origin, "/slow");
    for _ in 0..3 {
        let (raw, _held) = begin(&airside, &arrivals, "/slow");
        assert_full(&airside, "/x");
        drop(raw);
        wait_for("the place", || {
            airside.raw().exchange(get("/x")).status == 200
        });
    }
}

/// A WebSocket through which bytes flow. The proxy library ends one at once, now and then, if the upstream
/// switches before it has seen the end of a request without a body: that one is given up for another.
#[track_caller]
fn tunnel(airside: &Airside) -> Raw {
    let opened = until(Duration::from_secs(30), || {
        let mut raw = airside.raw();
        let answer = raw.exchange(request("GET", "/ws", &UPGRADE));
        if answer.status != 101 {
            // The one that ended is still on its way out.
            return None;
        }
        assert_eq!(answer.header("ratelimit"), "\"one\";r=0");
        let flows = raw.try_send("x").is_ok() && !raw.closes();
        flows.then_some(raw)
    });
    opened.expect("a WebSocket")
}

#[test]
fn a_web_socket_holds_its_place_until_it_ends() {
    let (airside, origin) = start(ONE, "  - { path: /*, upstream: origin, limits: [one] }");
    let switch =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let (ends, ended) = channel::<()>();
    let ended = Mutex::new(ended);
    let taker = move |stream: TcpStream, _: &Request| {
        std::io::Write::write_all(&mut &stream, switch).unwrap();
        let mut byte = [0];
        // Says back the first byte, and holds the tunnel open until the test says so.
        if matches!(std::io::Read::read(&mut &stream, &mut byte), Ok(1)) {
            std::io::Write::write_all(&mut &stream, &byte).unwrap();
            let _ = ended.lock().unwrap().recv();
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    };
    origin.on("/ws", Answer::Take(Arc::new(taker)));
    // Once the upstream ends it, once the client does.
    for by_upstream in [true, false] {
        let mut raw = tunnel(&airside);
        assert_full(&airside, "/x");
        match by_upstream {
            true => {
                ends.send(()).unwrap();
                assert!(raw.closes());
            }
            false => drop(raw),
        }
        wait_for("the place", || {
            airside.raw().exchange(get("/x")).status == 200
        });
    }
}

#[test]
fn under_load_never_more_than_the_limit_reach_the_upstream() {
    let (airside, origin) = start(
        "{ four: { concurrent: 4 } }",
        "  - { path: /*, upstream: origin, limits: [four] }",
    );
    let arrivals = hold(&origin, "/slow");
    let passed: Vec<_> = std::thread::scope(|scope| {
        let calls = (0..40).map(|_| scope.spawn(|| airside.raw().exchange(get("/slow")).status));
        let calls: Vec<_> = calls.collect();
        let held: Vec<_> = (0..4).map(|_| arrivals.recv().unwrap()).collect();
        // All others have had their answer by now, or will without anyone going on.
        wait_for("the refusals", || {
            calls.iter().filter(|call| call.is_finished()).count() == 36
        });
        held.iter().for_each(Held::go_on);
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(passed.iter().filter(|status| **status == 200).count(), 4);
    assert_eq!(passed.iter().filter(|status| **status == 429).count(), 36);
    let reached = origin.requests();
    let reached: Vec<_> = reached.iter().map(|request| &request.target).collect();
    assert_eq!(reached, ["/slow"; 4]);
}
