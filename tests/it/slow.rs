//! Clients that are slow on purpose, in the ways of slowhttptest: with heads, with bodies, with reading, and with ranges.
//! Each is cut in time, and nobody else waits for them.

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::bytes::http2::{self, Framed, Outcome};
use crate::support::edge::{assert_refused, get, request, with_top};
use crate::support::origin::{Answer, Origin, Reply};
use crate::support::raw::Raw;
use crate::support::server::Airside;
use crate::support::wait::wait_for;

const LIMITS: &str = "server: { limits: { header_timeout: 1s, body_timeout: 1s, idle_timeout: 2s, tunnel_timeout: 1s } }";
const ROUTES: &str = "  - { path: /*, upstream: origin }";
const DEADLINE: Duration = Duration::from_secs(1);
/// What a cut may come late on a machine with much else to do.
const LATE: Duration = Duration::from_secs(2);

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    (with_top(LIMITS, ROUTES).origin(&origin).start(), origin)
}

/// Has `count` clients be slow, each by `drip` every 100 ms until it is cut, and others be served meanwhile. Gives the
/// clients' last words.
fn slowly(airside: &Airside, count: usize, beginning: &str, drip: &str) -> Vec<Raw> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut served = 0;
            while !done.load(Ordering::Relaxed) {
                let begun = Instant::now();
                assert_eq!(airside.raw().exchange(get("/quick")).status, 200);
                assert!(begun.elapsed() < LATE, "{:?}", begun.elapsed());
                served += 1;
            }
            served
        });
        let slow: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    let mut raw = airside.raw();
                    raw.send(beginning);
                    let begun = Instant::now();
                    let mut writer = raw.writer();
                    let peeked = raw.writer();
                    peeked
                        .set_read_timeout(Some(Duration::from_millis(100)))
                        .unwrap();
                    // Until something can be read: an answer, or the end.
                    while peeked.peek(&mut [0]).is_err() {
                        let _ = std::io::Write::write_all(&mut writer, drip.as_bytes());
                        assert!(begun.elapsed() < DEADLINE + LATE, "{:?}", begun.elapsed());
                    }
                    assert!(begun.elapsed() >= DEADLINE - Duration::from_millis(200));
                    raw.set_patience(Duration::from_secs(5));
                    raw
                })
            })
            .collect();
        let slow = slow.into_iter().map(|each| each.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(others.join().unwrap() > 3);
        slow
    })
}

#[track_caller]
fn assert_logged(airside: &Airside, reason: &str, count: usize) {
    let logged = || {
        let lines = airside.access_log();
        lines.iter().filter(|line| line["reason"] == reason).count()
    };
    wait_for(&format!("{count} lines with {reason}"), || {
        logged() == count
    });
    let log = airside.stderr();
    assert!(!log.contains("Downstream"), "clients fill the log: {log}");
}

fn metrics(airside: &Airside) -> String {
    let address = airside
        .admin_url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    crate::support::raw::once(address, get("/metrics")).text()
}

#[test]
fn heads_that_drip_are_408_in_time() {
    let (airside, origin) = start();
    let slow = slowly(
        &airside,
        20,
        "GET /slow HTTP/1.1\r\nHost: a\r\n",
        "X-a: b\r\n",
    );
    for mut raw in slow {
        let answer = raw.read();
        assert_refused(&answer, 408, "bad_request");
        assert_eq!(answer.header("connection"), "close");
        assert!(raw.closes());
    }
    assert_logged(&airside, "header_timeout", 20);
    let page = metrics(&airside);
    for line in [
        "airside_requests_total{route=\"\",status=\"408\"} 20",
        "airside_connections_cut_total{reason=\"header_timeout\"} 20",
    ] {
        assert!(page.contains(line), "{page}");
    }
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.target == "/quick")
    );
}

#[test]
fn heads_that_drip_on_a_kept_connection_are_408_in_time_too() {
    let (airside, _origin) = start();
    let mut raw = airside.raw();
    assert_eq!(raw.exchange(get("/a")).status, 200);
    assert_eq!(raw.exchange(get("/a")).status, 200);
    let begun = Instant::now();
    raw.send("GET /b HTTP/1.1\r\nHo");
    assert_refused(&raw.read(), 408, "bad_request");
    let took = begun.elapsed();
    assert!((DEADLINE..DEADLINE + LATE).contains(&took), "{took:?}");
    assert!(raw.closes());
}

#[test]
fn who_says_nothing_is_let_go_without_a_word_sooner_before_the_first_request_than_after_it() {
    let (airside, _origin) = start();
    for (requests, idle) in [(0, DEADLINE), (1, 2 * DEADLINE), (3, 2 * DEADLINE)] {
        let mut raw = airside.raw();
        for _ in 0..requests {
            assert_eq!(raw.exchange(get("/a")).status, 200);
        }
        let begun = Instant::now();
        assert!(raw.closes());
        let took = begun.elapsed();
        let least = idle - Duration::from_millis(100);
        assert!((least..idle + LATE).contains(&took), "{requests}: {took:?}");
    }
    assert_eq!(airside.wait_for_access_log(4).len(), 4);
}

#[test]
fn bodies_that_drip_are_408_in_time() {
    let (airside, origin) = start();
    let by_length = "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
    let chunked = "POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut cut = slowly(&airside, 10, by_length, "x");
    cut.extend(slowly(&airside, 10, chunked, "1\r\nx\r\n"));
    for mut raw in cut {
        assert_refused(&raw.read(), 408, "bad_request");
        assert!(raw.closes());
    }
    assert_logged(&airside, "body_timeout", 20);
    assert!(
        origin
            .requests()
            .iter()
            .all(|request| request.target == "/quick")
    );
}

#[test]
fn a_body_that_comes_slowly_and_steadily_passes() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    raw.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 24000\r\n\r\n");
    for _ in 0..6 {
        // The pace of the client; three times as long as a body may stand still.
        thread::sleep(DEADLINE / 2);
        raw.send(vec![b'x'; 4_000]);
    }
    assert_eq!(raw.read().status, 200);
    assert_eq!(origin.last().body.len(), 24_000);
}

#[test]
fn an_upstream_that_takes_its_time_is_not_the_clients_fault() {
    let (airside, origin) = start();
    origin.on("/slow", Reply::new(200, "late").after(3 * DEADLINE));
    let post = "POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    for sent in [get("/slow"), post.to_owned()] {
        assert_eq!(airside.raw().exchange(sent).text(), "late");
    }
}

/// A client that takes next to nothing.
fn never_reading(airside: &Airside, target: &str) -> Raw {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1 << 10).unwrap();
    socket.connect(&SockAddr::from(airside.address())).unwrap();
    let mut stream = TcpStream::from(socket);
    std::io::Write::write_all(&mut stream, get(target).as_bytes()).unwrap();
    Raw::of(stream)
}

#[test]
fn clients_that_do_not_read_are_cut_in_time() {
    let (airside, origin) = start();
    origin.on("/large", Reply::new(200, vec![b'x'; 16 << 20]));
    let begun = Instant::now();
    let slow: Vec<_> = (0..5).map(|_| never_reading(&airside, "/large")).collect();
    let lines = || {
        airside
            .access_log()
            .iter()
            .filter(|line| line["reason"] == "body_timeout")
            .count()
    };
    while lines() < 5 {
        assert_eq!(airside.raw().exchange(get("/quick")).status, 200);
        assert!(
            begun.elapsed() < DEADLINE + 3 * LATE,
            "{:?}",
            begun.elapsed()
        );
    }
    for mut raw in slow {
        let mut all = Vec::new();
        // The end may be a reset.
        let _ = raw.reader().read_to_end(&mut all);
        assert!(all.len() < 16 << 20, "all of it came");
    }
}

#[test]
fn a_request_for_a_thousand_ranges_is_one_request_and_too_many_are_431() {
    let (airside, origin) = start();
    let ranges = |count: usize| {
        let list: Vec<_> = (0..count).map(|from| format!("5-{from}")).collect();
        request(
            "GET",
            "/a",
            &[("Range", &format!("bytes=0-,{}", list.join(",")))],
        )
    };
    let before = origin.count();
    assert_eq!(airside.raw().exchange(ranges(1_000)).status, 200);
    assert_eq!(origin.count(), before + 1);
    assert_refused(
        &airside.raw().exchange(ranges(8_000)),
        431,
        "headers_too_large",
    );
    assert_eq!(origin.count(), before + 1);
    assert_eq!(airside.raw().exchange(get("/quick")).status, 200);
}

#[test]
fn a_tunnel_that_is_silent_on_both_sides_ends() {
    let (airside, origin) = start();
    let upgraded =
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    origin.on("/ws", Answer::Stall(upgraded.to_vec()));
    let mut raw = airside.raw();
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(raw.exchange(request("GET", "/ws", &headers)).status, 101);
    for _ in 0..3 {
        // As long as one side speaks it lives.
        thread::sleep(DEADLINE * 7 / 10);
        raw.send("x");
    }
    let begun = Instant::now();
    assert!(raw.closes());
    let took = begun.elapsed();
    assert!((DEADLINE / 2..DEADLINE + LATE).contains(&took), "{took:?}");
    assert_logged(&airside, "tunnel_timeout", 1);
}

const GET_A: &[u8] = b"\x82\x86\x84\x41\x01a";
const ENHANCE_YOUR_CALM: u32 = 11;

/// Opens streams and takes them back, as slowly as told, until the connection is cut; how many there were.
fn take_back(framed: &mut Framed, pace: Duration) -> u32 {
    let peeked = framed.0.writer();
    for round in 0..3_000 {
        let stream = 2 * round + 1;
        framed.send(&http2::frame(http2::HEADERS, 5, stream, GET_A));
        // The pace of the flood, as long as there is nothing to read.
        framed.0.set_patience(pace);
        if peeked.peek(&mut [0]).is_ok() {
            framed.0.set_patience(LATE);
            match framed.next() {
                None | Some(Outcome::Status(200)) => {}
                Some(Outcome::GoAway(ENHANCE_YOUR_CALM)) => return round,
                other => panic!("{other:?} after {round}"),
            }
        }
        framed.send(&http2::frame(http2::RST_STREAM, 0, stream, b"\0\0\0\x08"));
    }
    panic!("3,000 streams were taken back");
}

#[test]
fn a_paced_flood_of_resets_is_cut_with_a_word_and_then_its_address_is_kept_out() {
    let (airside, origin) = http2::start("");
    origin.on("/", Reply::new(200, "a").after(Duration::from_secs(1)));
    let mut framed = Framed::connect(&airside);
    let taken = take_back(&mut framed, Duration::from_millis(5));
    assert!((50..500).contains(&taken), "{taken}");
    let page = metrics(&airside);
    assert!(
        page.contains("airside_connections_cut_total{reason=\"resets\"} 1"),
        "{page}"
    );
    // Another connection of it is as free as any, until the address as a whole has gone too far.
    for _ in 0..20 {
        let mut framed = Framed::connect(&airside);
        framed.ping();
        if framed.outcome() == Outcome::Closed {
            break;
        }
        take_back(&mut framed, Duration::from_millis(1));
    }
    let page = metrics(&airside);
    assert!(
        page.contains("airside_connections_refused_total{reason=\"resets\"}"),
        "{page}"
    );
}

#[test]
fn connections_that_are_dropped_with_streams_open_count_for_their_address() {
    let (airside, origin) = http2::start("");
    origin.on("/", Reply::new(200, "a").after(Duration::from_secs(2)));
    let dropped = (1..=40).find(|round| {
        let mut framed = Framed::connect(&airside);
        for stream in 0..40 {
            framed.send(&http2::frame(http2::HEADERS, 5, 2 * stream + 1, GET_A));
        }
        framed.ping();
        // All of them are open by now.
        let outcome = framed.outcome();
        assert!(*round > 8 || outcome == Outcome::Alive, "{outcome:?}");
        drop(framed);
        outcome == Outcome::Closed
    });
    assert!(dropped.is_some(), "it is never kept out");
    let page = metrics(&airside);
    let refused = "airside_connections_refused_total{reason=\"resets\"}";
    assert!(page.contains(refused), "{page}");
}
