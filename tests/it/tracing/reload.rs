//! Tracing comes, changes and goes without a restart, and no span is lost where the process ends.

use std::time::{Duration, Instant};

use super::{Collector, Origin, ROUTES, get, start, tracing, wait_for_counts};
use crate::support::edge::{request, with_top};
use crate::support::origin::{Answer, Reply};
use crate::support::raw::once;
use crate::support::server::Airside;
use crate::support::wait::{PATIENCE, wait_for};

/// Writes a configuration with these sections, and reloads it.
#[track_caller]
fn reload(airside: &mut Airside, top: &str) {
    airside.write_config(with_top(top, ROUTES).config());
    let address = airside
        .admin_url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let answer = once(address, request("POST", "/reload", &[]));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

const OFF: &str = "telemetry: { access_log: { to: off } }";

#[test]
fn tracing_is_off_until_it_is_asked_for_and_off_again() {
    let (collector, origin) = (Collector::start(), Origin::start());
    let set_up = with_top(OFF, ROUTES).origin(&origin);
    let mut airside = set_up.set("collector", collector.address()).start();
    let ask = |airside: &Airside| assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    let flags = || origin.last().header("traceparent").unwrap()[53..].to_owned();
    ask(&airside);
    assert_eq!(flags(), "02");
    reload(&mut airside, &tracing("sample: 100%"));
    ask(&airside);
    assert_eq!(flags(), "03");
    assert_eq!(collector.wait_for_spans(2)[0].service, "airside");

    reload(&mut airside, &tracing("sample: 100%, service_name: other"));
    ask(&airside);
    assert_eq!(collector.wait_for_spans(4)[2].service, "other");
    reload(&mut airside, &tracing("sample: 0%"));
    ask(&airside);
    assert_eq!(flags(), "02");

    // What began while it was on is exported after it went off.
    reload(&mut airside, &tracing("sample: 100%"));
    origin.on(
        "/slow",
        Reply::new(200, "").after(Duration::from_millis(600)),
    );
    let mut raw = airside.raw();
    raw.send(get("/slow"));
    origin.wait_for_requests(5);
    reload(&mut airside, OFF);
    ask(&airside);
    assert_eq!(flags(), "02");
    assert_eq!(raw.read().status, 200);
    assert_eq!(collector.wait_for_spans(6)[4].get("url.path"), "/slow");
    wait_for_counts(&airside, [6, 0, 0]);
}

#[test]
fn what_waits_goes_to_the_collector_that_a_reload_names() {
    let (mut airside, collector, _origin) = start();
    collector.answers(Reply::new(503, ""));
    airside.raw().exchange(get("/own"));
    collector.wait_for_batches(1);
    let other = Collector::start();
    let to = tracing("sample: 100%").replace("{collector}", &other.address().to_string());
    reload(&mut airside, &to);
    assert_eq!(other.wait_for_spans(1)[0].get("url.path"), "/own");
    wait_for_counts(&airside, [1, 0, 0]);
}

#[test]
fn a_log_that_needs_a_restart_is_still_named() {
    let (mut airside, _collector, _origin) = start();
    airside.write_config(
        with_top(
            &tracing("sample: 1%").replace("to: off", "to: log.json"),
            ROUTES,
        )
        .config(),
    );
    let address = airside
        .admin_url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap();
    let answer = once(address, request("POST", "/reload", &[]));
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(
        answer.text().contains("`telemetry.access_log`"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_stop_exports_what_waits_and_does_not_wait_for_a_collector_that_hangs() {
    let (mut airside, collector, _origin) = start();
    for _ in 0..50 {
        airside.raw().exchange(get("/own"));
    }
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert_eq!(collector.spans().len(), 50);

    let (mut airside, collector, _origin) = start();
    collector.answers(Answer::Stall(Vec::new()));
    airside.raw().exchange(get("/own"));
    collector.wait_for_batches(1);
    let begun = Instant::now();
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // A batch has ten seconds, the end two.
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    assert!(ended.stderr.contains("left with spans"), "{}", ended.stderr);
}

#[test]
fn an_upgrade_loses_no_span() {
    let (collector, origin) = (Collector::start(), Origin::start());
    let top = format!(
        "server: {{ run_dir: run, drain: 20s }}\n{}",
        tracing("sample: 100%")
    );
    let set_up = with_top(&top, ROUTES).origin(&origin);
    let mut airside = set_up.set("collector", collector.address()).start();
    origin.on("/slow", Reply::new(200, "").after(Duration::from_secs(2)));
    let mut slow = airside.raw();
    slow.send(get("/slow"));
    origin.wait_for_requests(1);
    let mut sent = 0;
    let mut ask = || {
        assert_eq!(once(airside.address(), get("/own")).status, 200);
        sent += 1;
    };
    (0..50).for_each(|_| ask());
    let pid = airside.folder().join("run/airside.pid");
    let before = std::fs::read_to_string(&pid).unwrap();
    let successor = airside.upgrade();
    wait_for("the successor's word", || {
        ask();
        std::fs::read_to_string(&pid).is_ok_and(|now| now != before)
    });
    (0..50).for_each(|_| ask());
    assert_eq!(slow.read().status, 200);
    let ended = airside.daemon().wait_until_ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    // The slow one has two.
    let spans = collector.wait_for_spans(sent + 2);
    assert!(spans.iter().any(|span| span.get("url.path") == "/slow"));
    drop(successor);
}
