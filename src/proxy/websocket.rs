//! Is a request the beginning of a WebSocket (RFC 6455 §4.1)? Whatever else asks for an upgrade goes on
//! without it.

use http::{Method, Version, header};
use pingora::http::RequestHeader;

/// Only HTTP/1.1 is asked: in HTTP/2 there is no `Upgrade`.
pub fn is_asked_for(request: &RequestHeader) -> bool {
    let headers = &request.headers;
    if !headers.contains_key(header::UPGRADE) {
        return false;
    }
    let lists = |name, wanted: &str| {
        let lines = headers.get_all(name).iter();
        let mut words = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    let upgrade = headers.get(header::UPGRADE).map(|value| value.as_bytes());
    request.version == Version::HTTP_11
        && request.method == Method::GET
        && upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && lists(header::CONNECTION, "upgrade")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
        && headers.contains_key(header::SEC_WEBSOCKET_VERSION)
        && !headers.contains_key(header::TRANSFER_ENCODING)
        && headers
            .get(header::CONTENT_LENGTH)
            .is_none_or(|length| length == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPER: &[(&str, &str)] = &[
        ("Connection", "keep-alive, Upgrade"),
        ("Upgrade", "WebSocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn request(method: &str, headers: &[(&'static str, &'static str)]) -> RequestHeader {
        let mut request = RequestHeader::build(method, b"/", None).unwrap();
        for (name, value) in headers {
            request.append_header(*name, *value).unwrap();
        }
        request
    }

    #[test]
    fn only_a_whole_handshake_counts() {
        assert!(is_asked_for(&request("GET", PROPER)));
        assert!(!is_asked_for(&request("POST", PROPER)));
        for missing in 0..PROPER.len() {
            let mut headers = PROPER.to_vec();
            headers.remove(missing);
            assert!(!is_asked_for(&request("GET", &headers)), "{headers:?}");
        }
        for more in [("Content-Length", "1"), ("Transfer-Encoding", "chunked")] {
            assert!(
                !is_asked_for(&request("GET", &[PROPER, &[more]].concat())),
                "{more:?}"
            );
        }
        let mut other = PROPER.to_vec();
        other[1] = ("Upgrade", "h2c");
        assert!(!is_asked_for(&request("GET", &other)));
        let mut old = request("GET", PROPER);
        old.set_version(Version::HTTP_10);
        assert!(!is_asked_for(&old));
    }
}
