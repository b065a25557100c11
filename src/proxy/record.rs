//! What the access log and the metrics keep of a request.

use std::time::Duration;

use http::{Version, header};
use pingora::Error;
use pingora::proxy::Session;

use super::context::Context;
use crate::base::reply::Refusal;
use crate::limit::Counted;
use crate::telemetry::access::{AccessLog, Field, Record, Text};

/// The record of a request that came at `unix_millis` and took this long.
pub fn of(
    session: &Session,
    error: Option<&Error>,
    context: &Context,
    log: &AccessLog,
    duration: Duration,
    unix_millis: u64,
) -> Box<Record> {
    let nearest = nearest(context);
    Box::new(Record {
        unix_millis,
        client: context.client.address,
        status: status(session),
        duration_us: duration.as_micros() as u64,
        server: context.server,
        attempts: context.attempts,
        upstream_us: context.upstream_time.as_micros() as u64,
        bytes_in: context.body_bytes.max(session.body_bytes_read() as u64),
        bytes_out: session.body_bytes_sent() as u64,
        protocol: protocol(session.req_header().version),
        decision: nearest.map(|counted| counted.ruling().word()),
        code: context.refusal.map(|refusal| refusal.code()),
        reason: reason(context, error),
        not_retried: context.not_retried,
        text: text(session, context, nearest, log),
    })
}

/// Counts a request that took this long.
pub fn count(session: &Session, context: &Context, duration: Duration) {
    let meters = context.meters();
    let gateway = duration.saturating_sub(context.upstream_time);
    meters.count(status(session), duration, gateway);
    if let Some(Refusal::Unauthenticated | Refusal::Forbidden) = context.refusal {
        meters.auth_refusals.count(context.reason);
    }
}

/// The limit that was nearest to a refusal.
pub fn nearest(context: &Context) -> Option<&Counted> {
    let counted = context.findings.counted.iter();
    counted.min_by_key(|counted| room(counted))
}

/// Why there was a refusal, or why the answer broke off.
pub fn reason(context: &Context, error: Option<&Error>) -> Option<&'static str> {
    match (context.reason, error) {
        ("", Some(_)) => Some("broken_off"),
        ("", None) => None,
        (reason, _) => Some(reason),
    }
}

/// Of the answer; 0 where none was sent.
pub fn status(session: &Session) -> u16 {
    let head = session.response_written();
    head.map_or(0, |head| head.status.as_u16())
}

fn text(session: &Session, context: &Context, nearest: Option<&Counted>, log: &AccessLog) -> Text {
    let head = session.req_header();
    let mut text = Text::new();
    text.set(Field::RequestId, context.id.as_str());
    text.set(Field::Method, head.method.as_str());
    let host = head
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| head.headers.get(header::HOST).map(|value| value.as_bytes()));
    text.set_bytes(Field::Host, host.unwrap_or_default());
    text.set(Field::Path, head.uri.path());
    if let Some(tls) = session
        .digest()
        .and_then(|digest| digest.ssl_digest.as_ref())
    {
        text.set(Field::Tls, tls_version(&tls.version));
    }
    if let Some(principal) = &context.findings.principal {
        text.set(Field::User, &principal.user);
        text.set_roles(principal.roles.iter().map(String::as_str));
    }
    if let Some(trace) = &context.trace {
        text.set_bytes(Field::TraceId, &trace.id_text());
    }
    if let Some(agent) = head.headers.get(header::USER_AGENT) {
        text.set_bytes(Field::UserAgent, agent.as_bytes());
    }
    if let Some(route) = context.route() {
        text.set(Field::Route, &route.name);
    }
    if let Some(cluster) = &context.cluster {
        text.set(Field::Upstream, &cluster.name);
    }
    if let Some(nearest) = nearest {
        text.set(Field::Limit, nearest.limit().name());
    }
    for name in log.fields() {
        text.push_header(head.headers.get(name).map(|value| value.as_bytes()));
    }
    text
}

/// A refusal first, then one that was only watched, then the least share that is left.
fn room(counted: &Counted) -> (bool, bool, u64) {
    let decision = counted.decision();
    let share = u64::from(decision.remaining) * 1_000 / u64::from(decision.limit.max(1));
    (!counted.refuses(), decision.admitted, share)
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// As people write it, not as rustls names its constants.
fn tls_version(name: &str) -> &str {
    match name {
        "TLSv1_2" => "TLSv1.2",
        "TLSv1_3" => "TLSv1.3",
        other => other,
    }
}
