//! From Pingora's errors to the refusals of the contract.

use pingora::{Error, ErrorSource, ErrorType};

use super::context::Context;
use crate::base::reply::{Refusal, Reply};

/// The body grew above the route's `max_body` while it was passing.
pub const BODY_TOO_LARGE: ErrorType = ErrorType::new("BodyTooLarge");
/// The upstream has no server to choose.
pub const NO_SERVER: ErrorType = ErrorType::new("NoServer");

/// What the client is told, or `None` where nobody is left to tell.
pub fn reply(error: &Error, context: &Context) -> Option<Reply> {
    use ErrorType::*;
    let etype = error.etype();
    if *etype == BODY_TOO_LARGE {
        return Some(Reply::refuse(Refusal::BodyTooLarge).reason("body"));
    }
    if *etype == NO_SERVER {
        let reply = Reply::refuse(Refusal::NoHealthyUpstream).reason("no_server");
        return Some(reply.header(http::header::RETRY_AFTER, http::HeaderValue::from(1)));
    }
    let reply = match error.esource() {
        ErrorSource::Upstream => match etype {
            ConnectTimedout => Reply::refuse(Refusal::UpstreamTimeout).reason("connect_timeout"),
            ReadTimedout | WriteTimedout => {
                Reply::refuse(Refusal::UpstreamTimeout).reason("read_timeout")
            }
            ConnectRefused => Reply::refuse(Refusal::UpstreamUnreachable).reason("connect_refused"),
            TLSHandshakeTimedout => Reply::refuse(Refusal::UpstreamTimeout).reason("tls_timeout"),
            TLSHandshakeFailure | InvalidCert | HandshakeError => {
                Reply::refuse(Refusal::UpstreamUnreachable).reason("tls")
            }
            ReadError if timed_out(error) => {
                Reply::refuse(Refusal::UpstreamTimeout).reason("read_timeout")
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
fn timed_out(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| cause.kind() == std::io::ErrorKind::TimedOut)
}
