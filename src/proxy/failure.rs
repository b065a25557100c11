//! From Pingora's errors to the refusals of the contract.

use http::{HeaderValue, header};
use pingora::proxy::{FailToProxy, Session};
use pingora::{Error, ErrorSource, ErrorType};
use tokio::time::Instant;

use super::alarm::Bound;
use super::context::Context;
use super::{answer, slow};
use crate::base::reply::{Refusal, Reply};
use crate::upstream::cluster::seconds;
use crate::upstream::{Cluster, NoLease};

/// The body grew above the route's `max_body` while it was passing.
pub const BODY_TOO_LARGE: ErrorType = ErrorType::new("BodyTooLarge");
/// No server for another attempt; what the client is told is in the context.
pub const NO_LEASE: ErrorType = ErrorType::new("NoLease");
/// The request's time was up before an attempt.
pub const TOO_LATE: ErrorType = ErrorType::new("TooLate");

/// What a client gets for which there is no server.
pub fn no_lease(cluster: &Cluster, why: NoLease, now: u64) -> Reply {
    let reply = Reply::refuse(Refusal::NoHealthyUpstream);
    match why {
        NoLease::NoServer => after(reply.reason("no_server"), cluster.retry_after(now)),
        NoLease::BreakerOpen(millis) => after(reply.reason("breaker_open"), seconds(millis)),
    }
}

/// With `Retry-After`, in seconds.
pub fn after(reply: Reply, seconds: u64) -> Reply {
    reply.header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// Tells the client what went wrong, as far as it can still be told.
pub async fn tell(
    session: &mut Session,
    error: &Error,
    context: &mut Context,
    now: u64,
) -> FailToProxy {
    context.end_attempt(Instant::now());
    // A switch of protocols is an answer: what comes after it is the tunnel's.
    let written = session.response_written().is_some_and(|head| {
        let status = head.status;
        !status.is_informational() || status == http::StatusCode::SWITCHING_PROTOCOLS
    });
    let reply = reply(error, context, now);
    let reply = match reply {
        Some(reply) if !written => reply,
        late => {
            context.reason = late.map_or("client_gone", |reply| reply.reason);
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        }
    };
    // After a failed attempt Pingora closes the connection, whatever is returned here: say so.
    if context.attempts > 0 {
        session.set_keepalive(None);
    }
    let status = reply.status.as_u16();
    let sent = Box::pin(answer::write(session, context, reply)).await;
    FailToProxy {
        error_code: status,
        can_reuse_downstream: sent.is_ok(),
    }
}

/// What went wrong, in one word.
pub fn word(error: &Error, context: &Context, now: u64) -> &'static str {
    reply(error, context, now).map_or("client_gone", |reply| reply.reason)
}

/// What the client is told, or `None` where nobody is left to tell.
fn reply(error: &Error, context: &Context, now: u64) -> Option<Reply> {
    use ErrorType::*;
    let etype = error.etype();
    if *etype == BODY_TOO_LARGE {
        return Some(Reply::refuse(Refusal::BodyTooLarge).reason("body"));
    }
    if let (Some(why), Some(cluster)) = (context.no_lease, &context.cluster)
        && *etype == NO_LEASE
    {
        return Some(no_lease(cluster, why, now));
    }
    if context.bound == Some(Bound::Client) || slow::is_to_blame(error) {
        return Some(Reply::refuse(Refusal::TooSlow).reason(slow::reason(context)));
    }
    if let Some(bound) = context.bound {
        return Some(Reply::refuse(Refusal::UpstreamTimeout).reason(bound.reason()));
    }
    let reply = match error.esource() {
        ErrorSource::Upstream => match etype {
            ConnectTimedout => Reply::refuse(Refusal::UpstreamTimeout).reason("connect_timeout"),
            ConnectRefused => Reply::refuse(Refusal::UpstreamUnreachable).reason("connect_refused"),
            TLSHandshakeTimedout => Reply::refuse(Refusal::UpstreamTimeout).reason("tls_timeout"),
            TLSHandshakeFailure | InvalidCert | HandshakeError => {
                Reply::refuse(Refusal::UpstreamUnreachable).reason("tls")
            }
            ConnectionClosed | ReadError | WriteError => {
                Reply::refuse(Refusal::UpstreamUnreachable).reason("connection_closed")
            }
            _ => Reply::refuse(Refusal::UpstreamUnreachable).reason("upstream"),
        },
        ErrorSource::Downstream => match etype {
            WriteError | ReadError | ConnectionClosed | WriteTimedout => return None,
            ReadTimedout => Reply::refuse(Refusal::BadRequest).reason("client_timeout"),
            _ => Reply::refuse(Refusal::BadRequest).reason("client"),
        },
        // Pingora's own errors of connecting bear no source where no attempt had begun.
        _ if context.attempts > 0
            && matches!(
                etype,
                ConnectTimedout | ConnectRefused | ConnectNoRoute | ConnectError
            ) =>
        {
            match etype {
                ConnectTimedout => {
                    Reply::refuse(Refusal::UpstreamTimeout).reason("connect_timeout")
                }
                _ => Reply::refuse(Refusal::UpstreamUnreachable).reason("connect"),
            }
        }
        _ => Reply::refuse(Refusal::Internal).reason("internal"),
    };
    Some(reply)
}

/// A gate's clock has run out: to Pingora that is any error of the connection.
pub fn timed_out(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}
