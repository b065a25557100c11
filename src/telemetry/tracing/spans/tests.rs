//! What a collector reads, with the published messages.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderValue;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest as Published;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::*;
use crate::base::decode::Decode;
use crate::base::report::Report;
use crate::base::trace::TraceContext;
use crate::base::yaml;
use crate::telemetry::tracing::span::{Limited, Text};

fn request() -> Request {
    let trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    Request {
        trace: TraceContext::continue_or_start([&trace[..]]),
        state: Some(HeaderValue::from_static("a=b")),
        ended: 1_000_500_000,
        took: Duration::from_micros(500),
        method: Method::GET,
        path: Text::new("/flights/7"),
        tls: true,
        host: Text::new("api.example.com:8443"),
        client: "192.0.2.1".parse().unwrap(),
        protocol: "2",
        route: Some(("flights".into(), "/flights/{id}".into())),
        status: 200,
        refusal: None,
        reason: None,
        broken: false,
        limit: Some(Limited {
            name: "per_client".into(),
            decision: "admitted",
        }),
        upstream: Some("flights".into()),
        rewritten: Some(Text::new("/api/flights/7")),
        attempts: vec![
            Attempt {
                error: Some("connect_refused"),
                ..attempt(1, 0)
            },
            attempt(2, 200),
        ],
    }
}

fn attempt(span: u64, status: u16) -> Attempt {
    Attempt {
        span,
        begun: Duration::from_micros(100 * span),
        took: Some(Duration::from_micros(50)),
        peer: "192.0.2.9:3000".parse().unwrap(),
        server: "flights.internal".into(),
        tls: false,
        status,
        error: None,
    }
}

fn read(requests: Vec<Request>) -> (BTreeMap<String, String>, Vec<Span>) {
    let source = yaml::read("{ otlp: 'http://c', service_name: edge }").unwrap();
    let to = Tracing::decode(&source, &mut Report::default()).unwrap();
    let bytes = batch(&requests, &to, "i1").encode_to_vec();
    let mut read = Published::decode(&bytes[..]).unwrap();
    assert_eq!(read.encode_to_vec(), bytes, "nothing is left over");
    let mut all = read.resource_spans.remove(0);
    let resource = about(&all.resource.unwrap().attributes);
    (resource, all.scope_spans.remove(0).spans)
}

fn about(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for attribute in attributes {
        let value = match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
            any_value::Value::StringValue(text) => text.clone(),
            any_value::Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        let before = all.insert(attribute.key.clone(), value);
        assert_eq!(before, None, "twice: {}", attribute.key);
    }
    all
}

fn pairs(all: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    all.iter().map(|(key, value)| (&**key, &**value)).collect()
}

fn code(span: &Span) -> i32 {
    span.status.as_ref().map_or(0, |status| status.code)
}

#[test]
fn a_request_is_a_span_and_each_attempt_one_below_it() {
    let (resource, spans) = read(vec![request()]);
    assert_eq!(resource["service.name"], "edge");
    assert_eq!(resource["service.instance.id"], "i1");
    let [server, first, second] = &spans[..] else {
        panic!("{spans:?}");
    };
    for span in &spans {
        assert_eq!(
            span.trace_id,
            0x4bf92f3577b34da6a3ce929d0e0e4736_u128.to_be_bytes()
        );
        assert_eq!(span.trace_state, "a=b");
    }
    assert_eq!(server.name, "GET /flights/{id}");
    assert_eq!(server.kind, 2);
    assert_eq!(
        server.parent_span_id,
        0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()
    );
    assert_eq!(server.flags, 0x301);
    assert_eq!(
        (server.start_time_unix_nano, server.end_time_unix_nano),
        (1_000_000_000, 1_000_500_000)
    );
    assert_eq!(code(server), 0);
    let expected = [
        ("airside.limit", "per_client"),
        ("airside.limit.decision", "admitted"),
        ("airside.retries", "1"),
        ("airside.route", "flights"),
        ("airside.upstream", "flights"),
        ("client.address", "192.0.2.1"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/flights/{id}"),
        ("network.protocol.version", "2"),
        ("server.address", "api.example.com"),
        ("server.port", "8443"),
        ("url.path", "/flights/7"),
        ("url.scheme", "https"),
    ];
    assert_eq!(pairs(&about(&server.attributes)), expected);

    for (attempt, id) in [(first, 1_u64), (second, 2)] {
        assert_eq!((attempt.name.as_str(), attempt.kind), ("GET", 3));
        assert_eq!(attempt.span_id, id.to_be_bytes());
        assert_eq!(attempt.parent_span_id, server.span_id);
        assert_eq!(attempt.flags, 0x101);
        assert_eq!(attempt.start_time_unix_nano, 1_000_000_000 + id * 100_000);
        assert_eq!(
            attempt.end_time_unix_nano - attempt.start_time_unix_nano,
            50_000
        );
    }
    let (first_about, second_about) = (about(&first.attributes), about(&second.attributes));
    assert_eq!(code(first), 2);
    assert_eq!(first_about["error.type"], "connect_refused");
    assert_eq!(first_about.get("http.response.status_code"), None);
    let expected = [
        ("airside.upstream", "flights"),
        ("http.request.method", "GET"),
        ("http.request.resend_count", "1"),
        ("http.response.status_code", "200"),
        ("network.peer.address", "192.0.2.9"),
        ("network.peer.port", "3000"),
        ("server.address", "flights.internal"),
        ("server.port", "3000"),
        ("url.full", "http://flights.internal:3000/api/flights/7"),
    ];
    assert_eq!(pairs(&second_about), expected);
    assert_eq!(code(second), 0);
}

#[test]
fn what_is_an_error_and_what_is_not() {
    let plain = || Request {
        attempts: Vec::new(),
        ..request()
    };
    let refused = |status, code, refused_as| Request {
        status,
        refusal: Some((code, refused_as)),
        reason: Some("why"),
        ..plain()
    };
    let cut = |reason, broken| Request {
        reason: Some(reason),
        broken,
        ..plain()
    };
    let cases = [
        (plain(), None),
        (
            Request {
                status: 404,
                ..plain()
            },
            None,
        ),
        (
            Request {
                status: 503,
                ..plain()
            },
            Some("503"),
        ),
        (refused(429, "rate_limited", 429), None),
        (
            refused(504, "upstream_timeout", 504),
            Some("upstream_timeout"),
        ),
        // Of gRPC.
        (
            refused(200, "upstream_timeout", 504),
            Some("upstream_timeout"),
        ),
        (cut("client_gone", false), None),
        (cut("connection_closed", true), Some("connection_closed")),
    ];
    for (request, error) in cases {
        let shown = format!("{request:?}");
        let (_, spans) = read(vec![request]);
        let about = about(&spans[0].attributes);
        assert_eq!(
            about.get("error.type").map(String::as_str),
            error,
            "{shown}"
        );
        assert_eq!(
            code(&spans[0]),
            if error.is_some() { 2 } else { 0 },
            "{shown}"
        );
    }
    // Who calls a server is told of its refusals as errors; the server is not.
    let missing = Request {
        attempts: vec![attempt(1, 404)],
        ..plain()
    };
    let (_, spans) = read(vec![missing]);
    assert_eq!((code(&spans[0]), code(&spans[1])), (0, 2));
    assert_eq!(about(&spans[1].attributes)["error.type"], "404");
}

#[test]
fn a_request_that_fits_nothing_has_a_name_of_few() {
    let odd = Request {
        method: Method::from_bytes(b"BREW").unwrap(),
        route: None,
        limit: None,
        upstream: None,
        host: Text::new(""),
        status: 0,
        trace: TraceContext::continue_or_start([]),
        state: None,
        attempts: Vec::new(),
        ..request()
    };
    let (_, spans) = read(vec![odd]);
    assert_eq!(spans[0].name, "HTTP");
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[0].flags & 0x300, 0x100);
    let about = about(&spans[0].attributes);
    assert_eq!(about["http.request.method"], "_OTHER");
    assert_eq!(about["http.request.method_original"], "BREW");
    for absent in [
        "http.route",
        "server.address",
        "http.response.status_code",
        "airside.limit",
    ] {
        assert_eq!(about.get(absent), None);
    }
}

#[test]
fn hosts_are_split_from_their_ports() {
    for (host, name, port) in [
        ("a.example", "a.example", None),
        ("a.example:80", "a.example", Some(80)),
        ("192.0.2.1:8080", "192.0.2.1", Some(8080)),
        ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("2001:db8::1", "2001:db8::1", None),
        ("a:99999", "a:99999", None),
    ] {
        assert_eq!(split(host), (name, port), "{host}");
    }
}
