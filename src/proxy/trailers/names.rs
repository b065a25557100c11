//! Which fields may be trailers at all, by their names (RFC 9110 §6.5.1).

use http::HeaderName;

/// Not what frames a message, routes it, says how it is to be handled or understood, authenticates, or is between two
/// neighbours only. Names with `_` are read as others.
pub fn is_free(name: &HeaderName) -> bool {
    let name = name.as_str();
    let begins = NEVER_BEGIN.iter().any(|start| name.starts_with(start));
    matches!(name, "content-digest" | "content-md5")
        || !(begins || NEVER.contains(&name) || name.contains('_'))
}

const NEVER: [&str; 44] = [
    "age",
    "alt-svc",
    "allow",
    "authentication-info",
    "authorization",
    "cache-control",
    "cdn-cache-control",
    "clear-site-data",
    "connection",
    "cookie",
    "date",
    "early-data",
    "expect",
    "expires",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-frame-options",
    "x-real-ip",
    "x-request-id",
    "x-http-method-override",
];

const NEVER_BEGIN: [&str; 13] = [
    "accept",
    "access-control-",
    "client-cert",
    "content-",
    "cross-origin-",
    "if-",
    "proxy-",
    "ratelimit",
    "sec-",
    "x-auth-",
    "x-forwarded-",
    "x-ratelimit",
    "x-user-",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trailer_may_not_say_is_known_by_its_name() {
        for name in [
            "transfer-encoding",
            "content-length",
            "content-type",
            "host",
            "authorization",
            "cookie",
            "set-cookie",
            "x-auth-user",
            "x-user-id",
            "x-forwarded-for",
            "if-match",
            "connection",
            "te",
            "trailer",
            "x_sum",
            "cache-control",
            "range",
            "proxy-anything",
        ] {
            assert!(!is_free(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "x-sum",
            "content-digest",
            "etag",
            "server-timing",
            "grpc-status",
            "grpc-message",
            "signature",
        ] {
            assert!(is_free(&HeaderName::from_static(name)), "{name}");
        }
    }
}
