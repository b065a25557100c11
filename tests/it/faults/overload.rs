//! Three times as much as there is room for: what fits is served, the rest is refused at once, and the admin listener
//! is awake.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::admin;
use crate::support::edge::{assert_refused, get, with_top};
use crate::support::origin::{Origin, Reply};
use crate::support::raw::Raw;
use crate::support::server::Airside;
use crate::support::statistics::quantile;

/// Asks `/healthz` until the work is done; the slowest answer in milliseconds.
fn beside<T>(airside: &Airside, work: impl FnOnce() -> T) -> (T, f64) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut times = Vec::new();
            while !over.load(Ordering::SeqCst) {
                let begun = Instant::now();
                assert_eq!(admin(airside, get("/healthz")).status, 200);
                times.push(begun.elapsed().as_secs_f64() * 1_000.0);
                // The pace of a prober.
                thread::sleep(Duration::from_millis(20));
            }
            times.into_iter().fold(0.0, f64::max)
        });
        let done = work();
        over.store(true, Ordering::SeqCst);
        (done, asking.join().unwrap())
    })
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn of_three_times_as_many_requests_those_that_fit_are_served_and_the_rest_refused_at_once() {
    const PLACES: usize = 20;
    const WORK: Duration = Duration::from_millis(100);
    let lasts = Duration::from_secs(5);
    let origin = Origin::start();
    origin.on("/a", Reply::new(200, "done").after(WORK));
    let top = format!(
        "upstreams: {{ origin: {{ servers: [\"{{origin}}\"], max_requests: {PLACES} }} }}\n\
         telemetry: {{ access_log: {{ to: off }} }}"
    );
    let airside = with_top(&top, "  - { path: /*, upstream: origin }");
    let airside = airside.origin(&origin).start();
    let (served, refused) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let end = Instant::now() + lasts;
    let ((), slowest) = beside(&airside, || {
        thread::scope(|scope| {
            for _ in 0..3 * PLACES {
                scope.spawn(|| {
                    let mut raw = airside.raw();
                    while Instant::now() < end {
                        let begun = Instant::now();
                        let answer = raw.exchange(get("/a"));
                        let took = begun.elapsed().as_secs_f64() * 1_000.0;
                        if answer.status == 200 {
                            served.lock().unwrap().push(took);
                            continue;
                        }
                        assert_refused(&answer, 503, "overloaded");
                        assert_eq!(answer.header("retry-after"), "1");
                        refused.lock().unwrap().push(took);
                        // Far sooner than it was told.
                        thread::sleep(WORK / 2);
                    }
                });
            }
        });
    });
    let (served, refused) = (served.into_inner().unwrap(), refused.into_inner().unwrap());
    let capacity = PLACES as f64 * lasts.as_secs_f64() / WORK.as_secs_f64();
    let (share, half) = (served.len() as f64 / capacity, quantile(&refused, 0.5));
    println!(
        "{:.0} % of capacity served; {} refused, in {half:.1} ms at the median and {:.1} ms at p99; \
         /healthz in {slowest:.1} ms at the most",
        share * 100.0,
        refused.len(),
        quantile(&refused, 0.99)
    );
    assert!(share > 0.5, "{share}");
    assert!(refused.len() > PLACES && half < 50.0, "{half} ms");
    assert!(slowest < 1_000.0, "/healthz took {slowest} ms");
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn of_three_times_as_many_connections_the_rest_are_told_at_once() {
    const PLACES: usize = 50;
    let origin = Origin::start();
    let top = format!("server: {{ limits: {{ connections: {PLACES} }} }}");
    let airside = with_top(&top, "  - { path: /*, upstream: origin }");
    let airside = airside.origin(&origin).start();
    let mut inside = Vec::new();
    crate::support::wait::wait_for("every place", || {
        let mut raw = airside.raw();
        if raw.exchange(get("/a")).status == 200 {
            inside.push(raw);
        }
        inside.len() == PLACES
    });
    let (times, slowest) = beside(&airside, || {
        let ask = |_| {
            let begun = Instant::now();
            let mut raw = Raw::connect(airside.address());
            let answer = raw.exchange(get("/a"));
            let took = begun.elapsed().as_secs_f64() * 1_000.0;
            assert_refused(&answer, 503, "overloaded");
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(answer.header("connection"), "close");
            assert!(raw.closes());
            took
        };
        (0..2 * PLACES).map(ask).collect::<Vec<_>>()
    });
    let half = quantile(&times, 0.5);
    println!("told in {half:.1} ms at the median; /healthz in {slowest:.1} ms at the most");
    assert!(half < 50.0, "{half} ms");
    assert!(slowest < 1_000.0, "/healthz took {slowest} ms");
    for raw in &mut inside {
        assert_eq!(raw.exchange(get("/a")).status, 200, "who is in stays");
    }
}
