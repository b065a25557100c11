//! An OpenTelemetry collector: it reads spans with the published messages, and answers as it is told.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use prost::Message;

use super::origin::{Answer, Origin, Reply, Request};
use super::wait::wait_for;

/// A running collector.
pub struct Collector(Origin);

/// A span, as it came.
#[derive(Debug, Clone)]
pub struct Span {
    pub service: String,
    pub trace: String,
    pub id: String,
    /// Empty where it is the first one.
    pub parent: String,
    pub state: String,
    pub name: String,
    pub is_server: bool,
    /// Did it fail?
    pub failed: bool,
    pub nanos: u64,
    /// Numbers as text.
    pub about: BTreeMap<String, String>,
}

impl Collector {
    /// It takes all spans.
    pub fn start() -> Self {
        let collector = Self(Origin::start());
        collector.answers(Reply::new(200, ""));
        collector
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What it answers from now on.
    pub fn answers(&self, answer: impl Into<Answer>) {
        self.0.on("/v1/traces", answer);
    }

    /// All batches so far.
    pub fn batches(&self) -> Vec<Request> {
        self.0.requests()
    }

    pub fn wait_for_batches(&self, count: usize) {
        self.0.wait_for_requests(count);
    }

    /// All spans so far, in the order in which they came; what came twice once.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for batch in self.batches() {
            for span in read(&batch) {
                if !spans.iter().any(|known| known.id == span.id) {
                    spans.push(span);
                }
            }
        }
        spans
    }

    /// Waits until so many spans have come.
    #[track_caller]
    pub fn wait_for_spans(&self, count: usize) -> Vec<Span> {
        wait_for(&format!("{count} spans"), || self.spans().len() >= count);
        let spans = self.spans();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }
}

impl Span {
    /// An attribute; empty where there is none.
    pub fn get(&self, key: &str) -> &str {
        self.about.get(key).map_or("", String::as_str)
    }

    /// Several attributes at once.
    pub fn all<const N: usize>(&self, keys: [&str; N]) -> [&str; N] {
        keys.map(|key| self.get(key))
    }
}

/// The spans of a batch.
pub fn read(batch: &Request) -> Vec<Span> {
    assert_eq!(batch.method, "POST");
    assert_eq!(batch.header("content-type"), Some("application/x-protobuf"));
    let mut plain = Vec::new();
    let body = match batch.header("content-encoding") {
        Some("gzip") => {
            let mut decoder = flate2::read::GzDecoder::new(&batch.body[..]);
            decoder.read_to_end(&mut plain).expect("gzip");
            &plain
        }
        other => {
            assert_eq!(other, None);
            &batch.body
        }
    };
    let message = ExportTraceServiceRequest::decode(&body[..]).expect("OTLP");
    let mut spans = Vec::new();
    for resource in message.resource_spans {
        let about = attributes(&resource.resource.expect("a resource").attributes);
        for span in resource.scope_spans.into_iter().flat_map(|one| one.spans) {
            assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
            assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
            spans.push(Span {
                service: about["service.name"].clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                state: span.trace_state,
                name: span.name,
                is_server: span.kind == 2,
                failed: span.status.is_some_and(|status| status.code == 2),
                nanos: span.end_time_unix_nano - span.start_time_unix_nano,
                about: attributes(&span.attributes),
            });
        }
    }
    spans
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let pairs = all.iter().map(|one| {
        let value = one.value.as_ref().and_then(|value| value.value.as_ref());
        let value = match value.expect("a value") {
            Value::StringValue(text) => text.clone(),
            Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        (one.key.clone(), value)
    });
    pairs.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
