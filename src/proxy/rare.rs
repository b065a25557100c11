//! What few requests have in their head. Its names are looked at once, and what is not there is not looked for again.

use http::HeaderMap;

use crate::policy::auth::is_identity_header;
use crate::tls::client::is_certificate_header;

/// Of fields that few requests have: may this one have them?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rare {
    /// What only the gateway may say, or a name with `_`.
    pub ours: bool,
    /// Where a request came from, in a proxy's word.
    pub hearsay: bool,
    /// A request's id or its trace.
    pub trace: bool,
    pub via: bool,
    /// Of the connection alone (RFC 9110 §7.6.1), `Trailer` among them, as Pingora has it.
    pub hop: bool,
    pub te: bool,
    pub upgrade: bool,
    pub encoding: bool,
    pub length: bool,
    pub expect: bool,
    /// A field that stands there twice.
    pub twice: bool,
}

impl Rare {
    /// Of a head that nobody has looked at.
    pub const ANY: Self = Self::all(true);
    const NONE: Self = Self::all(false);

    pub fn of(head: &HeaderMap) -> Self {
        let mut found = Self {
            twice: head.len() > head.keys_len(),
            ..Self::NONE
        };
        for name in head.keys() {
            found.note(name.as_str());
        }
        found
    }

    /// A name in lower case, as names are kept.
    fn note(&mut self, name: &str) {
        self.ours |= is_not_theirs(name);
        match name.as_bytes().first() {
            Some(b'c') => match name {
                "connection" => self.hop = true,
                "content-length" => self.length = true,
                _ => {}
            },
            Some(b'e') => self.expect |= name == "expect",
            Some(b'h') => self.hop |= name == "http2-settings",
            Some(b'k') if name == "keep-alive" => self.hop = true,
            Some(b'p') => self.hop |= name.starts_with("proxy-"),
            Some(b't') => match name {
                "te" => (self.hop, self.te) = (true, true),
                "trailer" => self.hop = true,
                "transfer-encoding" => (self.hop, self.encoding) = (true, true),
                "traceparent" | "tracestate" => self.trace = true,
                _ => {}
            },
            Some(b'u') if name == "upgrade" => (self.hop, self.upgrade) = (true, true),
            Some(b'v') => self.via |= name == "via",
            Some(b'x') if name == "x-request-id" => self.trace = true,
            Some(b'f' | b'x') => self.hearsay |= is_hearsay(name),
            _ => {}
        }
    }

    const fn all(one: bool) -> Self {
        Self {
            ours: one,
            hearsay: one,
            trace: one,
            via: one,
            hop: one,
            te: one,
            upgrade: one,
            encoding: one,
            length: one,
            expect: one,
            twice: one,
        }
    }
}

/// Is it what only the gateway may say, or a name with `_`, which many upstreams read as `-`?
pub fn is_not_theirs(name: &str) -> bool {
    let has_line = memchr::memchr(b'_', name.as_bytes()).is_some();
    has_line || is_identity_header(name) || is_certificate_header(name)
}

/// Does this header say where a request came from? `X-Forwarded-Port`, `-Prefix` and their like too: upstreams
/// build addresses of them.
pub fn is_hearsay(name: &str) -> bool {
    name.starts_with("x-forwarded-") || matches!(name, "forwarded" | "x-real-ip")
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(names: &[&str]) -> Rare {
        let mut head = HeaderMap::new();
        for name in names {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            head.append(name, HeaderValue::from_static("1"));
        }
        Rare::of(&head)
    }

    #[test]
    fn most_requests_have_none_of_it() {
        let usual = [
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
            "Authorization",
            "Cookie",
            "Content-Type",
            "Cache-Control",
            "Priority",
            "Referer",
            "X-Api-Key",
            "Upgrade-Insecure-Requests",
        ];
        assert_eq!(of(&usual), Rare::NONE);
        assert_eq!(of(&[]), Rare::NONE);
    }

    #[test]
    fn each_is_found_in_any_case_among_others() {
        const NONE: Rare = Rare::NONE;
        const HOP: Rare = Rare { hop: true, ..NONE };
        let of_each = [
            ("X-Auth-User", Rare { ours: true, ..NONE }),
            ("X-Auth-", Rare { ours: true, ..NONE }),
            ("x_auth_user", Rare { ours: true, ..NONE }),
            ("Client-Cert", Rare { ours: true, ..NONE }),
            ("Client-Cert-Chain", Rare { ours: true, ..NONE }),
            ("X-Client-Cert-Subject", Rare { ours: true, ..NONE }),
            ("Content_Length", Rare { ours: true, ..NONE }),
            (
                "X-Forwarded-For",
                Rare {
                    hearsay: true,
                    ..NONE
                },
            ),
            (
                "X-Forwarded-Port",
                Rare {
                    hearsay: true,
                    ..NONE
                },
            ),
            (
                "Forwarded",
                Rare {
                    hearsay: true,
                    ..NONE
                },
            ),
            (
                "X-Real-IP",
                Rare {
                    hearsay: true,
                    ..NONE
                },
            ),
            (
                "X-Request-Id",
                Rare {
                    trace: true,
                    ..NONE
                },
            ),
            (
                "Traceparent",
                Rare {
                    trace: true,
                    ..NONE
                },
            ),
            (
                "Tracestate",
                Rare {
                    trace: true,
                    ..NONE
                },
            ),
            ("Via", Rare { via: true, ..NONE }),
            ("Connection", HOP),
            ("Keep-Alive", HOP),
            ("Proxy-Connection", HOP),
            ("Proxy-Authenticate", HOP),
            ("Proxy-Authorization", HOP),
            ("Trailer", HOP),
            ("HTTP2-Settings", HOP),
            ("TE", Rare { te: true, ..HOP }),
            (
                "Upgrade",
                Rare {
                    upgrade: true,
                    ..HOP
                },
            ),
            (
                "Transfer-Encoding",
                Rare {
                    encoding: true,
                    ..HOP
                },
            ),
            (
                "Content-Length",
                Rare {
                    length: true,
                    ..NONE
                },
            ),
            (
                "Expect",
                Rare {
                    expect: true,
                    ..NONE
                },
            ),
        ];
        for (name, rare) in of_each {
            assert_eq!(of(&["Host", name, "Accept"]), rare, "{name}");
            let upper = name.to_uppercase();
            assert_eq!(of(&[&upper]), rare, "{upper}");
        }
        assert_eq!(
            of(&["Accept", "Accept"]),
            Rare {
                twice: true,
                ..NONE
            }
        );
    }
}
