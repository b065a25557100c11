//! `telemetry.tracing:` as it is written in the configuration.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::base::decode::{self, Decode, Pairs, keys, mappings, words};
use crate::base::report::{Code, Problem, Report};
use crate::base::units::Share;
use crate::base::yaml::{At, Node, Place};

keys! {
    pub struct Tracing {
        /// The collector's address; spans go to `/v1/traces` below it.
        pub otlp: Collector,
        /// The part of the traces that begin here of which spans are exported. Where the caller began the trace, it
        /// has decided.
        pub sample: Share = Share(0.01),
        /// Sent with each batch, such as a key; never printed.
        pub headers: Headers = Headers::default(),
        /// What the collector knows the gateway as.
        pub service_name: String = "airside".to_owned(),
        /// Of the batches.
        pub compression: Compression = Compression::None,
    }
}
mappings!(Tracing);

words! {
    pub enum Compression {
        None = "none",
        Gzip = "gzip",
    }
}

/// Where spans are posted to: `http` or `https`, with its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector(pub Uri);

/// Header lines for the collector. Their values are marked, so that nothing prints them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub HeaderMap);

/// No message repeats a part of it: it may hold a password where none belongs.
impl Decode for Collector {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let text = decode::text(node, EXPECTED, report)?.value;
        collector(&text)
            .map_err(|why| {
                let message = format!("expected {EXPECTED}: {why}");
                report.push(Problem::error(Code::InvalidValue, node.place, message));
            })
            .ok()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^https?://[^@?#]+$|\$\{" })
    }
}

impl Decode for Headers {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let pairs = Pairs::<At<String>>::decode(node, report)?;
        let mut headers = HeaderMap::new();
        let mut refuse = |place: Place, message: String| {
            report.push(Problem::error(Code::InvalidValue, place, message));
        };
        for (key, value) in pairs.0 {
            let name = match key.value.parse::<HeaderName>() {
                Ok(name) if OURS.contains(&name) => {
                    refuse(key.place, format!("`{name}` is Airside's to set"));
                    continue;
                }
                Ok(name) => name,
                Err(_) => {
                    let shown = key.value.escape_debug();
                    refuse(key.place, format!("`{shown}` is not a header's name"));
                    continue;
                }
            };
            match HeaderValue::from_str(&value.value) {
                Ok(mut line) => {
                    line.set_sensitive(true);
                    headers.append(name, line);
                }
                Err(_) => refuse(
                    value.place,
                    "a header's value has visible characters of ASCII only".to_owned(),
                ),
            }
        }
        Some(Self(headers))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Pairs::<At<String>>::schema(generator)
    }
}

/// OTLP's "base URL": the path of traces comes below whatever path it has, unless it is there already.
fn collector(text: &str) -> Result<Collector, &'static str> {
    let uri: Uri = text.parse().map_err(|_| "it is no URL")?;
    let authority = uri.authority().ok_or("it names no server")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("spans go over `http` or `https`");
    }
    if authority.as_str().contains('@') {
        return Err("who calls is said in `headers`, not in the address");
    }
    if authority.host().is_empty() {
        return Err("it names no server");
    }
    if uri.query().is_some() {
        return Err("it has a query");
    }
    let base = uri.path().trim_end_matches('/');
    let base = base.strip_suffix(TRACES).unwrap_or(base);
    let mut parts = uri.clone().into_parts();
    let path = format!("{base}{TRACES}").parse();
    parts.path_and_query = Some(path.map_err(|_| "it is no URL")?);
    Uri::from_parts(parts)
        .map(Collector)
        .map_err(|_| "it is no URL")
}

const EXPECTED: &str = "an address such as `http://127.0.0.1:4318`";
const TRACES: &str = "/v1/traces";
/// What frames and describes a batch.
const OURS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::yaml;

    fn read(source: &str) -> (Option<Tracing>, Vec<String>) {
        let mut report = Report::default();
        let tracing = Tracing::decode(&yaml::read(source).unwrap(), &mut report);
        let problems = report.problems().iter();
        let messages = problems.map(|problem| problem.message.clone()).collect();
        (tracing, messages)
    }

    #[test]
    fn one_key_is_enough_and_every_other_is_read() {
        let (tracing, problems) = read("otlp: 'http://127.0.0.1:4318'");
        assert!(problems.is_empty(), "{problems:?}");
        let tracing = tracing.unwrap();
        assert_eq!(tracing.otlp.0, "http://127.0.0.1:4318/v1/traces");
        assert_eq!(tracing.sample, Share(0.01));
        assert_eq!(tracing.service_name, "airside");
        let (tracing, problems) = read(
            "{ otlp: 'https://c.example/otlp/', sample: 10%, headers: { X-Key: hunter2 }, \
             service_name: edge, compression: gzip }",
        );
        assert!(problems.is_empty(), "{problems:?}");
        let tracing = tracing.unwrap();
        assert_eq!(tracing.otlp.0, "https://c.example/otlp/v1/traces");
        assert_eq!(tracing.headers.0.get("x-key").unwrap(), "hunter2");
        assert_eq!(tracing.service_name, "edge");
        assert_eq!(tracing.compression, Compression::Gzip);
        assert!(!format!("{tracing:?}").contains("hunter2"), "{tracing:?}");
    }

    #[test]
    fn the_path_of_traces_is_written_once() {
        for text in [
            "http://c",
            "http://c/",
            "http://c/v1/traces",
            "http://c/v1/traces/",
        ] {
            assert_eq!(collector(text).unwrap().0, "http://c/v1/traces", "{text}");
        }
    }

    #[test]
    fn what_is_no_collector_is_told_without_its_password() {
        for wrong in [
            "http://ann:hunter2@c:4318",
            "grpc://hunter2:4317",
            "hunter2:4317",
            "/hunter2",
            "http://c?key=hunter2",
            "http://hunter2 c",
        ] {
            let (tracing, problems) = read(&format!("otlp: '{wrong}'"));
            assert!(tracing.is_none(), "{wrong}");
            assert_eq!(problems.len(), 1, "{wrong}: {problems:?}");
            assert!(problems[0].contains("expected an address"), "{problems:?}");
            assert!(!problems[0].contains("hunter2"), "{problems:?}");
        }
    }

    #[test]
    fn headers_that_frame_a_batch_or_are_none_are_refused_without_their_values() {
        let (_, problems) = read(
            "{ otlp: 'http://c', headers: { Content-Type: hunter2, 'a b': hunter2, X-A: \"hunter2\\n\" } }",
        );
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(!problems.concat().contains("hunter2"), "{problems:?}");
    }
}
