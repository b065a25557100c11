//! Compressed answers, as clients get them over each protocol.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use crate::support::edge::{self, get, request, with_top};
use crate::support::origin::{Answer, Origin, Reply};

fn long() -> Reply {
    let text = "All work and no play makes a dull gateway.\n".repeat(1_000);
    Reply::new(200, text)
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("ETag", "\"v1\"")
}

fn gunzipped(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .unwrap();
    text
}

const ROUTES: &str = r#"  - { path: /*, upstream: origin, compress: [zstd, br, gzip] }
  - { path: /plain, upstream: origin }"#;

#[test]
fn a_route_that_asks_for_it_compresses_what_the_client_takes() {
    let (airside, origin) = edge::start(ROUTES);
    origin.on("/a", long()).on("/plain", long());
    let whole = String::from_utf8(long().body).unwrap();
    let mut raw = airside.raw();
    for _ in 0..3 {
        let answer = raw.exchange(request("GET", "/a", &[("Accept-Encoding", "gzip")]));
        assert_eq!(answer.header("content-encoding"), "gzip");
        assert_eq!(answer.header("vary"), "Accept-Encoding");
        assert_eq!(answer.header("etag"), "W/\"v1\"");
        assert_eq!(answer.head.header("content-length"), None);
        assert!(answer.body.len() < whole.len() / 20);
        assert_eq!(gunzipped(&answer.body), whole);
    }
    for (target, accept) in [("/a", "identity"), ("/a", "gzip;q=0"), ("/plain", "gzip")] {
        let answer = raw.exchange(request("GET", target, &[("Accept-Encoding", accept)]));
        assert_eq!(
            answer.head.header("content-encoding"),
            None,
            "{target} {accept}"
        );
        assert_eq!(answer.header("etag"), "\"v1\"");
        assert_eq!(answer.text(), whole);
    }
    let head = request("HEAD", "/a", &[("Accept-Encoding", "gzip")]);
    raw.send(head);
    assert_eq!(
        raw.try_read("HEAD")
            .unwrap()
            .head
            .header("content-encoding"),
        None
    );
    assert_eq!(raw.exchange(get("/a")).text(), whole);
}

#[test]
fn curl_reads_each_coding_over_each_protocol() {
    let origin = Origin::start();
    origin.on("/a", long());
    let top = r#"listeners: [{ address: "{gateway}", protocols: [http1, http2] }]"#;
    let airside = with_top(top, ROUTES).origin(&origin).start();
    for protocol in ["--http1.0", "--http1.1", "--http2-prior-knowledge"] {
        for coding in ["gzip", "br", "zstd"] {
            let accept = format!("Accept-Encoding: {coding}");
            let out = Command::new("curl")
                .args([
                    "-sS",
                    "--max-time",
                    "10",
                    "--compressed",
                    protocol,
                    "-H",
                    &accept,
                    "-D",
                    "-",
                ])
                .arg(airside.url("/a"))
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            assert!(
                text.to_lowercase()
                    .contains(&format!("content-encoding: {coding}")),
                "{protocol} {coding}: {text:.500}"
            );
            assert!(
                text.ends_with(std::str::from_utf8(&long().body).unwrap()),
                "{protocol} {coding}"
            );
        }
    }
}

#[test]
fn what_an_upstream_sends_piece_by_piece_arrives_piece_by_piece() {
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (airside, origin) = edge::start(ROUTES);
    let taker = move |mut stream: TcpStream, _: &_| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        for _ in 0..3 {
            stream.write_all(b"8\r\n{\"a\":1}\n\r\n").unwrap();
            wait.lock().unwrap().recv().unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    };
    origin.on("/a", Answer::Take(Arc::new(taker)));
    let mut raw = airside.raw();
    raw.send(request("GET", "/a", &[("Accept-Encoding", "gzip")]));
    assert_eq!(raw.read_head().header("content-encoding"), Some("gzip"));
    let mut coded = Vec::new();
    for round in 1..=3 {
        while decoded(&coded) < 8 * round {
            coded.extend(raw.read_chunk());
        }
        go.send(()).unwrap();
    }
}

/// How much of a stream that is not over can be read.
fn decoded(bytes: &[u8]) -> usize {
    let mut text = Vec::new();
    let _ = flate2::read::GzDecoder::new(bytes).read_to_end(&mut text);
    text.len()
}
