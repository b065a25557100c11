//! The head that an upstream gets: the client's, made safe, with what the gateway knows added.

use std::net::IpAddr;

use http::header::{self, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{HeaderMap, request::Parts};
use pingora::http::RequestHeader;
use pingora::prelude::*;

use super::context::{Context, Id};
use super::head;
use super::rare::{is_hearsay, is_not_theirs};
use super::spans::Recording;
use crate::base::{net, trace};
use crate::policy::auth::{
    X_AUTH_EMAIL, X_AUTH_ISSUER, X_AUTH_ROLES, X_AUTH_USER, is_identity_header,
};
use crate::tls::client::{
    CLIENT_CERT, CLIENT_CERT_SUBJECT, ClientCertificate, is_certificate_header,
};
use crate::upstream::config::Host;

/// What the client's connection says of the request.
pub struct Connection<'a> {
    pub peer: Option<IpAddr>,
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
    let in_origin_form = upstream.raw_path().starts_with(b"/");
    head::change_request(upstream, |parts| {
        target(parts, in_origin_form, context)?;
        fields(&mut parts.headers, connection, context)
    })
}

fn fields(upstream: &mut HeaderMap, connection: &Connection, context: &Context) -> Result<()> {
    upstream.reserve(OURS);
    let rare = context.rare;
    if rare.ours {
        strip(upstream);
    }
    if rare.length {
        one_length(upstream);
    }
    if connection.version == http::Version::HTTP_2 {
        one_cookie(upstream)?;
    }
    origin(upstream, connection, context)?;
    caller(upstream, context)?;
    server(upstream, context);
    if let Some(certificate) = connection.certificate {
        upstream.insert(CLIENT_CERT, certificate.whole.clone());
        if let Some(subject) = &certificate.subject {
            upstream.insert(CLIENT_CERT_SUBJECT, subject.clone());
        }
    }
    if let Some(route) = context.route() {
        route.pipeline.forward(upstream);
    }
    Ok(())
}

/// Removes what only the gateway may say, and names with `_`.
fn strip(upstream: &mut HeaderMap) {
    remove_where(upstream, is_not_theirs);
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
fn one_length(upstream: &mut HeaderMap) {
    let mut lengths = upstream.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(length), Some(_)) = (lengths.next(), lengths.next()) {
        let length = length.clone();
        upstream.insert(header::CONTENT_LENGTH, length);
    }
}

/// HTTP/2 may bring cookies in pieces; outside it they are one field (RFC 9113 §8.2.3).
fn one_cookie(upstream: &mut HeaderMap) -> Result<()> {
    let mut lines = upstream.get_all(header::COOKIE).iter();
    if let (Some(first), Some(second)) = (lines.next(), lines.next()) {
        let mut whole = [first.as_bytes(), b"; ", second.as_bytes()].concat();
        for line in lines {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(line.as_bytes());
        }
        let whole = HeaderValue::from_bytes(&whole).or_err(InternalError, "cookie")?;
        upstream.insert(header::COOKIE, whole);
    }
    Ok(())
}

fn remove_where(upstream: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let found = |upstream: &HeaderMap| {
        let mut names = upstream.keys();
        names.find(|name| unwanted(name.as_str())).cloned()
    };
    while let Some(name) = found(upstream) {
        upstream.remove(name);
    }
}

/// The path as it was matched or rewritten, always in origin form.
fn target(upstream: &mut Parts, in_origin_form: bool, context: &Context) -> Result<()> {
    let path = context
        .findings
        .path
        .as_deref()
        .or(context.normalised.as_deref());
    if path.is_none() && in_origin_form && upstream.uri.authority().is_none() {
        return Ok(());
    }
    if let Some(authority) = upstream.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str());
        let host = host.or_err(InternalError, "authority")?;
        upstream.headers.insert(header::HOST, host);
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
    upstream.uri = Uri::from_parts(parts).or_err(InternalError, "rewritten target")?;
    Ok(())
}

/// Where the request came from. A trusted proxy's word is kept and continued, a stranger's replaced.
fn origin(upstream: &mut HeaderMap, connection: &Connection, context: &Context) -> Result<()> {
    let trusted = context.client.via_trusted_proxy;
    let id = match &context.id {
        Id::Made(id) => HeaderValue::from_str(id.as_str()).or_err(InternalError, "request id")?,
        Id::Brought(value) => value.clone(),
    };
    upstream.insert(X_REQUEST_ID, id);
    if !trusted && context.rare.hearsay {
        remove_where(upstream, is_hearsay);
    }

    let hop = address(connection.peer.unwrap_or(context.client.address))?;
    let chain = trusted.then(|| joined(upstream, &X_FORWARDED_FOR));
    match chain.flatten() {
        Some(mut chain) => {
            chain.extend_from_slice(b", ");
            chain.extend_from_slice(hop.as_bytes());
            let chain = HeaderValue::from_bytes(&chain).or_err(InternalError, "forwarded for")?;
            upstream.insert(X_FORWARDED_FOR, chain);
        }
        None => drop(upstream.insert(X_FORWARDED_FOR, hop)),
    }
    if !trusted || !upstream.contains_key(&X_FORWARDED_PROTO) {
        let scheme = if connection.tls { "https" } else { "http" };
        upstream.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if (!trusted || !upstream.contains_key(&X_FORWARDED_HOST))
        && let Some(host) = upstream.get(header::HOST).cloned()
    {
        upstream.insert(X_FORWARDED_HOST, host);
    }
    // RFC 9110 §7.6.3: each proxy adds itself, with the version in which it got the message.
    let via: &'static str = match connection.version {
        http::Version::HTTP_2 => "2 airside",
        http::Version::HTTP_10 => "1.0 airside",
        _ => "1.1 airside",
    };
    let chain = context.rare.via.then(|| joined(upstream, &header::VIA));
    match chain.flatten() {
        Some(mut chain) => {
            chain.extend_from_slice(b", ");
            chain.extend_from_slice(via.as_bytes());
            let chain = HeaderValue::from_bytes(&chain).or_err(InternalError, "via")?;
            upstream.insert(header::VIA, chain);
        }
        None => drop(upstream.insert(header::VIA, HeaderValue::from_static(via))),
    }
    trace(upstream, context)
}

/// Each attempt is a span of its own, so that a server's spans hang on the one that called it.
fn trace(upstream: &mut HeaderMap, context: &Context) -> Result<()> {
    let Some(trace) = &context.trace else {
        return Ok(());
    };
    let recorded = context.recording.as_ref().and_then(Recording::caller);
    let value = trace.header(recorded.unwrap_or_else(trace::new_span));
    let value = HeaderValue::from_bytes(&value).or_err(InternalError, "trace")?;
    upstream.insert(TRACEPARENT, value);
    match &context.state {
        Some(state) => drop(upstream.insert(TRACESTATE, state.clone())),
        None if context.rare.trace => drop(upstream.remove(TRACESTATE)),
        None => {}
    }
    Ok(())
}

/// What is said to this server alone. Whom the client asked for is in `X-Forwarded-Host`.
fn server(upstream: &mut HeaderMap, context: &Context) {
    let (Some(cluster), Some(lease)) = (&context.cluster, &context.lease) else {
        return;
    };
    if cluster.settings.host == Host::Upstream {
        upstream.insert(header::HOST, lease.endpoint.authority.clone());
    }
    // An upgrade needs the header for itself, and is no connection to keep. HTTP/2 has no such header.
    if !cluster.keeps(&lease.endpoint) && !upstream.contains_key(header::UPGRADE) {
        upstream.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Who calls, on routes that asked.
fn caller(upstream: &mut HeaderMap, context: &Context) -> Result<()> {
    let Some(principal) = &context.findings.principal else {
        return Ok(());
    };
    let Some(words) = principal.words() else {
        return Error::e_explain(InternalError, "identity header");
    };
    upstream.insert(X_AUTH_USER, words.user.clone());
    if let Some(email) = &words.email {
        upstream.insert(X_AUTH_EMAIL, email.clone());
    }
    upstream.insert(X_AUTH_ROLES, words.roles.clone());
    upstream.insert(X_AUTH_ISSUER, words.issuer.clone());
    Ok(())
}

/// All lines of a header as one list (RFC 9110 §5.3).
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name).iter();
    let mut chain = lines.next()?.as_bytes().to_vec();
    for line in lines {
        chain.extend_from_slice(b", ");
        chain.extend_from_slice(line.as_bytes());
    }
    Some(chain)
}

fn address(address: IpAddr) -> Result<HeaderValue> {
    HeaderValue::from_bytes(&net::text(address)).or_err(InternalError, "address")
}

/// Fields that are added to those of the client, at most and as a rule: with room for them the map grows once.
const OURS: usize = 12;

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
