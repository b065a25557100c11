//! What a request's connection and head say of where it comes from, before a route is looked for.

use http::HeaderMap;
use pingora::http::RequestHeader;
use pingora::proxy::Session;

use super::context::{Context, Id};
use super::forward::{TRACEPARENT, TRACESTATE, X_FORWARDED_FOR, X_REQUEST_ID};
use super::spans::Recording;
use crate::base::net;
use crate::base::trace::TraceContext;
use crate::base::trace_state;
use crate::tls::Handshake;

/// Notes the client, the request's id and its trace.
pub fn note(session: &Session, context: &mut Context) {
    let peer = peer(session).unwrap_or(net::UNKNOWN);
    note_head(peer, session.req_header(), context);
}

/// The same of a request that came from this peer.
pub fn note_head(peer: std::net::IpAddr, header: &RequestHeader, context: &mut Context) {
    let forwarded = context.rare.hearsay;
    let forwarded = forwarded.then(|| header.headers.get_all(X_FORWARDED_FOR).iter());
    let lines = forwarded.into_iter().flatten();
    let lines: smallvec::SmallVec<[&[u8]; 2]> = lines.map(|line| line.as_bytes()).collect();
    context.client = net::client(peer, lines, &context.plan.edge.trusted_proxies);
    if context.client.via_trusted_proxy
        && let Some(id) = header.headers.get(X_REQUEST_ID).and_then(Id::brought)
    {
        context.id = id;
    }
    trace(&header.headers, context);
}

/// The trace that the client began, or a new one; and are its spans wanted?
fn trace(headers: &HeaderMap, context: &mut Context) {
    let lines = context.rare.trace;
    let lines = lines.then(|| headers.get_all(TRACEPARENT).iter());
    let lines = lines.into_iter().flatten();
    let mut trace = TraceContext::continue_or_start(lines.map(|line| line.as_bytes()));
    // Without its `traceparent` it says nothing (§3.3).
    if trace.is_continued() {
        context.state = trace_state::kept(headers.get_all(TRACESTATE));
    }
    if context.plan.tracer.wants(&mut trace, &mut context.state) {
        context.recording = Some(Recording::default());
    }
    context.trace = Some(trace);
}

/// The address at the other end of the connection.
pub fn peer(session: &Session) -> Option<std::net::IpAddr> {
    session
        .client_addr()?
        .as_inet()
        .map(std::net::SocketAddr::ip)
}

/// What the client's TLS told, where it speaks TLS.
pub fn handshake(session: &Session) -> Option<&Handshake> {
    let tls = session.digest()?.ssl_digest.as_ref()?;
    tls.extension.get()
}
