//! A flood of sign-ins beside ordinary requests: what it does to the proxy's p99 (rule 14).

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::people::account;
use crate::support::raw::Raw;
use crate::support::server::Airside;
use crate::support::statistics::quantile;

/// Each phase without the flood is followed by one with it.
const ROUNDS: u32 = 5;
const PHASE: Duration = Duration::from_secs(4);
const SIGNINS_A_SECOND: u32 = 200;
/// Of all clients together.
const READS_A_SECOND: u32 = 400;
const CLIENTS: u32 = 8;
/// More than can wait for a hash, so that there is always one for the next sign-in.
const HANDS: usize = 100;
const MOST: f64 = 1.5;

#[test]
#[ignore = "measures time: run by `make test` when nothing else runs"]
fn rule_14_two_hundred_signins_a_second_leave_the_proxys_p99_where_it_is() {
    let origin = Airside::start(ORIGIN);
    let airside = Airside::with(CONFIG)
        .set("origin", origin.address())
        .start();
    let address = airside.address();
    let flooded_reads = |round| {
        thread::scope(|scope| {
            let flood = scope.spawn(move || flood(address, round));
            (reads(&airside), flood.join().unwrap())
        })
    };
    // Connections and code are warm.
    flooded_reads(ROUNDS);
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    let mut answers = BTreeMap::new();
    for round in 0..ROUNDS {
        quiet.extend(reads(&airside));
        let (times, statuses) = flooded_reads(round);
        flooded.extend(times);
        for status in statuses {
            *answers.entry(status).or_insert(0) += 1;
        }
    }
    let (before, during) = (quantile(&quiet, 0.99), quantile(&flooded, 0.99));
    println!(
        "p99 of {} reads: {before} us without, {during} us with the flood: {:.2} times; sign-ins: {answers:?}",
        quiet.len(),
        during / before
    );
    let sent: u32 = answers.values().sum();
    assert_eq!(sent, SIGNINS_A_SECOND * PHASE.as_secs() as u32 * ROUNDS);
    // As many are hashed as the threads can; the rest is told to come back.
    assert!(
        answers.keys().all(|status| [401, 503].contains(status)),
        "{answers:?}"
    );
    assert!(answers[&401] > 50, "{answers:?}");
    assert!(during <= MOST * before, "{before} and {during} us");
}

/// The microseconds that each request through the gateway took.
fn reads(airside: &Airside) -> Vec<f64> {
    let log = airside.folder().join("reads");
    let done = Command::new("h2load")
        .args(["--h1", "--threads=1"])
        .arg(format!("--clients={CLIENTS}"))
        .arg(format!("--rps={}", READS_A_SECOND / CLIENTS))
        .arg(format!("--duration={}", PHASE.as_secs()))
        .arg(format!("--log-file={}", log.display()))
        .arg(airside.url("/public"))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let rows = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let time = |row: &str| {
        let columns: Vec<_> = row.split('\t').collect();
        assert_eq!(columns[1], "200", "{row}");
        columns[2].parse().unwrap()
    };
    rows.lines().map(time).collect()
}

/// Sign-ins at an even pace, whatever becomes of the earlier ones: their statuses.
fn flood(address: std::net::SocketAddr, round: u32) -> Vec<u16> {
    let (sender, due) = mpsc::channel();
    let due = Mutex::new(due);
    let hand = || {
        let mut connection = Raw::connect(address);
        let mut statuses = Vec::new();
        loop {
            let next = due.lock().unwrap().recv();
            let Ok(index) = next else {
                return statuses;
            };
            let request = sign_in(round, index);
            statuses.push(connection.exchange(request).status);
        }
    };
    thread::scope(|scope| {
        let hands: Vec<_> = (0..HANDS).map(|_| scope.spawn(hand)).collect();
        let begun = Instant::now();
        let pace = Duration::from_secs(1) / SIGNINS_A_SECOND;
        for index in 0..PHASE.as_secs() as u32 * SIGNINS_A_SECOND {
            thread::sleep((begun + pace * index).saturating_duration_since(Instant::now()));
            sender.send(index).unwrap();
        }
        drop(sender);
        let joined = hands.into_iter().map(|hand| hand.join().unwrap());
        joined.flatten().collect()
    })
}

/// Each from another address at another account, so that no throttle helps: as many are hashed as can be.
fn sign_in(round: u32, index: u32) -> String {
    let body = account(&format!("{round}.{index}@x.org"), "not the password").to_string();
    let address = format!("10.{round}.{}.{}", index / 250, index % 250);
    format!(
        "POST /auth/signin HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {address}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

const ORIGIN: &str = r#"
listeners: [{ address: "{gateway}" }]
admin: { listen: "{admin}" }
routes: [{ path: /*, respond: { status: 200, body: here }, auth: public }]
telemetry: { access_log: { to: off } }
"#;
const CONFIG: &str = r#"
server: { trusted_proxies: [127.0.0.1] }
listeners: [{ address: "{gateway}" }]
admin: { listen: "{admin}" }
identity: { listen: "{identity}" }
upstreams: { origin: { servers: ["{origin}"] } }
routes:
  - { path: /auth/*, upstream: identity, auth: public }
  - { path: /public, upstream: origin, auth: public }
telemetry: { access_log: { to: off } }
"#;
