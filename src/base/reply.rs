//! An answer that Airside makes itself. Refusals are problem+json (RFC 9457) and say what the one who
//! asked may know, nothing of the inside.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

use super::json::needs_escaping;

/// An answer before it is written to a client.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    /// `None`: what the configuration wants, such as a redirect.
    pub refusal: Option<Refusal>,
    /// Why, in one word for log and metrics; clients don't see it.
    pub reason: &'static str,
    /// What the client may know of the cause.
    pub detail: Option<Cow<'static, str>>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body where this is no refusal; a refusal's is made of its code.
    pub body: Bytes,
}

/// A refusal's fixed part: what `code` means is the same on every route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    NoRoute,
    MethodNotAllowed,
    Unauthenticated,
    Forbidden,
    RateLimited,
    UpstreamUnreachable,
    UpstreamTimeout,
    BadRequest,
    BodyTooLarge,
    UriTooLong,
    HeadersTooLarge,
    NoHealthyUpstream,
    Overloaded,
    NotImplemented,
    ExpectationFailed,
    Misdirected,
    TooSlow,
    Internal,
}

pub const PROBLEM_JSON: &str = "application/problem+json";

impl Reply {
    pub fn refuse(refusal: Refusal) -> Self {
        Self {
            // Invariant: the table below holds valid codes only.
            status: StatusCode::from_u16(refusal.status())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            refusal: Some(refusal),
            reason: "",
            detail: None,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// An answer that is no refusal.
    pub fn with(status: StatusCode, body: Bytes) -> Self {
        Self {
            status,
            refusal: None,
            reason: "",
            detail: None,
            headers: Vec::new(),
            body,
        }
    }

    pub fn reason(mut self, reason: &'static str) -> Self {
        self.reason = reason;
        self
    }

    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Refusal {
    pub const ALL: [Self; 17] = [
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::RateLimited,
        Self::UpstreamUnreachable,
        Self::UpstreamTimeout,
        Self::BadRequest,
        Self::BodyTooLarge,
        Self::UriTooLong,
        Self::HeadersTooLarge,
        Self::NoHealthyUpstream,
        Self::Overloaded,
        Self::NotImplemented,
        Self::ExpectationFailed,
        Self::Misdirected,
        Self::Internal,
    ];

    pub const fn status(self) -> u16 {
        self.row().0
    }

    pub const fn code(self) -> &'static str {
        self.row().1
    }

    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Status, code and title.
    const fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NoRoute => (404, "no_route", "No route matches this request"),
            Self::MethodNotAllowed => {
                (405, "method_not_allowed", "This method is not allowed here")
            }
            Self::Unauthenticated => (401, "unauthenticated", "A valid token is needed"),
            Self::Forbidden => (403, "forbidden", "The caller may not do that"),
            Self::RateLimited => (429, "rate_limited", "Too many requests"),
            Self::UpstreamUnreachable => (
                502,
                "upstream_unreachable",
                "The service could not be reached",
            ),
            Self::UpstreamTimeout => (
                504,
                "upstream_timeout",
                "The service did not answer in time",
            ),
            Self::BadRequest => (400, "bad_request", "The request is not valid"),
            Self::BodyTooLarge => (413, "body_too_large", "The body is too large"),
            Self::UriTooLong => (414, "uri_too_long", "The request's target is too long"),
            Self::HeadersTooLarge => (
                431,
                "headers_too_large",
                "The request's headers are too large",
            ),
            Self::NoHealthyUpstream => (
                503,
                "no_healthy_upstream",
                "The service has no healthy server",
            ),
            Self::Overloaded => (503, "overloaded", "Too much is going on at once"),
            Self::NotImplemented => (501, "bad_request", "This method is not implemented"),
            Self::ExpectationFailed => (417, "bad_request", "This expectation can't be met"),
            Self::Misdirected => (421, "bad_request", "This connection is not for that host"),
            Self::TooSlow => (408, "bad_request", "The request took too long to arrive"),
            Self::Internal => (500, "internal", "Something went wrong here"),
        }
    }

    /// What a client of gRPC is told instead of a status of HTTP: one of gRPC's own codes.
    pub const fn grpc_status(self) -> u8 {
        match self {
            Self::BadRequest | Self::UriTooLong | Self::ExpectationFailed => 3,
            Self::UpstreamTimeout | Self::TooSlow => 4,
            Self::Forbidden => 7,
            Self::RateLimited | Self::BodyTooLarge | Self::HeadersTooLarge => 8,
            Self::NoRoute | Self::MethodNotAllowed | Self::NotImplemented => 12,
            Self::Internal => 13,
            Self::UpstreamUnreachable
            | Self::NoHealthyUpstream
            | Self::Overloaded
            | Self::Misdirected => 14,
            Self::Unauthenticated => 16,
        }
    }

    /// The body, ready to send.
    pub fn body(self, request_id: &str, detail: Option<&str>) -> Vec<u8> {
        problem(self.status(), self.code(), self.title(), request_id, detail)
    }
}

/// A string in JSON, which most are as they stand.
fn string(out: &mut Vec<u8>, text: &str) {
    if !needs_escaping(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // A string: this can't fail.
    out.extend(serde_json::to_vec(text).unwrap_or_default());
}

/// Of most problems.
const USUAL_BYTES: usize = 256;

/// A problem's JSON; `type` is a URN made of the code, stable and without a place to fetch.
pub fn problem(
    status: u16,
    code: &str,
    title: &str,
    request_id: &str,
    detail: Option<&str>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(USUAL_BYTES);
    out.extend_from_slice(b"{\"type\":\"urn:airside:");
    out.extend_from_slice(code.as_bytes());
    out.extend_from_slice(b"\",\"title\":");
    string(&mut out, title);
    out.extend_from_slice(b",\"status\":");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.extend_from_slice(b",\"code\":");
    string(&mut out, code);
    if !request_id.is_empty() {
        out.extend_from_slice(b",\"request_id\":");
        string(&mut out, request_id);
    }
    if let Some(detail) = detail {
        out.extend_from_slice(b",\"detail\":");
        string(&mut out, detail);
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_problem_is_json_whatever_it_says() {
        for text in [
            "plain",
            "quo\"te",
            "back\\slash",
            "new\nline",
            "\u{1}",
            "ä \u{7f}",
        ] {
            let body = problem(401, "unauthenticated", "Unauthenticated", text, Some(text));
            let read: Value = serde_json::from_slice(&body).unwrap();
            let expected = json!({
                "type": "urn:airside:unauthenticated",
                "title": "Unauthenticated",
                "status": 401,
                "code": "unauthenticated",
                "request_id": text,
                "detail": text,
            });
            assert_eq!(read, expected);
        }
        let body = problem(404, "no_route", "No route", "", None);
        let expected =
            r#"{"type":"urn:airside:no_route","title":"No route","status":404,"code":"no_route"}"#;
        assert_eq!(String::from_utf8(body).unwrap(), expected);
    }
}
