//! Clients that are slow with their part of a request. On a connection of HTTP/1 its bytes are watched; a stream of
//! HTTP/2 shares its connection, so that its body is timed here.

use std::sync::Arc;

use http::{Version, header};
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType};
use tokio::time::Instant;

use super::attempt;
use super::context::{Context, Stage};
use super::failure;
use super::line::Phase;
use crate::upstream::Gate;

/// A part of a body, and since when it is awaited.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    since: Instant,
    /// Bytes of the body at that time.
    from: u64,
}

/// The request's head is read.
pub fn begin(session: &mut Session, context: &Context) {
    let header = session.req_header();
    if header.version == Version::HTTP_2 {
        // A caller of gRPC may take its time between messages.
        if !is_grpc(header) {
            let body = context.plan.edge.patience.body;
            session.set_write_timeout(Some(body));
        }
        return;
    }
    if let Some(line) = &context.line
        && ((!context.rare.length && !context.rare.encoding) || has_no_body(header))
    {
        line.set(Phase::Answering);
    }
    // Ours hold, for all bytes of the connection.
    session.set_read_timeout(None);
}

/// From now on a body that comes by HTTP/2 is awaited, unless its messages come when there is something to say.
pub fn wait_for_body(session: &Session, context: &mut Context) {
    let header = session.req_header();
    let timed = header.version == Version::HTTP_2 && !is_grpc(header);
    context.window = (timed && context.stage == Stage::Sending).then(|| Window {
        since: Instant::now(),
        from: context.body_bytes,
    });
}

/// A part of the body came, or its end.
pub fn came(context: &mut Context, is_end: bool) {
    if is_end && let Some(line) = &context.line {
        // A tunnel is no body and has no end of one.
        if line.phase() == Phase::Body {
            line.set(Phase::Answering);
        }
    }
    if let Some(window) = &mut context.window
        && context.body_bytes >= window.from + STEP
    {
        *window = Window {
            since: Instant::now(),
            from: context.body_bytes,
        };
        attempt::set_alarm(context);
    }
}

/// The connection is a tunnel from now on.
pub fn tunnel(context: &Context, gate: &Arc<Gate>) {
    if let Some(line) = &context.line {
        line.begin_tunnel(gate);
    }
}

/// When the next part of the body must be here.
pub fn due(context: &Context) -> Option<Instant> {
    let window = context.window?;
    Some(window.since + context.plan.edge.patience.body)
}

/// Did the client's connection fail because it was too slow?
pub fn is_to_blame(error: &Error) -> bool {
    *error.esource() == ErrorSource::Downstream
        && (matches!(
            error.etype(),
            ErrorType::ReadTimedout | ErrorType::WriteTimedout
        ) || failure::timed_out(error))
}

/// One word for the log.
pub fn reason(context: &Context) -> &'static str {
    match context.upgraded {
        true => "tunnel_timeout",
        false => BODY,
    }
}

/// Is it clear from the head that nothing follows (RFC 9112 §6.3)?
fn has_no_body(header: &RequestHeader) -> bool {
    let length = header.headers.get(header::CONTENT_LENGTH);
    !header.headers.contains_key(header::TRANSFER_ENCODING)
        && length.is_none_or(|length| length.as_bytes() == b"0")
}

fn is_grpc(header: &RequestHeader) -> bool {
    let kind = header.headers.get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// The word for a body that is too slow.
pub const BODY: &str = "body_timeout";
/// Bytes that a part has at least.
const STEP: u64 = 1 << 10;
