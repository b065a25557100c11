//! Request lines: their form, their version, their method.

use super::{Row, check, raw, row};

#[test]
fn request_lines_are_read_as_rfc_9112_has_them() {
    check(ROWS, 38);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("9112 3", "GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9112 2.2 an empty line before", "\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9112 2.2 LF alone ends a line", "GET /a HTTP/1.1\nHost: a\n\n", 200, 1),
    row("9112 2.2 CR within", "GET /a\r HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.2 space before the first field", "GET /a HTTP/1.1\r\n X: b\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3 tab between", "GET\t/a\tHTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3 no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3 no version", "GET /a\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3 space at the start", " GET /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3 nothing but a method", "GET\r\n\r\n", 400, 0),
    row("9112 3 garbage", "garbage\r\n\r\n", 400, 0),
    row("9112 3 more garbage", "a b c d e f\r\n\r\n", 400, 0),
    raw("9112 3 TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, 0),
    raw("9112 3 NUL", b"GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    raw("9112 3 NUL first", b"\0\0\0\0\r\n\r\n", 400, 0),
    row("9112 2.3 HTTP/1.0", "GET /a HTTP/1.0\r\nHost: a\r\n\r\n", 200, 1),
    row("9112 3.2 HTTP/1.0 without a host", "GET /a HTTP/1.0\r\n\r\n", 400, 0),
    row("9112 2.3 HTTP/0.9", "GET /a\r\n\r\n", 400, 0),
    row("9112 2.3 HTTP/1.2", "GET /a HTTP/1.2\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.3 HTTP/2.0", "GET /a HTTP/2.0\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.3 HTTP/9.9", "GET /a HTTP/9.9\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.3 lower case", "GET /a http/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.3 another protocol", "GET /a FTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.3 two digits", "GET /a HTTP/1.10\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 2.3 words after it", "GET /a HTTP/1.1 x\r\nHost: a\r\n\r\n", 400, 0),
    row("9113 3.4 preface on a listener without HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 0),
    row("9110 9.3.1 HEAD", "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9110 9.3.4 PUT", "PUT /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9110 9.3.5 DELETE", "DELETE /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9110 9.3.7 OPTIONS", "OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("5789 PATCH", "PATCH /a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9110 9.3.8 TRACE", "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", 405, 0),
    row("9110 9.3.6 CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 405, 0),
    row("9110 9.3.6 CONNECT with a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 405, 0),
    row("9110 9.1 unknown", "BREW /a HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0),
    row("9110 9.1 case counts", "get /a HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0),
    row("9110 9.1 a method of WebDAV", "PROPFIND /a HTTP/1.1\r\nHost: a\r\n\r\n", 501, 0),
    row("9110 5.6.2 no token", "G(T /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    raw("9110 5.6.2 no ASCII", b"G\xc9T /a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("own: nothing more comes", "GET /a HT", 408, 0),
    row("own: a head without its end", "GET /a HTTP/1.1\r\nHost: a\r\n", 408, 0),
];
