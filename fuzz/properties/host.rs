//! One reading of a host: read again it is the same, and so are its other spellings; a route's pattern of it fits it.

use airside::base::decode::FromText;
use airside::base::host::{normalise, of_request};
use airside::route::host::HostPattern;
use http::{HeaderMap, HeaderValue, Uri, header};

pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(host) = normalise(text) {
        assert!(!host.is_empty() && host.len() <= 253, "{host:?}");
        assert!(
            text.to_ascii_lowercase().starts_with(&*host),
            "{text:?} is {host:?}"
        );
        let rest = &text[host.len()..];
        let port = rest.trim_start_matches('.').trim_start_matches(':');
        assert!(port.bytes().all(|byte| byte.is_ascii_digit()), "{text:?}");
        let port = format!("{host}:65535");
        for other in [&*host, &port, &host.to_ascii_uppercase()] {
            assert_eq!(
                normalise(other).as_deref(),
                Ok(&*host),
                "{other:?} of {text:?}"
            );
        }
        let pattern = HostPattern::from_text(&host);
        assert_eq!(
            pattern.map(|pattern| pattern.to_string()).as_deref(),
            Ok(&*host)
        );
    }
    of_requests(text);
}

/// The target's host and the header's: where both are there the target's counts, and it is read like any.
fn of_requests(text: &str) {
    let (mut headers, origin) = (HeaderMap::new(), Uri::from_static("/"));
    let Ok(value) = HeaderValue::from_str(text) else {
        return;
    };
    headers.insert(header::HOST, value.clone());
    let of_header = of_request(&origin, &headers).map(|host| host.into_owned());
    assert_eq!(
        of_header.ok(),
        normalise(text).ok().map(|host| host.into_owned())
    );
    if let Ok(uri) = format!("http://{text}/").parse::<Uri>()
        && let Some(authority) = uri.authority()
    {
        let of_target = of_request(&uri, &headers).map(|host| host.into_owned());
        let alone = normalise(authority.as_str()).map(|host| host.into_owned());
        assert_eq!(of_target, alone, "{text:?}");
    }
    headers.append(header::HOST, value);
    assert!(
        of_request(&origin, &headers).is_err(),
        "two hosts: {text:?}"
    );
}
