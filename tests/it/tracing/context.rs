//! `traceparent` and `tracestate`, in and out (W3C Trace Context level 2), with and without a collector.

use super::{Airside, start};
use crate::support::edge::{self, request};
use crate::support::origin::{Origin, Request};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Sends a request with these headers, and brings what the upstream saw.
#[track_caller]
fn seen(airside: &Airside, origin: &Origin, headers: &[(&str, &str)]) -> Request {
    let answer = airside.raw().exchange(request("GET", "/a", headers));
    assert_eq!(answer.status, 200);
    origin.last()
}

/// The four fields of the one `traceparent`.
#[track_caller]
fn fields(request: &Request) -> [String; 4] {
    let lines: Vec<_> = request.head.all("traceparent").collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let fields: Vec<_> = lines[0].split('-').map(str::to_owned).collect();
    fields.try_into().unwrap()
}

#[test]
fn a_trace_of_a_later_version_goes_on_and_one_that_is_told_twice_does_not() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    for (line, flags) in [
        (format!("00-{TRACE}-{PARENT}-00"), "00"),
        (format!("00-{TRACE}-{PARENT}-03"), "03"),
        (format!("00-{TRACE}-{PARENT}-ff"), "03"),
        (format!("cc-{TRACE}-{PARENT}-01-more"), "01"),
    ] {
        let [version, trace, parent, handed_on] =
            fields(&seen(&airside, &origin, &[("traceparent", &line)]));
        assert_eq!(
            (&*version, &*trace, &*handed_on),
            ("00", TRACE, flags),
            "{line}"
        );
        assert_ne!(parent, PARENT);
    }
    let good = format!("00-{TRACE}-{PARENT}-01");
    let twice = seen(
        &airside,
        &origin,
        &[("traceparent", &good), ("Traceparent", &good)],
    );
    let [_, trace, _, flags] = fields(&twice);
    assert_ne!(trace, TRACE);
    // Made at random, and sampled by nobody.
    assert_eq!(flags, "02");
}

#[test]
fn a_state_goes_with_its_trace_alone_and_only_as_far_as_it_can_be_read() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    let good = format!("00-{TRACE}-{PARENT}-01");
    let long = format!("c={}", "l".repeat(200));
    let short = |number: usize| format!("k{number}={}", "s".repeat(96));
    let many = [short(1), long, short(2), short(3), short(4)].join(",");
    let left = [1, 2, 3, 4].map(short).join(",");
    let cases: [(&[&str], &[&str]); 6] = [
        (&["a=1, b=2"], &["a=1, b=2"]),
        (&["a=1", "b=2"], &["a=1,b=2"]),
        (&[&many], &[&left]),
        (&["A=1"], &[]),
        (&["a=1", "broken"], &[]),
        (&[""], &[]),
    ];
    for (lines, expected) in cases {
        let mut headers = vec![("traceparent", good.as_str())];
        headers.extend(lines.iter().map(|line| ("tracestate", *line)));
        let request = seen(&airside, &origin, &headers);
        let found: Vec<_> = request.head.all("tracestate").collect();
        assert_eq!(found, expected, "{lines:?}");
    }
    for broken in ["", "garbage"] {
        let headers = [("tracestate", "a=1"), ("traceparent", broken)];
        let headers = if broken.is_empty() {
            &headers[..1]
        } else {
            &headers
        };
        let request = seen(&airside, &origin, headers);
        assert_eq!(request.head.all("tracestate").count(), 0, "{broken}");
    }
}

#[test]
fn an_upstream_hangs_its_spans_on_the_attempt_that_called_it() {
    let (airside, collector, origin) = start();
    let [_, trace, caller, flags] = fields(&seen(&airside, &origin, &[("tracestate", "a=1")]));
    // Begun here, sampled, at random; and how likely that was.
    assert_eq!(flags, "03");
    assert_eq!(origin.last().header("tracestate"), Some("ot=th:0"));
    let spans = collector.wait_for_spans(2);
    let (server, client) = (&spans[0], &spans[1]);
    assert!(server.is_server && !client.is_server);
    assert_eq!([&server.trace, &client.trace], [&trace, &trace]);
    assert_eq!((&*server.parent, &client.parent), ("", &server.id));
    assert_eq!(client.id, caller);
    assert_eq!(server.state, "ot=th:0");
}

#[test]
fn who_began_the_trace_decides_whether_it_is_sampled() {
    let (airside, collector, origin) = start();
    let not = format!("00-{TRACE}-{PARENT}-00");
    let [_, trace, _, flags] = fields(&seen(&airside, &origin, &[("traceparent", &not)]));
    assert_eq!((&*trace, &*flags), (TRACE, "00"));
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let headers = [("traceparent", &*sampled), ("tracestate", "a=1")];
    let [_, trace, caller, flags] = fields(&seen(&airside, &origin, &headers));
    assert_eq!((&*trace, &*flags), (TRACE, "01"));
    let spans = collector.wait_for_spans(2);
    assert_eq!((&*spans[0].trace, &*spans[0].parent), (TRACE, PARENT));
    assert_eq!((&*spans[0].state, &*spans[1].state), ("a=1", "a=1"));
    assert_eq!(spans[1].id, caller);
}

#[test]
fn the_access_log_names_the_trace_that_the_collector_has() {
    let (collector, origin) = (super::Collector::start(), Origin::start());
    let top = super::tracing("sample: 100%").replace("to: off", "to: stdout");
    let set_up = edge::with_top(&top, super::ROUTES).origin(&origin);
    let airside = set_up.set("collector", collector.address()).start();
    seen(&airside, &origin, &[]);
    let line = &airside.wait_for_access_log(1)[0];
    assert_eq!(line["trace_id"], collector.wait_for_spans(2)[0].trace);
}
