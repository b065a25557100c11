//! The cookie that a server is chosen by: the first of its name, in however many lines the cookies come.

use std::net::IpAddr;

use airside::base::decode::FromText;
use airside::upstream::key::{Asker, By};
use http::{HeaderMap, HeaderValue, header};

/// Lines of `Cookie`.
pub fn check(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes) {
        // A configuration's word for it: a name that no request can carry is refused.
        let _ = By::from_text(text);
    }
    let by = By::from_text("cookie:sid").unwrap();
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(header::COOKIE, value);
        }
    }
    let lines: Vec<&[u8]> = headers.values().map(HeaderValue::as_bytes).collect();
    let joined = lines.join(&b"; "[..]);
    let found = key(&by, &headers);
    let mut one = HeaderMap::new();
    one.insert(header::COOKIE, HeaderValue::from_bytes(&joined).unwrap());
    assert_eq!(found, key(&by, &one), "pieces are one field");

    let pairs = joined.split(|byte| *byte == b';');
    let mut named = pairs.filter_map(|pair| pair.trim_ascii().strip_prefix(b"sid="));
    let mut alone = HeaderMap::new();
    if let Some(value) = named.next() {
        let value = [b"sid=", value].concat();
        alone.insert(header::COOKIE, HeaderValue::from_bytes(&value).unwrap());
    }
    assert_eq!(found, key(&by, &alone), "others change nothing");
}

fn key(by: &By, headers: &HeaderMap) -> u64 {
    by.key(&Asker {
        address: IpAddr::from([192, 0, 2, 1]),
        user: None,
        headers,
    })
}
