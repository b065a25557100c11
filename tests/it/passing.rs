//! Bodies and answers pass as they are, whatever frames them.

use crate::support::edge::{self, get, request};
use crate::support::origin::{Answer, Reply};

const ROUTE: &str = "  - { path: /*, upstream: origin }";

/// Every byte value, again and again, so that nothing can hide in a text's encoding.
fn bytes(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| (index * 31 + index / 256) as u8)
        .collect()
}

#[test]
fn request_bodies_arrive_byte_for_byte_by_length_and_in_chunks() {
    let (airside, origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    for length in [0, 1, 1000, 65_536, 1_000_000] {
        let body = bytes(length);
        let head = format!("PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n");
        assert_eq!(raw.exchange([head.as_bytes(), &body].concat()).status, 200);
        assert!(origin.last().body == body, "{length} bytes by length");
        assert_eq!(
            origin.last().header("content-length"),
            Some(length.to_string().as_str())
        );

        let mut sent =
            b"PATCH /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(40_000) {
            sent.extend_from_slice(format!("{:X};ext=1\r\n", chunk.len()).as_bytes());
            sent.extend_from_slice(chunk);
            sent.extend_from_slice(b"\r\n");
        }
        sent.extend_from_slice(b"0\r\n\r\n");
        assert_eq!(raw.exchange(sent).status, 200);
        assert!(origin.last().body == body, "{length} bytes in chunks");
        assert_eq!(origin.last().head.header("content-length"), None);
        assert_eq!(origin.last().method, "PATCH");
    }
}

#[test]
fn an_answer_arrives_with_its_status_headers_and_body() {
    let (airside, origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    for status in [200, 201, 206, 301, 400, 404, 418, 500, 503, 599] {
        let reply = Reply::new(status, bytes(5_000))
            .header("Set-Cookie", "a=1")
            .header("set-cookie", "b=2");
        origin.on(
            "/a",
            reply.header("X-Odd", "\u{e9} ,;\"").header("Server", "own"),
        );
        let answer = raw.exchange(get("/a"));
        assert_eq!(answer.status, status);
        assert!(answer.body == bytes(5_000));
        assert_eq!(
            answer.head.all("set-cookie").collect::<Vec<_>>(),
            ["a=1", "b=2"]
        );
        assert_eq!(answer.header("x-odd"), "\u{e9} ,;\"");
        assert_eq!(
            (answer.header("server"), answer.header("content-length")),
            ("own", "5000")
        );
    }
}

#[test]
fn an_answer_in_chunks_arrives_whole_and_the_connection_goes_on() {
    let (airside, origin) = edge::start(ROUTE);
    let sent = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n";
    origin.on("/a", Answer::Bytes(sent.to_vec()));
    let mut raw = airside.raw();
    for _ in 0..3 {
        let answer = raw.exchange(get("/a"));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "abc0123456789")
        );
        assert_eq!(answer.header("transfer-encoding"), "chunked");
        assert_eq!(answer.head.header("content-length"), None);
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let (airside, origin) = edge::start(ROUTE);
    for version in ["1.0", "1.1"] {
        let head = format!("HTTP/{version} 200 Fine\r\nX-A: b\r\n\r\n");
        origin.on(
            "/a",
            Answer::Bytes([head.as_bytes(), &bytes(100_000)].concat()),
        );
        let answer = airside.raw().exchange(get("/a"));
        assert_eq!(
            (answer.status, answer.header("x-a")),
            (200, "b"),
            "{version}"
        );
        assert!(
            answer.head.line.starts_with("HTTP/1.1 200"),
            "{}",
            answer.head.line
        );
        assert!(answer.body == bytes(100_000), "{version}");
    }
    origin.on(
        "/b",
        Answer::Bytes(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec()),
    );
    let mut raw = airside.raw();
    assert_eq!(raw.exchange(get("/b")).text(), "hi");
    assert_eq!(raw.exchange(get("/b")).text(), "hi");
}

#[test]
fn answers_without_a_body_keep_the_connection() {
    let (airside, origin) = edge::start(ROUTE);
    origin.on("/204", Reply::new(204, ""));
    origin.on(
        "/304",
        Answer::Bytes(
            b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 7\r\n\r\n".to_vec(),
        ),
    );
    origin.on("/head", Reply::new(200, "seven b").header("X-A", "b"));
    origin.on("/empty", Reply::new(200, ""));
    let mut raw = airside.raw();
    for _ in 0..3 {
        let answer = raw.exchange(get("/204"));
        assert_eq!(
            (answer.status, answer.head.header("content-length")),
            (204, None)
        );
        let answer = raw.exchange(get("/304"));
        assert_eq!((answer.status, answer.header("etag")), (304, "\"x\""));
        raw.send(request("HEAD", "/head", &[]));
        let answer = raw.try_read("HEAD").unwrap();
        assert_eq!(
            (
                answer.status,
                answer.header("content-length"),
                answer.header("x-a")
            ),
            (200, "7", "b")
        );
        assert_eq!(raw.exchange(get("/empty")).text(), "");
    }
}

#[test]
fn interim_answers_pass_and_the_final_one_follows() {
    let (airside, origin) = edge::start(ROUTE);
    let sent = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
    origin.on("/a", Answer::Bytes(sent.to_vec()));
    let mut raw = airside.raw();
    raw.send(get("/a"));
    let early = raw.read_head();
    assert!(early.line.starts_with("HTTP/1.1 103"), "{}", early.line);
    assert_eq!(early.header("link"), Some("</a.css>"));
    assert_eq!(raw.read().text(), "hi");
}

#[test]
fn hop_by_hop_headers_of_the_upstream_stay_behind() {
    let (airside, origin) = edge::start(ROUTE);
    let reply = Reply::new(200, "hi")
        .header("Connection", "X-Hop, close")
        .header("X-Hop", "a");
    origin.on(
        "/a",
        reply
            .header("Keep-Alive", "timeout=1")
            .header("X-End", "b")
            .then_close(),
    );
    let mut raw = airside.raw();
    for _ in 0..2 {
        let answer = raw.exchange(get("/a"));
        assert_eq!(
            (
                answer.status,
                answer.text().as_str(),
                answer.header("x-end")
            ),
            (200, "hi", "b")
        );
        assert_eq!(
            answer.head.all("connection").collect::<Vec<_>>(),
            ["keep-alive"]
        );
        for name in ["x-hop", "keep-alive"] {
            assert_eq!(answer.head.header(name), None, "{name}");
        }
    }
}
