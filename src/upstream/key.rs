//! What `balance: hash` goes by, and the number that it makes of a request. No allocation.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, header};

use crate::base::decode::FromText;

/// The part of a request that decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Ip,
    User,
    Header(HeaderName),
    Cookie(String),
}

/// A request, as far as a key may be made of it.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    pub address: IpAddr,
    pub user: Option<&'a str>,
    pub headers: &'a HeaderMap,
}

impl By {
    /// The same for the same caller, in every process and version. A request without the part goes by its
    /// address.
    pub fn key(&self, asker: &Asker) -> u64 {
        let part = match self {
            Self::Ip => None,
            Self::User => asker.user.map(str::as_bytes),
            Self::Header(name) => asker.headers.get(name).map(|value| value.as_bytes()),
            Self::Cookie(name) => cookie(asker.headers, name),
        };
        match (part.filter(|part| !part.is_empty()), asker.address) {
            (Some(part), _) => fnv(part),
            (None, IpAddr::V4(address)) => fnv(&address.octets()),
            (None, IpAddr::V6(address)) => fnv(&address.octets()),
        }
    }
}

impl FromText for By {
    const EXPECTED: &'static str = "`ip`, `user`, `header:NAME` or `cookie:NAME`";
    const PATTERN: &'static str = r"ip|user|header:.+|cookie:.+";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "ip" => Ok(Self::Ip),
            None if text == "user" => Ok(Self::User),
            Some(("header", name)) => name
                .parse()
                .map(Self::Header)
                .map_err(|_| format!("`{name}` is not a header's name")),
            // RFC 6265 §4.1.1: a cookie's name is a token, as a header's is.
            Some(("cookie", name)) if name.parse::<HeaderName>().is_ok() => {
                Ok(Self::Cookie(name.to_owned()))
            }
            Some(("cookie", name)) => Err(format!("`{name}` is not a cookie's name")),
            _ => Err("it is none of these".to_owned()),
        }
    }
}

/// The first cookie of this name (RFC 6265 §5.4).
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let rest = pair.trim_ascii().strip_prefix(name.as_bytes())?;
        rest.strip_prefix(b"=")
    })
}

/// FNV-1a with 64 bits: it never changes, so that gateways of different versions send a caller alike.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn key(by: &str, address: &str, user: Option<&str>, cookie: &str) -> u64 {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
        By::from_text(by).unwrap().key(&Asker {
            address: address.parse().unwrap(),
            user,
            headers: &headers,
        })
    }

    #[test]
    fn a_caller_goes_by_what_was_named_and_else_by_its_address() {
        let alone = key("ip", "10.0.0.1", None, "");
        assert_eq!(key("ip", "10.0.0.1", Some("u"), "a=b"), alone);
        assert_ne!(key("ip", "10.0.0.2", None, ""), alone);
        assert_eq!(key("user", "10.0.0.1", None, ""), alone);
        let user = key("user", "10.0.0.1", Some("u1"), "");
        assert_eq!(key("user", "10.9.9.9", Some("u1"), ""), user);
        let cookie = key("cookie:sid", "10.0.0.1", None, "x=1; sid=abc; sidx=2");
        assert_eq!(key("cookie:sid", "10.0.0.9", None, "sid=abc"), cookie);
        assert_eq!(key("cookie:id", "10.0.0.1", None, "sid=abc"), alone);
        assert_eq!(key("header:cookie", "10.0.0.9", None, "abc"), cookie);
    }

    #[test]
    fn the_number_is_the_same_in_every_version() {
        assert_eq!(fnv(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn what_is_not_a_part_of_a_request_is_refused() {
        for wrong in ["", "IP", "header:", "header:a b", "cookie:a=b", "claim:x"] {
            assert!(By::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
