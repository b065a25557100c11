//! Faults, by real means, one after another: what who is hit is answered, that nobody else notices, and that all is
//! well after. They take minutes, so they are left out of `cargo test`; `make test-faults` runs them, and
//! docs/RELIABILITY.md has the table.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::edge::get;
use crate::support::raw::{Raw, Response, once};
use crate::support::server::Airside;
use crate::support::wait::wait_for;

mod certificates;
mod clients;
mod clock;
mod configuration;
mod logs;
mod overload;
mod starved;
mod stores;
mod tokens;
mod upstreams;

/// Somebody whom the fault has nothing to do with. Asks all the time, on one connection and on new ones.
struct Bystander {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    thread: Option<JoinHandle<Duration>>,
}

impl Bystander {
    /// Asks for `/well`, which must be 200.
    fn of(airside: &Airside) -> Self {
        Self::asking(airside.address(), get("/well"))
    }

    /// Asks `address` for anything that must be 200.
    fn asking(address: SocketAddr, request: String) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicUsize::new(0));
        let (ends, counted) = (over.clone(), asked.clone());
        let thread = thread::spawn(move || {
            let mut slowest = Duration::ZERO;
            let mut kept = Raw::connect(address);
            while !ends.load(Ordering::SeqCst) {
                let is_new = counted.fetch_add(1, Ordering::SeqCst) % 4 == 3;
                let begun = Instant::now();
                let answer = match is_new {
                    true => once(address, &request),
                    false => kept.exchange(&request),
                };
                slowest = slowest.max(begun.elapsed());
                assert_eq!(answer.status, 200, "a bystander was hit: {}", answer.text());
                // The pace of somebody, not a wait for something.
                thread::sleep(Duration::from_millis(5));
            }
            slowest
        });
        Self {
            over,
            asked,
            thread: Some(thread),
        }
    }

    /// Waits until so many more of the bystander's requests were answered.
    #[track_caller]
    fn goes_on(&self, more: usize) {
        let goal = self.asked.load(Ordering::SeqCst) + more;
        let thread = self.thread.as_ref().expect("it asks");
        wait_for("a bystander's requests", || {
            assert!(!thread.is_finished(), "a bystander was hit: see above");
            self.asked.load(Ordering::SeqCst) >= goal
        });
    }

    /// Every request was answered, and none late.
    #[track_caller]
    fn was_untouched(mut self) {
        self.goes_on(4);
        self.over.store(true, Ordering::SeqCst);
        let slowest = self.thread.take().expect("it asks").join();
        let slowest = slowest.expect("every answer was 200");
        println!("the bystander's slowest answer: {slowest:?}");
        assert!(slowest < LATE, "a bystander waited for {slowest:?}");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

fn admin(airside: &Airside, request: impl AsRef<[u8]>) -> Response {
    let url = airside.admin_url("");
    once(url.trim_start_matches("http://").parse().unwrap(), request)
}

/// A sample of the page of metrics, summed over what has this beginning; zero where there is none.
fn metric(airside: &Airside, beginning: &str) -> f64 {
    let page = admin(airside, get("/metrics")).text();
    let samples = page.lines().filter_map(|line| {
        let value = line.strip_prefix(beginning)?.rsplit(' ').next()?;
        value.parse::<f64>().ok()
    });
    samples.sum()
}

/// How many times as much is asked of a program that was built to be fast.
fn on_a_release(times: usize) -> usize {
    match std::env::var_os("AIRSIDE_PROGRAM") {
        Some(_) => times,
        None => 1,
    }
}

/// No answer to a bystander takes as long, however busy the machine: less than any deadline of the gateway's.
const LATE: Duration = Duration::from_secs(2);
