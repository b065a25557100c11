//! Writing an answer of our own, so that it reaches the client and leaves the connection usable.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::*;
use pingora::proxy::Session;

use super::context::Context;
use super::{slow, trailers};
use crate::base::reply::{PROBLEM_JSON, Refusal, Reply};
use crate::policy::compress::Encoder;
use crate::policy::limits;

/// An answer of our own, ready to be written.
pub struct Answer {
    pub head: ResponseHeader,
    pub body: Bytes,
    /// The head is all of it, whatever was asked.
    bodiless: bool,
}

/// Answers the request.
pub async fn write(session: &mut Session, context: &mut Context, reply: Reply) -> Result<()> {
    let answer = make(session.req_header(), context, reply)?;
    let head_only = answer.bodiless || session.req_header().method == Method::HEAD;
    let empty = head_only || answer.body.is_empty();
    let has_body = may_have_body(session.req_header(), context);
    match !has_body || may_stay_open(session.req_header()) {
        // Pingora would close wherever the body is not read yet; it is drained below.
        true => session.set_close_on_response_before_downstream_finish(false),
        false => session.set_keepalive(None),
    }
    limits::leave(&mut context.findings);
    session
        .write_response_header(Box::new(answer.head), empty)
        .await?;
    if !empty {
        session.write_response_body(Some(answer.body), true).await?;
    }
    match context.refusal {
        // Who is too slow is not waited for.
        Some(Refusal::TooSlow) => session.set_keepalive(None),
        _ if !has_body => {}
        _ => drain(session).await,
    }
    Ok(())
}

/// Makes the answer to a request. The route's response policies apply, because a refusal is an answer too.
pub fn make(request: &RequestHeader, context: &mut Context, reply: Reply) -> Result<Answer> {
    context.refusal = reply.refusal;
    context.reason = reply.reason;
    let unrouted = context.plan.unrouted.as_ref();
    if let (None, Some(sharing)) = (
        context.route,
        unrouted.and_then(|policies| policies.sharing.as_ref()),
    ) {
        sharing.note(&request.headers, &mut context.findings);
    }
    let grpc = reply.refusal.filter(|_| speaks_grpc(request));
    let status = grpc.map_or(reply.status, |_| StatusCode::OK);
    let body = match reply.refusal {
        Some(_) if grpc.is_some() => Bytes::new(),
        Some(refusal) => Bytes::from(refusal.body(context.id.as_str(), reply.detail.as_deref())),
        None => reply.body,
    };
    let mut headers = HeaderMap::with_capacity(OURS);
    if let Some(refusal) = grpc {
        // An answer of trailers only, which have the head's place then.
        let kind = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, kind);
        let code = u16::from(refusal.grpc_status());
        headers.insert(GRPC_STATUS, HeaderValue::from(code));
        let message = HeaderValue::from_static(refusal.title());
        headers.insert(GRPC_MESSAGE, message);
    } else if reply.refusal.is_some() {
        let kind = HeaderValue::from_static(PROBLEM_JSON);
        headers.insert(header::CONTENT_TYPE, kind);
        let control = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, control);
    }
    for (name, value) in reply.headers {
        headers.append(name, value);
    }
    finish_head(status, &mut headers, context);
    let bodiless =
        grpc.is_some() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if !bodiless {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let (mut response, ()) = http::Response::new(()).into_parts();
    (response.status, response.headers) = (status, headers);
    Ok(Answer {
        head: response.into(),
        body,
        bodiless,
    })
}

/// Clients of gRPC make little of a status of HTTP; only HTTP/2 carries what they understand.
fn speaks_grpc(request: &RequestHeader) -> bool {
    let kind = request
        .headers
        .get(header::CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(b"application/grpc"));
    request.version == http::Version::HTTP_2
        && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Without a length and without an encoding a request of HTTP/1 has no body (RFC 9112 §6.3).
fn may_have_body(request: &RequestHeader, context: &Context) -> bool {
    let rare = context.rare;
    request.version == http::Version::HTTP_2 || rare.length || rare.encoding || rare.expect
}

/// Will it be clear where the next request begins? A body above what is drained is left unread. A client
/// that waits for `100 Continue` may send its body after this or not (RFC 9110 §10.1.1).
fn may_stay_open(request: &RequestHeader) -> bool {
    let length = request.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    !request.headers.contains_key(header::EXPECT)
        && length.is_none_or(|length| length <= DRAIN_BYTES)
}

/// What every answer's head gets, the upstream's and ours.
pub fn finish_head(status: StatusCode, response: &mut HeaderMap, context: &mut Context) {
    let started = context.started;
    limits::settle(&mut context.findings, status, || started.elapsed());
    limits::tell(&context.findings, response);
    let route = context.route().map(|route| &route.pipeline);
    if let Some(policies) = route.or(context.plan.unrouted.as_ref()) {
        policies.response(&context.findings, response);
    }
}

/// Makes an upstream's answer ours. True where the connection ends with it.
pub fn pass_on(
    request: &RequestHeader,
    status: StatusCode,
    response: &mut HeaderMap,
    context: &mut Context,
) -> bool {
    // After a switch of protocols `Connection` and `Upgrade` are the answer, and no other follows it.
    let switched = status == StatusCode::SWITCHING_PROTOCOLS;
    if !switched {
        response.reserve(ADDED);
        strip_hop_by_hop(response);
        if request.version != http::Version::HTTP_2 && !status.is_informational() {
            // Pingora writes what it is to be; with its place taken, the map need not grow once more.
            response.insert(header::CONNECTION, HeaderValue::from_static("keep-alive"));
        }
    } else if let Some(gate) = &context.gate {
        gate.tunnel();
        slow::tunnel(context, gate);
    }
    if switched || !status.is_informational() {
        context.upgraded = switched;
        finish_head(status, response, context);
        if !switched && request.method != Method::HEAD {
            let coding = context.findings.coding;
            context.encoder = coding.and_then(|agreed| Encoder::begin(agreed, status, response));
        }
        if !switched {
            trailers::tell(request, status, response, context);
        }
    }
    if is_bodiless(request, status, response) {
        limits::leave(&mut context.findings);
    }
    request.version == http::Version::HTTP_10 && ends_with_the_connection(response)
}

/// Is this head all of the answer (RFC 9112 §6.3)?
pub fn is_bodiless(request: &RequestHeader, status: StatusCode, response: &HeaderMap) -> bool {
    let length = response.get(header::CONTENT_LENGTH);
    let empty = length.is_some_and(|length| length.as_bytes() == b"0");
    let never = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    !status.is_informational() && (empty || never || request.method == Method::HEAD)
}

/// Removes what the upstream said to the gateway alone (RFC 9110 §7.6.1). What frames the message stays, even
/// where `Connection` names it: the client could not read the answer without.
fn strip_hop_by_hop(response: &mut HeaderMap) {
    let of_old = |name: &HeaderName| *name == KEEP_ALIVE || *name == PROXY_CONNECTION;
    if response.keys().any(of_old) {
        response.remove(&KEEP_ALIVE);
        response.remove(&PROXY_CONNECTION);
    }
    let mut lines = response.get_all(header::CONNECTION).iter();
    let (Some(first), second) = (lines.next(), lines.next()) else {
        return;
    };
    if second.is_some() || !is_bare_option(first) {
        let lines = response.get_all(header::CONNECTION).iter();
        let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
        let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
        let named: Vec<_> = names.filter(|name| !framing.contains(name)).collect();
        for name in named {
            response.remove(name);
        }
    }
    response.remove(header::CONNECTION);
}

/// Does a `Connection` say what most say, which names no field?
fn is_bare_option(value: &HeaderValue) -> bool {
    let value = value.as_bytes();
    value.eq_ignore_ascii_case(b"keep-alive") || value.eq_ignore_ascii_case(b"close")
}

/// Makes an answer in chunks one that the close ends, for a client of HTTP/1.0, which knows no chunks
/// (RFC 9112 §6.1). False where it is none.
fn ends_with_the_connection(response: &mut HeaderMap) -> bool {
    let chunked = response.remove(header::TRANSFER_ENCODING).is_some();
    if chunked {
        response.remove(header::CONTENT_LENGTH);
    }
    chunked
}

/// Reads what the client still sends: closing with unread bytes resets the connection, and the answer
/// is lost with it. Bounded, because the client decides how much there is.
async fn drain(session: &mut Session) {
    let drained = async {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = session.downstream_session.read_request_body().await {
            bytes += chunk.len();
            if bytes > DRAIN_BYTES {
                return false;
            }
        }
        true
    };
    let whole = matches!(tokio::time::timeout(DRAIN_TIME, drained).await, Ok(true));
    if !whole {
        session.set_keepalive(None);
    }
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
/// Fields that an answer of ours has, as a rule at most.
const OURS: usize = 8;
/// Fields that an upstream's answer gets, as a rule at most: with room for them the map grows once.
const ADDED: usize = 8;
const DRAIN_BYTES: usize = 1 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);
