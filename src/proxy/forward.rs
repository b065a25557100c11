//! The head that an upstream gets: the client's, made safe, with what the gateway knows added.

use http::header::{self, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use pingora::http::RequestHeader;
use pingora::prelude::*;

use super::context::{Context, Id};
use crate::policy::auth::{
    X_AUTH_EMAIL, X_AUTH_ISSUER, X_AUTH_ROLES, X_AUTH_USER, is_identity_header,
};

/// What the client's connection says of the request.
pub struct Connection {
    pub peer: Option<std::net::IpAddr>,
    pub tls: bool,
}

/// Makes the upstream's head out of a fresh copy of the client's.
pub fn write(
    upstream: &mut RequestHeader,
    connection: &Connection,
    context: &Context,
) -> Result<()> {
    strip(upstream);
    target(upstream, context)?;
    origin(upstream, connection, context)?;
    caller(upstream, context)?;
    if let Some(route) = context.route() {
        route.pipeline.forward(upstream);
    }
    Ok(())
}

/// Removes what only the gateway may say, and names with `_`, which many upstreams read as `-`.
fn strip(upstream: &mut RequestHeader) {
    let unsafe_name = |name: &HeaderName| {
        let name = name.as_str();
        is_identity_header(name) || name.contains('_')
    };
    while let Some(name) = upstream
        .headers
        .keys()
        .find(|name| unsafe_name(name))
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
    if path.is_none() && upstream.uri.authority().is_none() {
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
    if !trusted {
        upstream.remove_header(&header::FORWARDED);
        upstream.remove_header(&X_REAL_IP);
    }
    // RFC 9110 §7.6.3: each proxy adds itself.
    match joined(upstream, &header::VIA) {
        Some(mut chain) => {
            chain.extend_from_slice(b", 1.1 airside");
            let chain = HeaderValue::from_bytes(&chain).or_err(InternalError, "via")?;
            upstream.insert_header(header::VIA, chain)?;
        }
        None => upstream.insert_header(header::VIA, HeaderValue::from_static("1.1 airside"))?,
    }
    if let Some(trace) = &context.trace {
        let value = HeaderValue::from_str(trace.as_str()).or_err(InternalError, "trace")?;
        upstream.insert_header(TRACEPARENT, value)?;
    }
    Ok(())
}

/// Who calls, on routes that asked.
fn caller(upstream: &mut RequestHeader, context: &Context) -> Result<()> {
    let Some(principal) = &context.findings.principal else {
        return Ok(());
    };
    let value = |text: &str| HeaderValue::from_str(text).or_err(InternalError, "identity header");
    upstream.insert_header(X_AUTH_USER, value(&principal.user)?)?;
    if let Some(email) = &principal.email {
        // RFC 9110 §5.5 leaves bytes above ASCII to the two ends; here they are UTF-8.
        let email =
            HeaderValue::from_bytes(email.as_bytes()).or_err(InternalError, "identity header")?;
        upstream.insert_header(X_AUTH_EMAIL, email)?;
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
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
