//! Changes under load of other people's tools: reloads, an upgrade and scrapes that cost no request.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::edge::{get, request};
use crate::support::origin::{Answer, Origin};
use crate::support::raw::{Raw, once};
use crate::support::server::Airside;
use crate::support::statistics::{median, quantile};
use crate::support::wait::wait_for;

const CONFIG: &str = r#"
server: { run_dir: run, drain: 60s }
listeners: [{ address: "{gateway}" }]
admin: { listen: "{admin}" }
defaults: { auth: public }
upstreams:
  behind: { servers: ["{behind}"] }
  slow: { servers: ["{origin}"] }
routes:
  - { path: /version, respond: { body: "0" } }
  - { path: /slow, upstream: slow }
  - { path: /load, upstream: behind }
telemetry: { access_log: { to: off } }
"#;

/// Answers by itself, fast enough for any load.
fn behind() -> Airside {
    Airside::start(
        "listeners: [{ address: \"{gateway}\" }]\nadmin: { listen: \"{admin}\" }\n\
         routes: [{ path: /load, respond: { body: loaded }, auth: public }]\n\
         telemetry: { access_log: { to: off } }\n",
    )
}

fn start(behind: &Airside, origin: &Origin) -> Airside {
    let set_up = Airside::with(CONFIG).origin(origin);
    set_up.set("behind", behind.address()).start()
}

/// 64 connections for so long.
fn wrk(airside: &Airside, seconds: u32) -> Child {
    Command::new("wrk")
        .args(["--threads", "1", "--connections", "64", "--duration"])
        .arg(format!("{seconds}s"))
        .arg(airside.url("/load"))
        .stdout(Stdio::piped())
        .spawn()
        .expect("wrk runs; scripts/install-test-deps installs it")
}

/// Not one request failed, and there were some.
fn assert_none_failed(wrk: Child) {
    let output = wrk.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    println!("{said}");
    assert!(output.status.success(), "{said}");
    assert!(
        !said.contains("Non-2xx") && !said.contains("Socket errors"),
        "{said}"
    );
    let served = said
        .lines()
        .find_map(|line| line.split_once(" requests in "));
    let served: u64 = served.unwrap().0.trim().parse().unwrap();
    assert!(served > 1_000, "{said}");
}

fn admin(airside: &Airside, asked: &str) -> crate::support::raw::Response {
    let url = airside.admin_url("");
    once(url.trim_start_matches("http://").parse().unwrap(), asked)
}

#[test]
#[ignore = "puts load on the machine: run by `make test` when nothing else runs"]
fn twenty_reloads_in_twenty_seconds_under_wrk_fail_no_request() {
    let (behind, origin) = (behind(), Origin::start());
    let mut airside = start(&behind, &origin);
    let load = wrk(&airside, 22);
    let begun = Instant::now();
    for number in 1..=20_u32 {
        // The pace that is asked for, not a wait for something to become so.
        thread::sleep((begun + Duration::from_secs(number.into())) - Instant::now());
        airside.write_config(&CONFIG.replace("\"0\"", &format!("\"{number}\"")));
        let answer = admin(&airside, &request("POST", "/reload", &[]));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            airside.raw().exchange(get("/version")).text(),
            number.to_string()
        );
    }
    assert_none_failed(load);
}

#[test]
#[ignore = "puts load on the machine: run by `make test` when nothing else runs"]
fn an_upgrade_under_wrk_fails_no_request_and_a_download_of_thirty_seconds_ends_whole() {
    const BYTES: usize = 300;
    let (behind, origin) = (behind(), Origin::start());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BYTES}\r\n\r\n");
    let body = "x".repeat(BYTES);
    let answer = Answer::Take(std::sync::Arc::new(move |mut stream: TcpStream, _: &_| {
        use std::io::Write;
        stream.write_all(head.as_bytes()).unwrap();
        for byte in body.as_bytes() {
            stream.write_all(&[*byte]).unwrap();
            thread::sleep(Duration::from_secs(30) / BYTES as u32);
        }
    }));
    origin.on("/slow", answer);
    let mut airside = start(&behind, &origin);
    let mut download = Raw::connect(airside.address());
    download.set_patience(Duration::from_secs(40));
    download.send(get("/slow"));
    origin.wait_for_requests(1);
    let begun = Instant::now();
    let load = wrk(&airside, 8);
    thread::sleep(Duration::from_secs(2));
    airside.write_config(&CONFIG.replace("\"0\"", "\"1\""));
    let successor = airside.upgrade();
    wait_for("the successor", || {
        airside.raw().exchange(get("/version")).text() == "1"
    });
    assert_none_failed(load);
    let downloaded = download.read();
    assert_eq!(downloaded.body.len(), BYTES);
    assert!(
        begun.elapsed() > Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
    let gone = airside.daemon().wait_until_ended(Duration::from_secs(10));
    assert!(gone.stderr.contains("nothing in flight"), "{}", gone.stderr);
    drop(successor);
}

const MOST: f64 = 1.0;
const ROUNDS: usize = 5;
const ATTEMPTS: usize = 5;
const ROUTES: usize = 1_000;

/// The milliseconds of requests at an even pace for two seconds.
fn paced(airside: &Airside) -> Vec<f64> {
    let mut raw = airside.raw();
    let begun = Instant::now();
    let mut times = Vec::new();
    for number in 0..1_000_u32 {
        let due = begun + Duration::from_millis(2) * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        assert_eq!(raw.exchange(get("/a0")).status, 200);
        times.push(sent.elapsed().as_secs_f64() * 1_000.0);
    }
    times
}

/// A page of a thousand busy routes, over and over, beside requests.
#[test]
#[ignore = "measures time: run by `make test` when nothing else runs"]
fn a_scrape_under_load_costs_no_request_more_than_a_millisecond() {
    let routes: String = (0..ROUTES)
        .map(|number| format!("  - {{ path: /a{number}, respond: {{ body: a }} }}\n"))
        .collect();
    let airside = Airside::start(&format!(
        "server: {{ threads: 1 }}\nlisteners: [{{ address: \"{{gateway}}\" }}]\n\
         admin: {{ listen: \"{{admin}}\" }}\ndefaults: {{ auth: public }}\n\
         telemetry: {{ access_log: {{ to: off }} }}\nroutes:\n{routes}"
    ));
    let mut raw = airside.raw();
    for number in 0..ROUTES {
        assert_eq!(raw.exchange(get(&format!("/a{number}"))).status, 200);
    }
    paced(&airside);
    for _ in 0..ATTEMPTS {
        let (mut quiet, mut scraped) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            quiet.push(quantile(&paced(&airside), 0.99));
            let times = thread::scope(|scope| {
                let pages = scope.spawn(|| {
                    // Far more often than Prometheus does.
                    for _ in 0..8 {
                        let page = admin(&airside, &get("/metrics"));
                        assert!(page.body.len() > 1_000_000, "{}", page.body.len());
                        thread::sleep(Duration::from_millis(200));
                    }
                });
                let times = paced(&airside);
                pages.join().unwrap();
                times
            });
            scraped.push(quantile(&times, 0.99));
        }
        println!("p99 in ms, without: {quiet:.2?}, with scrapes: {scraped:.2?}");
        if median(&scraped) - median(&quiet) <= MOST {
            return;
        }
    }
    panic!("scrapes cost more than {MOST} ms, {ATTEMPTS} times in a row");
}
