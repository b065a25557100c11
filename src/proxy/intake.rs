//! What every request must satisfy before a route is looked for. One reading of method, host and path,
//! used by everything behind it.

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, header};
use pingora::http::RequestHeader;

use super::rare::Rare;
use crate::base::host;
use crate::base::path::{self, PathError};
use crate::base::reply::{Refusal, Reply};
use crate::plan::Edge;
use crate::route::method::{Method, MethodSet};

/// A request as the router sees it.
pub struct Intake<'a> {
    pub method: Method,
    pub host: Cow<'a, str>,
    /// Normalised.
    pub path: Cow<'a, str>,
    pub query: Option<&'a str>,
}

/// Reads a request's head, or says what is wrong with it.
pub fn read<'a>(header: &'a RequestHeader, rare: Rare, edge: &Edge) -> Result<Intake<'a>, Reply> {
    bounds(header, edge)?;
    if rare.encoding || rare.length || rare.expect || rare.twice {
        framing(&header.headers)?;
    }
    let method = method(header)?;
    let host = host::of_request(&header.uri, &header.headers);
    let host = host.map_err(|error| bad("host", error.to_string()))?;
    if !header.raw_path_is_utf8() {
        return Err(bad("path", "the path is not UTF-8; percent-encode it"));
    }
    if header.raw_path() == b"*" && method == Method::Options {
        return Err(server_options());
    }
    if !names_a_path(header.raw_path()) {
        return Err(bad("path", PathError::NotAbsolute.to_string()));
    }
    let path = path::normalise(header.uri.path());
    let path = path.map_err(|error| bad("path", error.to_string()))?;
    Ok(Intake {
        method,
        host,
        path,
        query: header.uri.query(),
    })
}

/// Is the target in origin or absolute form (RFC 9112 §3.2)? Pingora reads any other as `/`, and an upstream
/// that gets it may read something else.
fn names_a_path(target: &[u8]) -> bool {
    target.starts_with(b"/") || is_absolute(target)
}

/// Absolute form of the only schemes that are served here.
pub fn is_absolute(target: &[u8]) -> bool {
    let begins = |scheme: &[u8]| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    begins(b"http://") || begins(b"https://")
}

fn bounds(header: &RequestHeader, edge: &Edge) -> Result<(), Reply> {
    if header.raw_path().len() > edge.max_uri {
        return Err(Reply::refuse(Refusal::UriTooLong).reason("uri"));
    }
    // As they stand on the wire: name, colon, space, value, line break.
    let size =
        |(name, value): (&http::HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    let bytes: usize = header.headers.iter().map(size).sum();
    if bytes > edge.max_headers || header.headers.len() > MAX_FIELDS {
        return Err(Reply::refuse(Refusal::HeadersTooLarge).reason("headers"));
    }
    Ok(())
}

/// Where the body ends must be beyond doubt (RFC 9112 §6.3), and who calls too.
fn framing(headers: &HeaderMap) -> Result<(), Reply> {
    let mut encodings = headers.get_all(header::TRANSFER_ENCODING).iter();
    if let Some(encoding) = encodings.next()
        && (encodings.next().is_some() || !encoding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(bad(
            "transfer_encoding",
            "the only transfer encoding is one `chunked`",
        ));
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    if let Some(length) = lengths.next()
        && (lengths.any(|other| other != length)
            || length.is_empty()
            || !length.as_bytes().iter().all(u8::is_ascii_digit))
    {
        return Err(bad(
            "content_length",
            "the Content-Length is not one number",
        ));
    }
    if headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .nth(1)
        .is_some()
    {
        return Err(bad(
            "several_credentials",
            "the request has more than one Authorization header",
        ));
    }
    if let Some(expect) = headers.get(header::EXPECT)
        && !expect.as_bytes().eq_ignore_ascii_case(b"100-continue")
    {
        return Err(Reply::refuse(Refusal::ExpectationFailed).reason("expect"));
    }
    Ok(())
}

fn method(header: &RequestHeader) -> Result<Method, Reply> {
    if let Some(method) = Method::from_http(&header.method) {
        return Ok(method);
    }
    if [http::Method::TRACE, http::Method::CONNECT].contains(&header.method) {
        return Err(method_not_allowed(MethodSet::ANY));
    }
    Err(Reply::refuse(Refusal::NotImplemented).reason("method"))
}

/// 405 with the methods that would do (RFC 9110 §15.5.6).
pub fn method_not_allowed(allowed: MethodSet) -> Reply {
    let reply = Reply::refuse(Refusal::MethodNotAllowed).reason("method");
    reply.header(header::ALLOW, allow(allowed))
}

/// `OPTIONS *` asks about the server as a whole (RFC 9110 §9.3.7).
fn server_options() -> Reply {
    let reply = Reply::with(http::StatusCode::NO_CONTENT, bytes::Bytes::new());
    reply.header(header::ALLOW, allow(MethodSet::ANY))
}

fn allow(methods: MethodSet) -> HeaderValue {
    // Invariant: method names, commas and spaces.
    HeaderValue::try_from(methods.to_string()).unwrap_or(HeaderValue::from_static(""))
}

fn bad(reason: &'static str, detail: impl Into<Cow<'static, str>>) -> Reply {
    Reply::refuse(Refusal::BadRequest)
        .reason(reason)
        .detail(detail)
}

/// Above what any client sends in earnest.
const MAX_FIELDS: usize = 100;
