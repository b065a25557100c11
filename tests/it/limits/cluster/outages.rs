//! Whatever becomes of Redis, calls are answered in time, and it is found again.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::*;
use crate::support::port;

/// Tells callers to stop when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Is the limit `all` counted there?
fn is_counted_in(redis: &Redis) -> bool {
    keys(redis)
        .iter()
        .any(|(key, _)| key.starts_with("airside:all:"))
}

pub fn a_server_that_hangs_costs_one_deadline_and_not_one_a_call(product: Product) {
    let mut redis = Redis::of(product);
    let origin = Origin::start();
    let limits = "{ all: { rate: 100000/1h, scope: cluster } }";
    let airside = gateway(&redis.url(), "400ms", limits, ROUTES, &origin);
    assert_eq!(airside.raw().exchange(get("/")).status, 200);
    redis.daemon().signal("STOP");
    let began = Instant::now();
    let statuses = storm(std::slice::from_ref(&airside), "/", 200);
    assert_eq!(count(&statuses, 200), 200);
    // 50 a thread, one after the other: 20 s if each waited.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    redis.daemon().signal("CONT");
    wait_for("the server's return", || airside.stderr().contains("back"));
    let told = airside.stderr();
    assert_eq!(told.matches("away").count(), 1, "{told}");
}

pub fn a_server_that_dies_under_load_fails_no_call_and_is_found_again(product: Product) {
    let mut redis = Redis::of(product);
    let origin = Origin::start();
    let limits = "{ all: { rate: 1000000/1h, scope: cluster } }";
    // It is the connection's end that is noticed, not a deadline.
    let airside = gateway(&redis.url(), PATIENT, limits, ROUTES, &origin);
    let over = AtomicBool::new(false);
    let statuses = std::thread::scope(|scope| {
        // Also where this fails: it would wait for them.
        let end = Over(&over);
        let call = || {
            let mut statuses = Vec::new();
            while !over.load(SeqCst) {
                statuses.push(airside.raw().exchange(get("/")).status);
            }
            statuses
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
        for times in 1..=2 {
            wait_for("calls in Redis", || is_counted_in(&redis));
            redis.daemon().kill();
            let reached = origin.count();
            wait_for("calls without it", || origin.count() > reached + 50);
            redis.restart();
            wait_for("its return", || {
                airside.stderr().matches("back").count() == times
            });
        }
        // It was empty when it came.
        wait_for("calls in Redis", || is_counted_in(&redis));
        drop(end);
        let threads = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        threads.collect::<Vec<_>>()
    });
    assert_eq!(count(&statuses, 200), statuses.len());
    assert_eq!(airside.stderr().matches("away").count(), 2);
}

pub fn a_server_that_forgot_the_scripts_is_given_them_again(product: Product) {
    let redis = Redis::of(product);
    let limits = "{ all: { rate: 9/1h, scope: cluster } }";
    let (gateways, _origin) = pair(&redis, limits, ROUTES);
    for left in (0..9).rev() {
        let () = redis::cmd("SCRIPT")
            .arg("FLUSH")
            .query(&mut direct(&redis))
            .unwrap();
        let answer = gateways[left % 2].raw().exchange(get("/"));
        assert_eq!(state(&answer, "all").0, left as u64);
    }
}

#[test]
fn without_a_server_each_limit_does_as_it_was_told_and_nothing_is_held_up() {
    let origin = Origin::start();
    let nowhere = format!("redis://someone:very-secret-word@{}/0", port::free());
    let airside = gateway(
        &nowhere,
        "20ms",
        r#"{ here: { rate: 2/1h, scope: cluster }, open: { rate: 1/1h, scope: cluster, on_store_error: allow },
             shut: { rate: 9/1h, scope: cluster, on_store_error: deny },
             trial: { rate: 9/1h, scope: cluster, on_store_error: deny, mode: shadow } }"#,
        r#"
  - { path: /here, upstream: origin, limits: [here, trial] }
  - { path: /open, upstream: origin, limits: [open] }
  - { path: /shut, upstream: origin, limits: [shut] }
"#,
        &origin,
    );
    assert_admits(&airside, "/here", "203.0.113.1", 2);
    for _ in 0..3 {
        let answer = call(&airside, "/open", "203.0.113.1");
        assert_eq!(
            (answer.status, answer.head.header("ratelimit")),
            (200, None)
        );
        let refused = call(&airside, "/shut", "203.0.113.1");
        assert_refused(&refused, 429, "rate_limited");
        assert_eq!(refused.header("retry-after"), "1");
    }
    let mut admin = Raw::connect(
        airside
            .admin_url("")
            .trim_start_matches("http://")
            .parse()
            .unwrap(),
    );
    assert_eq!(admin.exchange(get("/readyz")).status, 200);
    let told = airside.stderr();
    assert_eq!(told.matches("away").count(), 1, "{told}");
    assert!(!told.contains("secret-word"), "{told}");
}
