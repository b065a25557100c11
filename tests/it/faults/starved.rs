//! The gateway has next to no processor.

use std::process::Command;
use std::time::{Duration, Instant};

use super::admin;
use crate::support::daemon::{Daemon, run};
use crate::support::edge::{get, start};
use crate::support::wait::wait_for;

/// Keeps one processor busy until it is dropped.
fn hog() -> Daemon {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", "0", "sh", "-c", "while :; do :; done"]);
    Daemon::start(&mut command, "util-linux")
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_gateway_without_processor_is_slow_and_refuses_nobody_and_is_quick_after() {
    let (mut airside, _origin) = start("  - { path: /*, upstream: origin }");
    let id = airside.daemon().id().to_string();
    let mut pin = Command::new("taskset");
    run(
        pin.args(["--all-tasks", "--cpu-list", "--pid", "0", &id]),
        "util-linux",
    );
    for task in std::fs::read_dir(format!("/proc/{id}/task"))
        .unwrap()
        .flatten()
    {
        let task = task.file_name().into_string().unwrap();
        let mut lower = Command::new("renice");
        // A tenth of what the others get.
        run(lower.args(["-n", "10", "-p", &task]), "bsdutils");
    }
    let hogs = [hog(), hog()];
    let (mut asked, begun) = (0, Instant::now());
    let mut kept = airside.raw();
    let mut slowest = Duration::ZERO;
    while asked < 100 || begun.elapsed() < Duration::from_secs(5) {
        let sent = Instant::now();
        assert_eq!(kept.exchange(get("/a")).status, 200);
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
        slowest = slowest.max(sent.elapsed());
        asked += 2;
    }
    let healthy = Instant::now();
    assert_eq!(admin(&airside, get("/healthz")).status, 200);
    println!(
        "{asked} requests served, two in {slowest:?} at the most; /healthz in {:?}",
        healthy.elapsed()
    );
    assert!(healthy.elapsed() < Duration::from_secs(5));
    drop(hogs);
    wait_for("a quick answer", || {
        let sent = Instant::now();
        assert_eq!(kept.exchange(get("/a")).status, 200);
        sent.elapsed() < Duration::from_millis(100)
    });
    let log = airside.stderr();
    assert!(!log.contains("panicked"), "{log}");
}
