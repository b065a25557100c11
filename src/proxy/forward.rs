//! The head that an upstream gets: the client's, made safe, with what the gateway knows added.

use http::header::{self, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use pingora::http::RequestHeader;
use pingora::prelude::*;

use super::context::{Context, Id};
use super::spans::Recording;
use crate::base::trace;
use crate::policy::auth::{
    X_AUTH_EMAIL, X_AUTH_ISSUER, X_AUTH_ROLES, X_AUTH_USER, is_identity_header,
};
use crate::tls::client::{
    CLIENT_CERT, CLIENT_CERT_SUBJECT, ClientCertificate, is_certificate_header,
};
use crate::upstream::config::Host;

/// What the client's connection says of the request.
pub struct Connection<'a> {
    pub peer: Option<std::net::IpAddr>,
    pub tls: bool,
    pub version: http::Version,
    pub certificate: Option<&'a ClientCertificate>,
}

/// Makes the upstream's head out of a fresh copy of the client's.
pub fn write(
    upstream: &mut RequestHeader,
    connection: &Connection,
    context: &Context,
) -> Result<()> {
    strip(upstream);
    one_length(upstream)?;
    if connection.version == http::Version::HTTP_2 {
        one_cookie(upstream)?;
    }
    target(upstream, context)?;
    origin(upstream, connection, context)?;
    caller(upstream, context)?;
    server(upstream, context)?;
    if let Some(certificate) = connection.certificate {
        upstream.insert_header(CLIENT_CERT, certificate.whole.clone())?;
        if let Some(subject) = &certificate.subject {
            upstream.insert_header(CLIENT_CERT_SUBJECT, subject.clone())?;
        }
    }
    if let Some(route) = context.route() {
        route.pipeline.forward(upstream);
    }
    Ok(())
}

/// Removes what only the gateway may say, and names with `_`, which many upstreams read as `-`.
fn strip(upstream: &mut RequestHeader) {
    remove_where(upstream, |name| {
        is_identity_header(name) || is_certificate_header(name) || name.contains('_')
    });
}

/// Does only the gateway say it, to this server or to any?
pub fn is_ours(name: &HeaderName) -> bool {
    let told = [&X_REQUEST_ID, &header::VIA, &TRACEPARENT, &TRACESTATE];
    let name_is = name.as_str();
    is_identity_header(name_is)
        || is_certificate_header(name_is)
        || is_hearsay(name_is)
        || told.contains(&name)
}

/// Equal lengths were let in; the upstream gets one (RFC 9110 §8.6).
fn one_length(upstream: &mut RequestHeader) -> Result<()> {
    let mut lengths = upstream.headers.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(length), Some(_)) = (lengths.next(), lengths.next()) {
        let length = length.clone();
        upstream.insert_header(header::CONTENT_LENGTH, length)?;
    }
    Ok(())
}

/// HTTP/2 may bring cookies in pieces; outside it they are one field (RFC 9113 §8.2.3).
fn one_cookie(upstream: &mut RequestHeader) -> Result<()> {
    let mut lines = upstream.headers.get_all(header::COOKIE).iter();
    if let (Some(first), Some(second)) = (lines.next(), lines.next()) {
        let mut whole = [first.as_bytes(), b"; ", second.as_bytes()].concat();
        for line in lines {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(line.as_bytes());
        }
        let whole = HeaderValue::from_bytes(&whole).or_err(InternalError, "cookie")?;
        upstream.insert_header(header::COOKIE, whole)?;
    }
    Ok(())
}

/// Does this header say where a request came from? `X-Forwarded-Port`, `-Prefix` and their like too: upstreams
/// build addresses of them.
fn is_hearsay(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

fn remove_where(upstream: &mut RequestHeader, unwanted: impl Fn(&str) -> bool) {
    while let Some(name) = upstream
        .headers
        .keys()
        .find(|name| unwanted(name.as_str()))
        .cloned()
    {
        upstream.remove_header(&name);
    }
}

/// The path as it was matched or rewritten, always in origin form.
fn target(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let path = context
        .findings
        .path
        .as_deref()
        .or(context.normalised.as_deref());
    // Pingora keeps the target of an absolute form as the client wrote it, and none of it in `uri`.
    let origin_form = upstream.uri.authority().is_none() && upstream.raw_path().starts_with(b"/");
    if path.is_none() && origin_form {
        return Ok(());
    }
    if let Some(authority) = upstream.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str());
        upstream.insert_header(header::HOST, host.or_err(InternalError, "authority")?)?;
    }
    let path = path.unwrap_or(upstream.uri.path());
    let mut text = String::with_capacity(path.len() + 32);
    text.push_str(path);
    if let Some(query) = upstream.uri.query() {
        text.push('?');
        text.push_str(query);
    }
    let path = PathAndQuery::from_maybe_shared(text).or_err(InternalError, "rewritten path")?;
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(path);
    upstream.set_uri(Uri::from_parts(parts).or_err(InternalError, "rewritten target")?);
    Ok(())
}

/// Where the request came from. A trusted proxy's word is kept and continued, a stranger's replaced.
fn origin(upstream: &mut RequestHeader, connection: &Connection, context: &Context) -> Result<()> {
    let trusted = context.client.via_trusted_proxy;
    let id = match &context.id {
        Id::Made(id) => HeaderValue::from_str(id.as_str()).or_err(InternalError, "request id")?,
        Id::Brought(value) => value.clone(),
    };
    upstream.insert_header(X_REQUEST_ID, id)?;
    if !trusted {
        remove_where(upstream, is_hearsay);
    }

    let hop = address(connection.peer.unwrap_or(context.client.address))?;
    match (trusted, joined(upstream, &X_FORWARDED_FOR)) {
        (true, Some(mut chain)) => {
            chain.extend_from_slice(b", ");
            chain.extend_from_slice(hop.as_bytes());
            let chain = HeaderValue::from_bytes(&chain).or_err(InternalError, "forwarded for")?;
            upstream.insert_header(X_FORWARDED_FOR, chain)?;
        }
        _ => upstream.insert_header(X_FORWARDED_FOR, hop)?,
    }
    if !trusted || !upstream.headers.contains_key(&X_FORWARDED_PROTO) {
        let scheme = if connection.tls { "https" } else { "http" };
        upstream.insert_header(X_FORWARDED_PROTO, HeaderValue::from_static(scheme))?;
    }
    if (!trusted || !upstream.headers.contains_key(&X_FORWARDED_HOST))
        && let Some(host) = upstream.headers.get(header::HOST).cloned()
    {
        upstream.insert_header(X_FORWARDED_HOST, host)?;
    }
    // RFC 9110 §7.6.3: each proxy adds itself, with the version in which it got the message.
    let via: &'static str = match connection.version {
        http::Version::HTTP_2 => "2 airside",
        http::Version::HTTP_10 => "1.0 airside",
        _ => "1.1 airside",
    };
    match joined(upstream, &header::VIA) {
        Some(mut chain) => {
            chain.extend_from_slice(b", ");
            chain.extend_from_slice(via.as_bytes());
            let chain = HeaderValue::from_bytes(&chain).or_err(InternalError, "via")?;
            upstream.insert_header(header::VIA, chain)?;
        }
        None => upstream.insert_header(header::VIA, HeaderValue::from_static(via))?,
    }
    trace(upstream, context)
}

/// Each attempt is a span of its own, so that a server's spans hang on the one that called it.
fn trace(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let Some(trace) = &context.trace else {
        return Ok(());
    };
    let recorded = context.recording.as_ref().and_then(Recording::caller);
    let value = trace.header(recorded.unwrap_or_else(trace::new_span));
    let value = HeaderValue::from_bytes(&value).or_err(InternalError, "trace")?;
    upstream.insert_header(TRACEPARENT, value)?;
    match &context.state {
        Some(state) => upstream.insert_header(TRACESTATE, state.clone())?,
        None => drop(upstream.remove_header(&TRACESTATE)),
    }
    Ok(())
}

/// What is said to this server alone. Whom the client asked for is in `X-Forwarded-Host`.
fn server(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let (Some(cluster), Some(lease)) = (&context.cluster, &context.lease) else {
        return Ok(());
    };
    if cluster.settings.host == Host::Upstream {
        upstream.insert_header(header::HOST, lease.endpoint.authority.clone())?;
    }
    // An upgrade needs the header for itself, and is no connection to keep. HTTP/2 has no such header.
    if !cluster.keeps(&lease.endpoint) && !upstream.headers.contains_key(header::UPGRADE) {
        upstream.insert_header(header::CONNECTION, HeaderValue::from_static("close"))?;
    }
    Ok(())
}

/// Who calls, on routes that asked.
fn caller(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let Some(principal) = &context.findings.principal else {
        return Ok(());
    };
    // RFC 9110 §5.5 leaves bytes above ASCII to the two ends; here they are UTF-8.
    let value = |text: &str| {
        HeaderValue::from_bytes(text.as_bytes()).or_err(InternalError, "identity header")
    };
    upstream.insert_header(X_AUTH_USER, value(&principal.user)?)?;
    if let Some(email) = &principal.email {
        upstream.insert_header(X_AUTH_EMAIL, value(email)?)?;
    }
    upstream.insert_header(X_AUTH_ROLES, value(&principal.roles.join(","))?)?;
    upstream.insert_header(X_AUTH_ISSUER, value(&principal.issuer)?)?;
    Ok(())
}

/// All lines of a header as one list (RFC 9110 §5.3).
fn joined(header: &RequestHeader, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = header.headers.get_all(name).iter();
    let mut chain = lines.next()?.as_bytes().to_vec();
    for line in lines {
        chain.extend_from_slice(b", ");
        chain.extend_from_slice(line.as_bytes());
    }
    Some(chain)
}

fn address(address: std::net::IpAddr) -> Result<HeaderValue> {
    HeaderValue::try_from(address.to_string()).or_err(InternalError, "address")
}

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
