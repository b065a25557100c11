//! Where a body ends: lengths, chunks, and both at once.

use super::{Row, check, post, row, start};

#[test]
fn where_a_body_ends_is_beyond_doubt() {
    check(ROWS, 59);
}

#[test]
fn there_is_a_bound_for_trailers() {
    let (airside, _origin) = start();
    let ask = |trailers: String| {
        let head = post!("Transfer-Encoding: chunked"; "0\r\n");
        airside
            .raw()
            .exchange(format!("{head}{trailers}\r\n"))
            .status
    };
    assert_eq!(ask("X: y\r\n".repeat(64)), 200);
    assert_eq!(ask("X: y\r\n".repeat(65)), 400);
    assert_eq!(ask(format!("X: {}\r\n", "y".repeat(8 * 1024 - 20))), 200);
    assert_eq!(ask(format!("X: {}\r\n", "y".repeat(8 * 1024))), 400);
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row("9112 6.2", post!("Content-Length: 3"; "abc"), 200, 1),
    row("9112 6.3 no length is no body", post!(; ""), 200, 1),
    row("9112 6.2 zero", post!("Content-Length: 0"; ""), 200, 1),
    row("9110 8.6 zeros before", post!("Content-Length: 003"; "abc"), 200, 1),
    row("9110 8.6 equal ones are one", post!("Content-Length: 3", "Content-Length: 3"; "abc"), 200, 1),
    row("9112 6.3 different ones", post!("Content-Length: 3", "Content-Length: 4"; "abcd"), 400, 0),
    row("9110 8.6 a list", post!("Content-Length: 3, 4"; "abcd"), 400, 0),
    row("9110 8.6 a plus", post!("Content-Length: +3"; "abc"), 400, 0),
    row("9110 8.6 a minus", post!("Content-Length: -3"; "abc"), 400, 0),
    row("9110 8.6 hexadecimal", post!("Content-Length: 0x3"; "abc"), 400, 0),
    row("9110 8.6 a point", post!("Content-Length: 3.0"; "abc"), 400, 0),
    row("9110 8.6 a space within", post!("Content-Length: 1 3"; "abc"), 400, 0),
    row("9110 8.6 empty", post!("Content-Length:"; ""), 400, 0),
    row("9110 8.6 letters", post!("Content-Length: three"; "abc"), 400, 0),
    row("9110 8.6 beyond 64 bits", post!("Content-Length: 99999999999999999999"; ""), 400, 0),
    row("own: above max_body at once", post!("Content-Length: 1025"; ""), 413, 0),
    row("own: far above", post!("Content-Length: 9223372036854775807"; ""), 413, 0),
    row("9112 7.1", post!("Transfer-Encoding: chunked"; "3\r\nabc\r\n0\r\n\r\n"), 200, 1),
    row("9112 7 case does not count", post!("Transfer-Encoding: Chunked"; "3\r\nabc\r\n0\r\n\r\n"), 200, 1),
    row("9112 7.1 hexadecimal", post!("Transfer-Encoding: chunked"; "0A\r\n0123456789\r\n0\r\n\r\n"), 200, 1),
    row("9112 7.1 zeros before", post!("Transfer-Encoding: chunked"; "003\r\nabc\r\n000\r\n\r\n"), 200, 1),
    row("9112 7.1.1 an extension", post!("Transfer-Encoding: chunked"; "3;a=b\r\nabc\r\n0\r\n\r\n"), 200, 1),
    row("9112 7.1.2 trailers", post!("Transfer-Encoding: chunked"; "3\r\nabc\r\n0\r\nX: y\r\n\r\n"), 200, 1),
    row("9112 7.1 nothing", post!("Transfer-Encoding: chunked"; "0\r\n\r\n"), 200, 1),
    row("9112 6.1 gzip", post!("Transfer-Encoding: gzip"; "abc"), 400, 0),
    row("9112 6.1 gzip, chunked", post!("Transfer-Encoding: gzip, chunked"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 chunked, gzip", post!("Transfer-Encoding: chunked, gzip"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 twice", post!("Transfer-Encoding: chunked, chunked"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 in two lines", post!("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 identity", post!("Transfer-Encoding: identity"; ""), 400, 0),
    row("9112 6.1 identity in a second line", post!("Transfer-Encoding: chunked", "Transfer-Encoding: identity"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 almost", post!("Transfer-Encoding: xchunked"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 quoted", post!("Transfer-Encoding: \"chunked\""; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 a tab before", post!("Transfer-Encoding:\tchunked"; "3\r\nabc\r\n0\r\n\r\n"), 200, 1),
    row("9112 6.1 a vertical tab before", post!("Transfer-Encoding:\x0bchunked"; "0\r\n\r\n"), 400, 0),
    row("9112 6.1 empty", post!("Transfer-Encoding:"; ""), 400, 0),
    row("9112 6.1 HTTP/1.0", "POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, 0),
    row("9112 6.3 both: chunks count", post!("Content-Length: 3", "Transfer-Encoding: chunked"; "0\r\n\r\n"), 200, 1),
    row("9112 7.1 no size", post!("Transfer-Encoding: chunked"; "xyz\r\nabc\r\n0\r\n\r\n"), 400, 0),
    row("9112 7.1 a sign", post!("Transfer-Encoding: chunked"; "+3\r\nabc\r\n0\r\n\r\n"), 400, 0),
    row("9112 7.1 0x", post!("Transfer-Encoding: chunked"; "0x3\r\nabc\r\n0\r\n\r\n"), 400, 0),
    row("9112 7.1 beyond 64 bits", post!("Transfer-Encoding: chunked"; "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"), 400, 0),
    row("9112 7.1 longer than its size", post!("Transfer-Encoding: chunked"; "3\r\nabcd\r\n0\r\n\r\n"), 400, 0),
    row("own: an empty size is none", post!("Transfer-Encoding: chunked"; "\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), 400, 0),
    row("own: an empty size is none, even before an end", post!("Transfer-Encoding: chunked"; "3\r\nabc\r\n\r\n\r\n"), 400, 0),
    row("9112 7.1.2 two, and space around", post!("Transfer-Encoding: chunked"; "0\r\nX: \t y \r\nX:\r\n\r\n"), 200, 1),
    row("9112 7.1.2 what looks like them in a chunk", post!("Transfer-Encoding: chunked"; "c\r\n0\r\nX : y\r\n\r\n\r\n0\r\n\r\n"), 200, 1),
    row("9110 6.5.1 they frame nothing", post!("Transfer-Encoding: chunked"; "3\r\nabc\r\n0\r\nContent-Length: 30\r\nTransfer-Encoding: gzip\r\n\r\n"), 200, 1),
    row("9112 5.1 space before a trailer's colon", post!("Transfer-Encoding: chunked"; "0\r\nX : y\r\n\r\n"), 400, 0),
    row("9112 5 a trailer without a colon", post!("Transfer-Encoding: chunked"; "0\r\nX\r\n\r\n"), 400, 0),
    row("9112 5 a trailer without a name", post!("Transfer-Encoding: chunked"; "0\r\n: y\r\n\r\n"), 400, 0),
    row("9112 5.2 a trailer in two lines", post!("Transfer-Encoding: chunked"; "0\r\nX: y\r\n z\r\n\r\n"), 400, 0),
    row("9110 5.6.2 no token", post!("Transfer-Encoding: chunked"; "0\r\nX(: y\r\n\r\n"), 400, 0),
    row("9110 5.5 NUL in a trailer", post!("Transfer-Encoding: chunked"; "0\r\nX: y\0z\r\n\r\n"), 400, 0),
    row("9112 7.1.2 a request in their place", post!("Transfer-Encoding: chunked"; "0\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"), 400, 0),
    row("9112 2.2 LF alone ends no trailer", post!("Transfer-Encoding: chunked"; "0\r\nX: y\nZ: z\r\n\r\n"), 400, 0),
    row("9112 2.2 CR within a trailer", post!("Transfer-Encoding: chunked"; "0\r\nX: y\rz\r\n\r\n"), 400, 0),
    row("own: trailers without their end", post!("Transfer-Encoding: chunked"; "0\r\nX: y\r\n"), 408, 0),
    row("own: GET has none", "GET /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n", 200, 1),
    row("own: a body that does not come", post!("Content-Length: 9"; "abc"), 408, 0),
    row("own: chunks that do not come", post!("Transfer-Encoding: chunked"; "3\r\nab"), 408, 0),
    row("own: a chunk above max_body", post!("Transfer-Encoding: chunked"; "401\r\n"), 408, 0),
];
