//! Header fields: their form, those that may stand once, and what a request may ask of the connection.

use super::{Row, answer_to, check, get, post, raw, row, start};

#[test]
fn fields_are_read_as_rfc_9110_has_them() {
    check(ROWS, 27);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("9110 5.1", get!("X: y"), 200, 1),
    row("9110 5.5 empty", get!("X:"), 200, 1),
    row("9110 5.5 no space", get!("X:y"), 200, 1),
    row("9110 5.5 space around", get!("X:  y  "), 200, 1),
    row("9112 5.1 space before the colon", get!("X : y"), 400, 0),
    row("9112 5.1 space before Host's colon", "GET /a HTTP/1.1\r\nHost : a\r\n\r\n", 400, 0),
    row("9112 5.2 a folded line", get!("X: y", " z"), 400, 0),
    row("9112 5.2 folded by a tab", get!("X: y", "\tz"), 400, 0),
    row("9112 5 no colon", get!("X"), 400, 0),
    row("9112 5 no name", get!(": y"), 400, 0),
    row("9110 5.1 no token", get!("X(: y"), 400, 0),
    row("9110 5.1 a control in the name", get!("X\x01: y"), 400, 0),
    raw("9110 5.1 no ASCII in the name", b"GET /a HTTP/1.1\r\nHost: a\r\nX\xe9: y\r\n\r\n", 400, 0),
    raw("9110 5.5 NUL in the value", b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n", 400, 0),
    raw("9110 5.5 a bare CR in the value", b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", 400, 0),
    raw("9110 5.5 a control in the value", b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\x01z\r\n\r\n", 400, 0),
    raw("9110 5.5 obs-text in the value", b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\xe9z\r\n\r\n", 200, 1),
    row("own: several credentials", get!("Authorization: a", "authorization: b"), 400, 0),
    row("9110 10.1.1 unknown", get!("Expect: miracles"), 417, 0),
    row("9110 10.1.1 known, with no body", get!("Expect: 100-continue"), 200, 1),
    row("9110 10.1.1 two", get!("Expect: 100-continue, miracles"), 417, 0),
    row("9112 9.6 close", get!("Connection: close"), 200, 1),
    row("9110 7.6.1 names a field", get!("Connection: X", "X: y"), 200, 1),
    row("own: names Host", get!("Connection: Host"), 400, 0),
    row("9110 7.6.1 names the length", post!("Connection: Content-Length", "Content-Length: 3"; "abc"), 200, 1),
    row("9110 7.8 no WebSocket", get!("Connection: upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 200, 1),
    row("9112 9.3.2 pipelined: the first is answered", concat!("GET /a HTTP/1.1\r\nHost: a\r\n\r\n", "GET /b HTTP/1.1\r\nHost: a\r\nX"), 200, 1),
];

/// A head of so many fields, and one of so many bytes in one field.
fn long(fields: usize, bytes: usize) -> Vec<u8> {
    let mut head = "GET /a HTTP/1.1\r\nHost: a\r\n".to_owned();
    (0..fields).for_each(|_| head.push_str("X: y\r\n"));
    head.push_str(&format!("Y: {}\r\n\r\n", "z".repeat(bytes)));
    head.into_bytes()
}

#[test]
fn heads_and_targets_that_are_too_long_are_told_so_however_long_they_are() {
    let (airside, origin) = start();
    for (fields, bytes, status) in [
        (97, 1, 200),
        (99, 1, 431),
        (253, 1, 431),
        (300, 1, 431),
        (5_000, 1, 431),
        (0, 32_000, 200),
        (0, 33_000, 431),
        (0, 60_000, 431),
        (0, 300_000, 431),
        (0, 3_000_000, 431),
    ] {
        let before = origin.count();
        let (answered, text) = answer_to(&airside, &long(fields, bytes));
        assert_eq!(answered, status, "{fields} fields, {bytes} bytes: {text}");
        assert_eq!(origin.count() - before, usize::from(status == 200));
    }
    for (length, status) in [
        (8_191, 200),
        (8_193, 414),
        (40_000, 414),
        (60_000, 414),
        (300_000, 414),
        (3_000_000, 414),
    ] {
        let head = format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n",
            "a".repeat(length - 1)
        );
        let (answered, text) = answer_to(&airside, head.as_bytes());
        assert_eq!(answered, status, "{length}: {text}");
    }
}
