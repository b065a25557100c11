//! Trailers: between whom they pass, and which of them (RFC 9110 §6.5). What does not pass is dropped, and never becomes
//! a header.
//!
//! A request's pass from HTTP/1.1 to HTTP/1.1. An answer's pass to clients of HTTP/1.1 that say `TE: trailers`, from
//! either version, and from HTTP/2 to HTTP/2. Pingora reads none of a request in HTTP/2, writes none to a server of
//! HTTP/2, and has no place for an answer's in HTTP/1.1 on its way to HTTP/2.

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::*;
use pingora::protocols::Digest;

use self::names::is_free;
use super::context::Context;
use super::{answer, forward};
use crate::base::trailers::Trailers;
use crate::upstream::{Follow, Link};

mod names;

/// What of a request's trailers may pass, and its answer's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passage {
    /// The request's body is in chunks of HTTP/1.1.
    request: bool,
    /// The client takes an answer's.
    answer: bool,
    /// The server speaks HTTP/2.
    from_http2: bool,
    /// The server's body is in chunks.
    in_chunks: bool,
    /// The answer's go to a client of HTTP/1.1.
    is_open: bool,
}

/// They are malformed, or there are too many.
pub const BAD_TRAILERS: ErrorType = ErrorType::new("BadTrailers");

impl Passage {
    /// Are the connection's bytes followed, where its server speaks HTTP/1?
    fn follows(self) -> bool {
        self.request || self.answer
    }
}

/// The request's head is read.
pub fn begin(header: &RequestHeader, context: &mut Context) {
    if let Some(line) = &context.line
        && header.version == Version::HTTP_11
    {
        context.passage.request =
            line.follows_request() && header.headers.contains_key(header::TRANSFER_ENCODING);
        context.passage.answer = context.rare.te && takes_trailers(&header.headers);
    }
}

/// An attempt has a connection.
pub fn connected(digest: Option<&Digest>, context: &mut Context) {
    context.link = None;
    let Some(link) = Link::of(digest) else { return };
    context.is_reused = link.is_reused();
    let Passage {
        request, answer, ..
    } = context.passage;
    match &context.gate {
        Some(gate) => link.tunnel(gate.clone()),
        None if context.passage.follows() => {
            link.begin(Follow { request, answer });
            context.link = Some(link.clone());
        }
        None => link.pass(),
    }
}

/// Tells the server what may come, and what is taken.
pub fn announce(
    request: &RequestHeader,
    upstream: &mut RequestHeader,
    context: &mut Context,
) -> Result<()> {
    context.passage.from_http2 = upstream.version == Version::HTTP_2;
    if context.link.is_some() && context.passage.request {
        let names = announced(&request.headers, |name| to_server(name, context));
        if let Some(names) = names {
            upstream.insert_header(header::TRAILER, names)?;
        }
    }
    if context.passage.answer && (context.link.is_some() || context.passage.from_http2) {
        upstream.insert_header(header::TE, TRAILERS)?;
    }
    if context.passage.answer && context.link.is_some() {
        let closes = upstream.headers.contains_key(header::CONNECTION);
        let options = if closes { "close, TE" } else { "TE" };
        upstream.insert_header(header::CONNECTION, HeaderValue::from_static(options))?;
    }
    Ok(())
}

/// A part of the request goes to the server, or the last of it. Errors: what comes behind it is no trailers.
pub fn sent(context: &Context, is_end: bool) -> Result<()> {
    if !is_end || !context.passage.request {
        return Ok(());
    }
    let found = context.line.as_ref().and_then(|line| line.trailers());
    match found {
        None => {}
        Some(Err(_)) => {
            return Error::e_explain(BAD_TRAILERS, "trailers").map_err(|e| e.into_down());
        }
        Some(Ok(trailers)) => {
            let trailers = trailers.only(|name| to_server(name, context));
            if let Some(link) = context.link.as_ref().filter(|_| !trailers.is_empty()) {
                link.end_with(trailers.end());
            }
        }
    }
    Ok(())
}

/// The answer's head has come, as the server framed it.
pub fn answered(response: &ResponseHeader, context: &mut Context) {
    if context.passage.answer {
        let chunked = response.headers.contains_key(header::TRANSFER_ENCODING);
        context.passage.in_chunks = chunked;
    }
}

/// The answer's head goes to the client: says what may follow it, and nothing of what can't.
pub fn tell(
    request: &RequestHeader,
    status: StatusCode,
    response: &mut HeaderMap,
    context: &mut Context,
) {
    context.passage.is_open = context.passage.answer && comes(request, status, response, context);
    if context.passage.is_open
        && let Some(line) = &context.line
    {
        line.follow_answer();
    }
    if !response.contains_key(header::TRAILER) {
        return;
    }
    let to_http2 = request.version == Version::HTTP_2 && comes(request, status, response, context);
    let passes = context.passage.is_open || to_http2;
    let names = announced(response, |name| passes && to_client(name, context));
    response.remove(header::TRAILER);
    if let Some(names) = names {
        response.insert(header::TRAILER, names);
    }
}

/// Can this answer have trailers that can be written? Pingora hands on those of HTTP/2, to either version.
fn comes(
    request: &RequestHeader,
    status: StatusCode,
    response: &HeaderMap,
    context: &Context,
) -> bool {
    let passage = context.passage;
    let behind = match passage.from_http2 {
        true => {
            let is_sized = response.contains_key(header::CONTENT_LENGTH);
            request.version == Version::HTTP_2 || !is_sized
        }
        false => passage.in_chunks && context.link.is_some(),
    };
    behind && context.encoder.is_none() && !answer::is_bodiless(request, status, response)
}

/// A part of an answer in HTTP/1.1 comes from the server, or the last of it. Errors: what comes behind it is no
/// trailers.
pub fn received(context: &Context, is_end: bool) -> Result<()> {
    if !is_end || !context.passage.is_open {
        return Ok(());
    }
    let Some(link) = &context.link else {
        return Ok(());
    };
    match link.found() {
        Err(_) => Error::e_explain(BAD_TRAILERS, "trailers").map_err(|error| error.into_up()),
        Ok(trailers) => {
            pass(&trailers.only(|name| to_client(name, context)), context);
            Ok(())
        }
    }
}

/// An answer's trailers in HTTP/2: takes away what may not pass.
pub fn filter(trailers: &mut HeaderMap, context: &Context) {
    let wrong: Vec<_> = trailers
        .keys()
        .filter(|name| !to_client(name, context))
        .cloned()
        .collect();
    for name in wrong {
        trailers.remove(name);
    }
    if context.passage.is_open {
        pass(&Trailers::from(&*trailers), context);
    }
}

fn pass(trailers: &Trailers, context: &Context) {
    if let Some(line) = context.line.as_ref().filter(|_| !trailers.is_empty()) {
        line.end_with(trailers.end());
    }
}

/// RFC 9110 §10.1.4.
fn takes_trailers(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::TE).iter();
    let mut words = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The names of a `Trailer` that may pass; `None` where there are none.
fn announced(headers: &HeaderMap, may_pass: impl Fn(&HeaderName) -> bool) -> Option<HeaderValue> {
    let lines = headers.get_all(header::TRAILER).iter();
    let words = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = words.filter_map(|word| HeaderName::from_bytes(word.trim_ascii()).ok());
    let names: Vec<_> = names.filter(|name| may_pass(name)).collect();
    let names: Vec<_> = names.iter().map(HeaderName::as_str).collect();
    HeaderValue::from_str(&names.join(", "))
        .ok()
        .filter(|list| !list.is_empty())
}

/// May it go to a server? Not what only the gateway may say, and nothing that the route changes in a head.
fn to_server(name: &HeaderName, context: &Context) -> bool {
    if !is_free(name) || forward::is_ours(name) {
        return false;
    }
    let mut fields = HeaderMap::from_iter([(name.clone(), PROBE)]);
    if let Some(route) = context.route() {
        route.pipeline.forward(&mut fields);
    }
    stands(&fields, name)
}

/// The same of a client.
fn to_client(name: &HeaderName, context: &Context) -> bool {
    if !is_free(name) {
        return false;
    }
    let mut fields = HeaderMap::from_iter([(name.clone(), PROBE)]);
    if let Some(route) = context.route() {
        route.pipeline.response(&context.findings, &mut fields);
    }
    stands(&fields, name)
}

fn stands(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.next() == Some(&PROBE) && lines.next().is_none()
}

const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const PROBE: HeaderValue = HeaderValue::from_static("probe");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_client_that_says_so_takes_trailers() {
        let takes = |value: &'static str| {
            takes_trailers(&HeaderMap::from_iter([(
                header::TE,
                HeaderValue::from_static(value),
            )]))
        };
        assert!(takes("trailers") && takes("gzip;q=0.5, Trailers"));
        assert!(!takes("gzip") && !takes("") && !takes("trailersx"));
        assert!(!takes_trailers(&HeaderMap::new()));
    }

    #[test]
    fn of_what_is_announced_only_what_may_pass_is_announced_again() {
        let list = [(
            header::TRAILER,
            HeaderValue::from_static("X-Sum, Host,, X-Auth-User,x-b"),
        )];
        let names = announced(&HeaderMap::from_iter(list), is_free);
        assert_eq!(names.unwrap(), "x-sum, x-b");
        let list = [(header::TRAILER, HeaderValue::from_static("Host"))];
        assert_eq!(announced(&HeaderMap::from_iter(list), is_free), None);
    }
}
