//! From requests to spans: names and attributes by OpenTelemetry's stable conventions for HTTP, and a few of
//! Airside's own. A request becomes a span of kind `SERVER`, each attempt at a server one of kind `CLIENT`.

use http::Method;

use super::config::Tracing;
use super::otlp::{
    AnyValue, ExportTraceServiceRequest, HAS_IS_REMOTE, IS_REMOTE, InstrumentationScope, KeyValue,
    Resource, ResourceSpans, ScopeSpans, Span, SpanKind, Status, StatusCode, Value,
};
use super::span::{Attempt, Request};

/// A batch as it is posted. `instance` tells this process from others of its name.
pub fn batch(requests: &[Request], to: &Tracing, instance: &str) -> ExportTraceServiceRequest {
    let mut resource = Attributes::default();
    resource.text("service.name", &*to.service_name);
    resource.text("service.instance.id", instance);
    resource.text("service.version", env!("CARGO_PKG_VERSION"));
    let spans = requests.iter().flat_map(|request| {
        let attempts = request.attempts.iter().enumerate();
        let attempts = attempts.map(|(number, attempt)| client(request, attempt, number));
        std::iter::once(server(request)).chain(attempts)
    });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource.0,
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(InstrumentationScope {
                    name: "airside".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                }),
                spans: spans.collect(),
                schema_url: SCHEMA.to_owned(),
            }],
            schema_url: SCHEMA.to_owned(),
        }],
    }
}

/// The request as its client sees it.
fn server(request: &Request) -> Span {
    let (method, original) = method(&request.method);
    let mut about = Attributes::default();
    about.text("http.request.method", method);
    about.maybe("http.request.method_original", original.as_deref());
    about.text("url.path", request.path.as_str());
    about.text("url.scheme", scheme(request.tls));
    about.text("network.protocol.version", request.protocol);
    about.text("client.address", request.client.to_string());
    let (host, port) = split(request.host.as_str());
    about.maybe("server.address", Some(host).filter(|host| !host.is_empty()));
    if let Some(port) = port {
        about.number("server.port", port.into());
    }
    let route = request.route.as_ref();
    about.maybe("http.route", route.map(|(_, pattern)| &**pattern));
    about.maybe("airside.route", route.map(|(name, _)| &**name));
    if request.status != 0 {
        about.number("http.response.status_code", request.status.into());
    }
    about.maybe("airside.refusal", request.refusal.map(|(code, _)| code));
    about.maybe("airside.reason", request.reason);
    if let Some(limited) = &request.limit {
        about.text("airside.limit", &*limited.name);
        about.text("airside.limit.decision", limited.decision);
    }
    about.maybe("airside.upstream", request.upstream.as_deref());
    if let retries @ 1.. = request.attempts.len().saturating_sub(1) {
        about.number("airside.retries", retries as i64);
    }
    // Of gRPC the status of HTTP is 200, whatever was refused.
    let refused = request.refusal.filter(|(_, status)| *status >= 500);
    let error = match (refused, request.status) {
        (Some((code, _)), _) => Some(code.to_owned()),
        (None, status @ 500..) => Some(status.to_string()),
        (None, _) if request.broken => Some(request.reason.unwrap_or("broken_off").to_owned()),
        _ => None,
    };
    let name = match route {
        Some((_, pattern)) => format!("{} {pattern}", named(method)),
        None => named(method).to_owned(),
    };
    let trace = &request.trace;
    let remote = if trace.is_continued() { IS_REMOTE } else { 0 };
    Span {
        span_id: trace.span().to_be_bytes().to_vec(),
        parent_span_id: trace
            .parent()
            .map(|parent| parent.to_be_bytes().to_vec())
            .unwrap_or_default(),
        flags: u32::from(trace.flags()) | HAS_IS_REMOTE | remote,
        name,
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start(request),
        end_time_unix_nano: request.ended,
        status: about.fail(error),
        attributes: about.0,
        ..in_trace(request)
    }
}

/// One attempt at a server; `number` is how many there were before.
fn client(request: &Request, attempt: &Attempt, number: usize) -> Span {
    let (method, original) = method(&request.method);
    let mut about = Attributes::default();
    about.text("http.request.method", method);
    about.maybe("http.request.method_original", original.as_deref());
    let port = attempt.peer.port();
    let host = match attempt.server.contains(':') {
        true => format!("[{}]", attempt.server),
        false => attempt.server.to_string(),
    };
    let path = request.rewritten.as_ref().unwrap_or(&request.path);
    let scheme = scheme(attempt.tls);
    let url = format!("{scheme}://{host}:{port}{}", path.as_str());
    about.text("url.full", url);
    about.text("server.address", &*attempt.server);
    about.number("server.port", port.into());
    about.text("network.peer.address", attempt.peer.ip().to_string());
    about.number("network.peer.port", port.into());
    about.maybe("airside.upstream", request.upstream.as_deref());
    if attempt.status != 0 {
        about.number("http.response.status_code", attempt.status.into());
    }
    if number > 0 {
        about.number("http.request.resend_count", number as i64);
    }
    let status = attempt.status;
    let error = attempt.error.map(str::to_owned);
    let error = error.or_else(|| (status >= 400).then(|| status.to_string()));
    let begun = start(request).saturating_add(nanos(attempt.begun));
    let took = attempt.took.map_or(0, nanos);
    Span {
        span_id: attempt.span.to_be_bytes().to_vec(),
        parent_span_id: request.trace.span().to_be_bytes().to_vec(),
        flags: u32::from(request.trace.flags()) | HAS_IS_REMOTE,
        name: named(method).to_owned(),
        kind: SpanKind::Client.into(),
        start_time_unix_nano: begun,
        end_time_unix_nano: begun.saturating_add(took),
        status: about.fail(error),
        attributes: about.0,
        ..in_trace(request)
    }
}

/// What all spans of a request have.
fn in_trace(request: &Request) -> Span {
    let state = request.state.as_ref();
    let state = state.and_then(|state| state.to_str().ok());
    Span {
        trace_id: request.trace.id().to_be_bytes().to_vec(),
        trace_state: state.unwrap_or_default().to_owned(),
        ..Span::default()
    }
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn text(&mut self, key: &str, value: impl Into<String>) {
        self.push(key, Value::String(value.into()));
    }

    fn maybe(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value);
        }
    }

    fn number(&mut self, key: &str, value: i64) {
        self.push(key, Value::Int(value));
    }

    /// With an error the span's status says so; without one it says nothing.
    fn fail(&mut self, error: Option<String>) -> Option<Status> {
        self.text("error.type", error?);
        Some(Status {
            message: String::new(),
            code: StatusCode::Error.into(),
        })
    }

    fn push(&mut self, key: &str, value: Value) {
        self.0.push(KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue { value: Some(value) }),
        });
    }
}

/// A method of HTTP's own, or `_OTHER` and what was sent: names of spans must be few.
fn method(method: &Method) -> (&'static str, Option<String>) {
    let known = KNOWN.iter().find(|known| method.as_str() == **known);
    match known {
        Some(known) => (known, None),
        None => ("_OTHER", Some(method.as_str().chars().take(32).collect())),
    }
}

/// As it stands in a span's name.
fn named(method: &'static str) -> &'static str {
    match method {
        "_OTHER" => "HTTP",
        known => known,
    }
}

fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// A host and its port, where it says one. The brackets of an IPv6 address are not part of it.
fn split(host: &str) -> (&str, Option<u16>) {
    let port = host.rsplit_once(':');
    let port = port.and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let (name, port) = match port {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    (bare.unwrap_or(name), port)
}

fn start(request: &Request) -> u64 {
    request.ended.saturating_sub(nanos(request.took))
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Those of RFC 9110 and RFC 5789.
const KNOWN: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];
/// The conventions that the attributes follow.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";

#[cfg(test)]
mod tests;
