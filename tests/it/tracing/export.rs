//! How spans get to the collector: which share, how they look on the wire, and that no request notices whether they
//! arrive.

use std::io::BufRead;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use super::{Collector, Origin, ROUTES, counts, get, set_up, start, tracing, wait_for_counts};
use crate::support::edge::with_top;
use crate::support::origin::{Answer, Reply};
use crate::support::port;
use crate::support::raw::Raw;
use crate::support::secure::{Manner, SecureOrigin};
use crate::support::server::Airside;
use crate::support::tls::Authority;
use crate::support::wait::wait_for;

/// Sends so many requests over a few connections; each must be answered.
fn send(address: SocketAddr, path: &str, requests: usize) {
    let clients = 4;
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(move || {
                let mut raw = Raw::connect(address);
                for _ in 0..requests / clients {
                    assert_eq!(raw.exchange(get(path)).status, 200);
                }
            });
        }
    });
}

#[test]
fn about_the_share_that_is_asked_for_is_exported() {
    let (collector, origin) = (Collector::start(), Origin::start());
    let airside = set_up("sample: 10%", collector.address(), &origin).start();
    send(airside.address(), "/own", 2_000);
    // Five standard deviations.
    wait_for("spans", || counts(&airside)[0] > 132);
    assert!(counts(&airside)[0] < 268, "{:?}", counts(&airside));
    for span in collector.spans() {
        // The threshold of a tenth, and the bits that are not below it.
        assert_eq!(span.state, "ot=th:e6666666666668");
        assert!(span.trace[18..] >= *"e6666666666668", "{}", span.trace);
    }
}

#[test]
fn a_batch_bears_the_configured_headers_which_nobody_ever_prints() {
    let (collector, origin) = (Collector::start(), Origin::start());
    let keys = "sample: 100%, headers: { Authorization: \"${env:KEY}\", X-Tenant: acme }, \
                service_name: edge-1, compression: gzip";
    let set_up = set_up(keys, collector.address(), &origin);
    let set_up = set_up.env("KEY", "Bearer hunter2").env("RUST_LOG", "trace");
    let airside = set_up.start();
    airside.raw().exchange(get("/own"));
    assert_eq!(collector.wait_for_spans(1)[0].service, "edge-1");
    let batch = &collector.batches()[0];
    assert_eq!(batch.target, "/v1/traces");
    assert_eq!(batch.header("authorization"), Some("Bearer hunter2"));
    assert_eq!(batch.header("x-tenant"), Some("acme"));
    assert_eq!(batch.header("content-encoding"), Some("gzip"));
    wait_for_counts(&airside, [1, 0, 0]);
    assert!(!airside.stderr().contains("hunter2"));
    let checked = airside.command(&["check"], "");
    assert!(!String::from_utf8_lossy(&checked.stderr).contains("hunter2"));
}

#[test]
fn spans_go_over_tls_to_a_collector_that_the_system_trusts_and_to_no_other() {
    let (trusted, other) = (Authority::new("trusted"), Authority::new("other"));
    let leaf = trusted.sign(&["127.0.0.1"]);
    let collector = SecureOrigin::start(&Manner {
        leaf: Some(&leaf),
        ..Manner::default()
    });
    for (authority, expected) in [(&trusted, true), (&other, false)] {
        let origin = Origin::start();
        let config = tracing("sample: 100%").replace("http://", "https://");
        let set_up = with_top(&config, ROUTES).origin(&origin);
        let set_up = set_up.set("collector", collector.address());
        let set_up = set_up.file("roots.pem", authority.pem());
        let roots = set_up.folder().join("roots.pem").display().to_string();
        let airside = set_up.env("SSL_CERT_FILE", roots).start();
        let before = collector.count();
        airside.raw().exchange(get("/own"));
        if expected {
            wait_for_counts(&airside, [1, 0, 0]);
            assert_eq!(collector.last()["path"], "/v1/traces");
        } else {
            wait_for("a word of it", || airside.stderr().contains("certificate"));
            assert_eq!(collector.count(), before);
        }
    }
}

#[test]
fn requests_never_notice_how_the_collector_is() {
    let (collector, origin) = (Collector::start(), Origin::start());
    let hang: Answer = Answer::Stall(Vec::new());
    let states: [(&str, Option<Answer>); 5] = [
        ("down", None),
        (
            "slow",
            Some(Reply::new(200, "").after(Duration::from_secs(2)).into()),
        ),
        ("broken", Some(Reply::new(500, "").into())),
        ("closing", Some(Answer::Close)),
        ("hung", Some(hang)),
    ];
    for (name, answer) in states {
        let address = match answer {
            Some(answer) => {
                collector.answers(answer);
                collector.address()
            }
            None => port::free(),
        };
        let airside = set_up("sample: 100%", address, &origin).start();
        let before = origin.count();
        send(airside.address(), "/a", 400);
        assert_eq!(origin.count() - before, 400, "{name}");
        assert_eq!(counts(&airside)[1], 0, "{name}: the queue has room");
    }
}

#[test]
fn what_no_collector_takes_is_counted_and_told_once() {
    let (airside, collector, _origin) = start();
    collector.answers(Reply::new(400, ""));
    for round in 1..=3 {
        airside.raw().exchange(get("/own"));
        wait_for_counts(&airside, [0, 0, round]);
    }
    let told = |what: &str| airside.stderr().matches(what).count();
    assert_eq!(
        told("the collector does not take all spans: it answers 400"),
        1
    );
    collector.answers(Reply::new(200, ""));
    airside.raw().exchange(get("/own"));
    wait_for_counts(&airside, [1, 0, 3]);
    wait_for("a word", || told("the collector takes spans again") == 1);

    // `ExportTracePartialSuccess` with one rejected span.
    let part = [0x0a, 0x09, 0x08, 1, 0x12, 5, b't', b'o', b'o', b' ', b'x'];
    collector.answers(Reply::new(200, part));
    airside.raw().exchange(get("/own"));
    wait_for_counts(&airside, [1, 0, 4]);
    wait_for("a word", || told("rejects 1 spans: too x") == 1);
}

#[test]
fn a_batch_is_sent_again_when_the_collector_says_so() {
    let (airside, collector, _origin) = start();
    let busy = Reply::new(429, "").header("Retry-After", "3");
    collector.answers(busy);
    airside.raw().exchange(get("/own"));
    collector.wait_for_batches(1);
    let refused = Instant::now();
    collector.answers(Reply::new(200, ""));
    collector.wait_for_batches(2);
    // Without being asked it would have waited for one second at most.
    assert!(refused.elapsed() > Duration::from_millis(2_500));
    wait_for_counts(&airside, [1, 0, 0]);
    let batches = collector.batches();
    assert_eq!(batches[0].body, batches[1].body);
}

#[test]
fn a_batch_is_sent_again_after_a_while_where_the_collector_was_away() {
    let address = port::free();
    let origin = Origin::start();
    let airside = set_up("sample: 100%", address, &origin).start();
    airside.raw().exchange(get("/own"));
    wait_for("a word of it", || {
        airside.stderr().contains("does not take all spans")
    });
    let collector = Origin::start_at(address);
    collector.on("/v1/traces", Reply::new(503, ""));
    collector.wait_for_requests(1);
    collector.on("/v1/traces", Reply::new(200, ""));
    wait_for_counts(&airside, [1, 0, 0]);
}

#[test]
fn what_does_not_fit_in_the_queue_is_dropped_and_counted_and_memory_stays_bounded() {
    let (airside, collector, _origin) = start();
    collector.answers(Answer::Stall(Vec::new()));
    let path = format!("/own?{}", "q".repeat(1_000));
    send(airside.address(), &path, 6_000);
    let memory = |airside: &Airside| {
        let url = airside.admin_url("");
        let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
        let page = crate::support::raw::once(address, get("/metrics")).body;
        let mut lines = page.lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("process_resident_memory_bytes "));
        let (_, value) = line.as_deref().unwrap().split_once(' ').unwrap();
        value.parse::<f64>().unwrap()
    };
    let full = memory(&airside);
    // A request's span ends when its answer is out.
    let mut last = [0; 3];
    wait_for("the last span", || {
        thread::sleep(Duration::from_millis(100));
        std::mem::replace(&mut last, counts(&airside)) == last
    });
    let [exported, before, failed] = last;
    assert_eq!((exported, failed), (0, 0));
    // All but the queue, and the batches that are on their way.
    assert!(
        (6_000 - 4_096 - 512..=6_000 - 4_096).contains(&before),
        "{before}"
    );
    send(airside.address(), &path, 6_000);
    wait_for_counts(&airside, [0, before + 6_000, 0]);
    let grown = memory(&airside) - full;
    assert!(grown < 8e6, "{grown} bytes");
}
