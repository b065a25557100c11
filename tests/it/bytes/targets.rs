//! Targets and hosts: one reading of both, or none.

use super::{Row, check, raw, row};

#[test]
fn targets_and_hosts_have_one_reading() {
    check(ROWS, 38);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("9112 3.2.1 origin form", "GET /a?b=c HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9112 3.2.2 absolute form", "GET http://a/a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9112 3.2.2 another host", "GET http://b/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3.2.2 with a user", "GET http://u@a/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3.2.2 another scheme", "GET ftp://a/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3.2.2 without a host", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3.2.3 authority form", "GET a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 400, 0),
    row("9112 3.2.4 asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 204, 0),
    row("9112 3.2.4 of another method", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9112 3.2 no slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("own: a fragment is cut off", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("9112 3.2 a query alone", "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("3986 2.1 NUL", "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("3986 2.1 a control", "GET /a%0d%0aX:b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("3986 2.1 half", "GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("3986 2.1 no digits", "GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("own: %2f", "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("own: %5c", "GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("own: backslash", "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("3986 5.2.4 dots", "GET /b/../a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("3986 5.2.4 coded dots", "GET /b/%2e%2e/a HTTP/1.1\r\nHost: a\r\n\r\n", 200, 1),
    row("own: dots above the root", "GET /../../a HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    raw("3986 2 no ASCII", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    raw("3986 2 DEL", b"GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400, 0),
    row("9110 7.2 no host", "GET /a HTTP/1.1\r\n\r\n", 400, 0),
    row("9110 7.2 empty", "GET /a HTTP/1.1\r\nHost:\r\n\r\n", 400, 0),
    row("9112 3.2 two", "GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, 0),
    row("9112 3.2 two equal", "GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, 0),
    row("9110 7.2 a list", "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n", 400, 0),
    row("9110 7.2 a space", "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", 400, 0),
    row("9110 7.2 a path", "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, 0),
    row("9110 7.2 a user", "GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n", 400, 0),
    row("9110 7.2 a query", "GET /a HTTP/1.1\r\nHost: a?b\r\n\r\n", 400, 0),
    row("9110 7.2 a port", "GET /a HTTP/1.1\r\nHost: a:8080\r\n\r\n", 200, 1),
    row("9110 7.2 no port there is", "GET /a HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400, 0),
    row("9110 7.2 a port of letters", "GET /a HTTP/1.1\r\nHost: a:b\r\n\r\n", 400, 0),
    row("9110 7.2 IPv6", "GET /a HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200, 1),
    row("9110 7.2 half an IPv6", "GET /a HTTP/1.1\r\nHost: [::1\r\n\r\n", 400, 0),
];
