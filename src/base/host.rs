//! The one way in which a request's host is read: routing and forwarding see the same name.

use std::borrow::Cow;

use http::{HeaderMap, Uri, header};

/// Why a host is refused: the client gets 400 (RFC 9112 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("the request names no host")]
    Missing,
    #[error("the request has more than one Host header")]
    Several,
    #[error("the request's host is not a name or an address with an optional port")]
    Malformed,
}

/// The host that a request is for, in lower case, without its port and without a final dot. The target's
/// authority (absolute form, HTTP/2) goes before the `Host` header (RFC 9112 §3.2.2).
pub fn of_request<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Cow<'a, str>, HostError> {
    let mut lines = headers.get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(HostError::Several);
    }
    let text = match (uri.authority(), line) {
        (Some(authority), _) => authority.as_str(),
        (None, Some(line)) => line.to_str().map_err(|_| HostError::Malformed)?,
        (None, None) => return Err(HostError::Missing),
    };
    normalise(text)
}

/// Splits the port off, checks and lower-cases.
pub fn normalise(text: &str) -> Result<Cow<'_, str>, HostError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(after) => {
            let end = after.find(']').ok_or(HostError::Malformed)?;
            let (name, rest) = text.split_at(end + 2);
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(HostError::Malformed)?),
            };
            let inner = name.get(1..name.len() - 1).unwrap_or_default();
            inner
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| HostError::Malformed)?;
            (name, port)
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    // Digits alone, or none (RFC 3986 §3.2.3): the library reads `+80`, too.
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit())
            && (port.is_empty() || port.parse::<u16>().is_ok())
    };
    if port.is_some_and(|port| !is_port(port)) {
        return Err(HostError::Malformed);
    }
    let name = match name.strip_suffix('.') {
        Some(bare) => bare,
        None => name,
    };
    let fits = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':')
    };
    if name.is_empty() {
        return Err(if text.is_empty() {
            HostError::Missing
        } else {
            HostError::Malformed
        });
    }
    // An empty label would leave a name that ends in a dot, and two names for one host.
    let has_empty_label = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.len() > 253
        || has_empty_label
        || !name.bytes().all(fits)
        || (!name.starts_with('[') && name.contains(['[', ']']))
    {
        return Err(HostError::Malformed);
    }
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Ok(Cow::Owned(name.to_ascii_lowercase())),
        false => Ok(Cow::Borrowed(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form_for_each_host() {
        for (from, to) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("127.0.0.1:3001", "127.0.0.1"),
            ("[::1]:3001", "[::1]"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("a_b.example:", "a_b.example"),
        ] {
            assert_eq!(normalise(from).as_deref(), Ok(to), "{from}");
            assert_eq!(normalise(to).as_deref(), Ok(to), "{to} again");
        }
    }

    #[test]
    fn what_is_not_one_host_is_refused() {
        for wrong in [
            "",
            ".",
            ":80",
            "a b",
            "a/b",
            "a,b",
            "a@b",
            "a:99999",
            "a:b",
            "[::1",
            "[x]",
            "[::1]x",
            "a\u{e9}",
            "a..",
            "a..b",
            ".a",
            "a.:80.",
            "a:+80",
            "[::1]:+80",
            "a:-1",
            "[::1].",
        ] {
            assert!(normalise(wrong).is_err(), "{wrong}");
        }
    }
}
