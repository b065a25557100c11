//! Clients that go away at every stage, and one that never tires of inventing keys.

use std::io::Read;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use super::{Bystander, metric, on_a_release};
use crate::support::edge::{assert_refused, get, request, with_top};
use crate::support::origin::{Origin, Reply};
use crate::support::process::{files, memory};
use crate::support::raw::Raw;
use crate::support::server::Airside;
use crate::support::wait::wait_for;

const WORKERS: usize = 8;
const STAGES: usize = 10;

/// One client that goes away: at which stage, and whether it resets or closes.
fn abort(airside: &Airside, stage: usize, resets: bool) {
    let Ok(stream) = TcpStream::connect(airside.address()) else {
        panic!("a connection is taken");
    };
    if resets {
        SockRef::from(&stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    }
    let mut raw = Raw::of(stream);
    let head = "POST /slow HTTP/1.1\r\nHost: x\r\n";
    match stage {
        0 => {}
        1 => raw.send("GE"),
        2 => raw.send("GET /slow HTTP/1.1\r\nHo"),
        3 => raw.send(format!("{head}Content-Length: 100000\r\n\r\n")),
        4 => raw.send(format!("{head}Content-Length: 100000\r\n\r\nabc")),
        5 => raw.send(format!(
            "{head}Transfer-Encoding: chunked\r\n\r\nff\r\nhalf a chunk"
        )),
        6 => raw.send(get("/slow")),
        7 => {
            raw.send(get("/large"));
            let _ = raw.reader().read(&mut [0; 100]);
        }
        8 => {
            assert_eq!(raw.exchange(get("/well")).status, 200);
        }
        _ => {
            assert_eq!(raw.exchange(get("/well")).status, 200);
            raw.send("GET /well HT");
        }
    }
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn ten_thousand_clients_that_go_away_at_every_stage_leave_nothing_behind() {
    const EACH: usize = 10_000 / WORKERS;
    let (origin, busy) = (Origin::start(), Origin::start());
    busy.on(
        "/slow",
        Reply::new(200, "late").after(Duration::from_millis(20)),
    );
    busy.on("/large", Reply::new(200, vec![b'x'; 1 << 20]));
    let top = "upstreams:\n  origin: { servers: [\"{origin}\"] }\n  busy: { servers: [\"{busy}\"] }\n\
               telemetry: { access_log: { to: off } }";
    let routes = "  - { path: /well, upstream: origin }\n  - { path: /*, upstream: busy }\n";
    let set_up = with_top(top, routes).origin(&origin);
    let mut airside = set_up.set("busy", busy.address()).start();
    let id = airside.daemon().id();
    let round = |each: usize| {
        thread::scope(|scope| {
            for worker in 0..WORKERS {
                let airside = &airside;
                scope.spawn(move || {
                    for number in 0..each {
                        abort(
                            airside,
                            (number + worker) % STAGES,
                            (number / STAGES).is_multiple_of(2),
                        );
                    }
                });
            }
        });
    };
    // What is kept for the next ones is there after some.
    round(STAGES * 4);
    let bystander = Bystander::of(&airside);
    let is_quiet = |airside: &Airside| {
        metric(airside, "airside_in_flight_requests") == 0.0
            // The bystander's own, kept and new.
            && metric(airside, "airside_connections ") <= 2.0
    };
    wait_for("quiet", || is_quiet(&airside));
    let (memory_before, files_before) = (memory(id), files(id));
    round(EACH);
    wait_for("quiet", || is_quiet(&airside));
    wait_for("its files", || files(id) <= files_before + 16);
    println!(
        "{memory_before:.1} MiB and {files_before} files before, {:.1} and {} after",
        memory(id),
        files(id)
    );
    wait_for("its memory", || memory(id) < memory_before + 24.0);
    assert_eq!(metric(&airside, "airside_panics_total"), 0.0);
    bystander.was_untouched();
    let log = airside.stderr();
    assert!(log.lines().count() < 100, "anybody can fill the log: {log}");
}

/// So many requests with keys that nobody had before, on some connections. Brings the statuses.
fn invent(airside: &Airside, path: &str, count: usize) -> Vec<u16> {
    thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                scope.spawn(move || {
                    let mut raw = airside.raw();
                    let ask = |number: usize| {
                        let key = format!("{worker}-{:x}", number.wrapping_mul(0x9e37_79b9_7f4a));
                        let headers = [("X-Key", &*key), ("X-Forwarded-For", "203.0.113.9")];
                        raw.exchange(request("GET", path, &headers)).status
                    };
                    (0..count / WORKERS).map(ask).collect::<Vec<_>>()
                })
            })
            .collect();
        let statuses = workers.into_iter().flat_map(|one| one.join().unwrap());
        statuses.collect()
    })
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_million_keys_of_one_client_take_bounded_memory_and_its_limit_holds() {
    let top = r#"
server: { trusted_proxies: [127.0.0.0/8] }
limits:
  keys: { rate: 5/1h, by: "header:X-Key", max_keys: 10000 }
  clients: { rate: 50/1s }
telemetry: { access_log: { to: off } }
"#;
    let routes = r#"
  - { path: /keys, respond: { body: well }, limits: [keys] }
  - { path: /mine, respond: { body: well }, limits: [clients] }
"#;
    let mut airside = with_top(top, routes).set("origin", "127.0.0.1:1").start();
    let id = airside.daemon().id();
    invent(&airside, "/keys", 40_000);
    let full = memory(id);
    let count = 100_000 * on_a_release(10);
    let statuses = invent(&airside, "/keys", count);
    assert!(statuses.iter().all(|status| *status == 200), "each is new");
    let after = memory(id);
    println!("{full:.1} MiB with 40,000 keys, {after:.1} MiB with {count} more");
    assert!(after < full + 8.0, "{full} to {after} MiB");

    // Ten times its limit, for some seconds: it gets its limit, and everybody else theirs.
    let begun = Instant::now();
    let statuses = invent(&airside, "/mine", 5_000 * on_a_release(10));
    let served = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert_eq!(served + refused, statuses.len());
    let most = 50.0 * (begun.elapsed().as_secs_f64() + 1.0);
    assert!(
        (50..=most as usize).contains(&served),
        "{served} of {most} in {:?}",
        begun.elapsed()
    );
    assert!(
        refused > 9 * served / 2,
        "{refused} refused, {served} served"
    );
    let headers = [("X-Forwarded-For", "203.0.113.2")];
    let other = airside.raw().exchange(request("GET", "/mine", &headers));
    assert_eq!(other.status, 200);
    let again = || {
        let headers = [("X-Forwarded-For", "203.0.113.9")];
        airside.raw().exchange(request("GET", "/mine", &headers))
    };
    let now = again();
    if now.status != 200 {
        assert_refused(&now, 429, "rate_limited");
    }
    wait_for("its next call", || again().status == 200);
}
