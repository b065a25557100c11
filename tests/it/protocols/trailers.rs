//! Trailers: what comes behind a body in HTTP/1.1 is dropped, wherever it comes from and goes to. It never becomes a
//! header, and what follows it on its connection is read rightly. HTTP/2 passes an answer's on.

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};

use crate::support::edge::{get, with_top};
use crate::support::grpc::Service;
use crate::support::origin::{Answer, Origin};
use crate::support::secure::{Manner, SecureOrigin};
use crate::support::server::Airside;

const ROUTES: &str = "  - { path: /one/*, upstream: one, rewrite: \"/{rest}\" }\n  - { path: /two/*, upstream: two, rewrite: \"/{rest}\" }\n  - { path: /t.Echo/*, upstream: grpc }";

/// What would do harm if it were taken for a header, and what would not.
const TRAILERS: &str = "X-Sum: 1\r\nX-Auth-User: root\r\nContent-Length: 7\r\nHost: evil.test\r\nSet-Cookie: a=b\r\nTransfer-Encoding: chunked\r\n";
const NAMES: [&str; 4] = ["x-sum", "x-auth-user", "set-cookie", "evil.test"];

/// A gateway before a server of HTTP/1.1, one of HTTP/2, and one of gRPC.
fn start(one: &Origin, two: &SecureOrigin, grpc: &Service) -> Airside {
    let top = r#"listeners: [{ address: "{gateway}", protocols: [http1, http2] }]
upstreams:
  one: { servers: ["{one}"] }
  two: { servers: ["{two}"], protocol: http2 }
  grpc: { servers: ["{grpc}"], protocol: grpc }"#;
    let set_up = with_top(top, ROUTES).set("one", one.address());
    set_up
        .set("two", two.address())
        .set("grpc", grpc.address())
        .start()
}

/// An answer with trailers, after which the connection goes on. It comes byte by byte: no part of it at once.
fn answer() -> Answer {
    let head = "HTTP/1.1 200 OK\r\nTrailer: X-Told\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = format!("{head}3\r\nabc\r\n0\r\n{TRAILERS}\r\n");
    Answer::Dribble(bytes.into_bytes(), Duration::ZERO)
}

fn upload(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: edge.test\r\nTransfer-Encoding: chunked\r\nTrailer: X-Told\r\n\r\n3\r\nabc\r\n0\r\n{TRAILERS}\r\n"
    )
}

async fn connect(airside: &Airside) -> h2::client::SendRequest<Bytes> {
    let stream = tokio::net::TcpStream::connect(airside.address()).await;
    let shaken = h2::client::handshake(stream.unwrap()).await;
    let (send, connection) = shaken.unwrap();
    tokio::spawn(connection);
    send
}

fn asked(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(format!("http://edge.test{path}"))
}

/// Body and trailers.
async fn read(mut body: h2::RecvStream) -> (Vec<u8>, Option<HeaderMap>) {
    let mut whole = Vec::new();
    while let Some(piece) = body.data().await {
        whole.extend_from_slice(&piece.unwrap());
    }
    (whole, body.trailers().await.unwrap())
}

#[test]
fn an_answers_trailers_in_chunks_go_nowhere_and_the_connections_go_on() {
    let (one, two) = (Origin::start(), SecureOrigin::start(&Manner::default()));
    let service = Service::start();
    let airside = start(&one, &two, &service);
    one.on("/t", answer());
    let mut raw = airside.raw();
    for round in 0..5 {
        raw.send(get("/one/t"));
        let head = raw.read_head();
        let head = String::from_utf8_lossy(&head.raw).to_lowercase();
        assert!(!NAMES.iter().any(|name| head.contains(name)), "{head}");
        // To the last byte: the body, its end, and nothing in between.
        assert_eq!(raw.read_bytes(13), b"3\r\nabc\r\n0\r\n\r\n", "{round}");
        assert_eq!(raw.exchange(get("/one/next")).json()["target"], "/next");
    }
    assert_eq!(one.connections(), 1, "the server's connection is sound too");
    // HTTP/1.0 gets the body to the connection's end.
    let mut old = airside.raw();
    old.send("GET /one/t HTTP/1.0\r\nHost: edge.test\r\n\r\n");
    let mut whole = String::new();
    old.reader().read_to_string(&mut whole).unwrap();
    let (head, body) = whole.split_once("\r\n\r\n").unwrap();
    assert!(
        body == "abc" && !head.to_lowercase().contains("x-sum"),
        "{whole}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn to_http2_an_answers_trailers_in_chunks_are_not_passed_on_either() {
    let (one, two) = (Origin::start(), SecureOrigin::start(&Manner::default()));
    let service = Service::start();
    let airside = start(&one, &two, &service);
    one.on("/t", answer());
    let mut send = connect(&airside).await;
    for _ in 0..5 {
        send = send.ready().await.unwrap();
        let request = asked("GET", "/one/t").body(()).unwrap();
        let (response, _) = send.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        for name in &NAMES[..3] {
            assert!(!response.headers().contains_key(*name), "{response:?}");
        }
        let (body, trailers) = read(response.into_body()).await;
        assert_eq!((body.as_slice(), trailers), (&b"abc"[..], None));
    }
    // Kept connections are used again; one may be needed before another is back.
    assert!(one.connections() < 4, "{}", one.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_trailers_reach_no_server() {
    let (one, two) = (Origin::start(), SecureOrigin::start(&Manner::default()));
    let service = Service::start();
    let airside = start(&one, &two, &service);
    let mut raw = airside.raw();
    let check_one = |one: &Origin| {
        let seen = one.last();
        assert_eq!(seen.body, b"abc");
        let head = String::from_utf8_lossy(&seen.head.raw).to_lowercase();
        assert!(!NAMES.iter().any(|name| head.contains(name)), "{head}");
    };
    let check_two = |two: &SecureOrigin| {
        let seen = two.last();
        assert_eq!((&seen["body"], &seen["length"]), (&"abc".into(), &3.into()));
        assert_eq!(seen["trailers"], serde_json::json!({}));
        let headers = seen["headers"].to_string();
        assert!(!NAMES.iter().any(|name| headers.contains(name)), "{seen}");
    };
    for _ in 0..5 {
        assert_eq!(raw.exchange(upload("/one/u")).status, 200);
        check_one(&one);
        assert_eq!(raw.exchange(get("/one/next")).json()["target"], "/next");
        assert_eq!(raw.exchange(upload("/two/u")).status, 200);
        check_two(&two);
    }
    let mut send = connect(&airside).await;
    for path in ["/one/u", "/two/u", "/one/u", "/two/u"] {
        send = send.ready().await.unwrap();
        let request = asked("POST", path).body(()).unwrap();
        let (response, mut stream) = send.send_request(request, false).unwrap();
        stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "1".parse().unwrap());
        trailers.insert("x-auth-user", "root".parse().unwrap());
        stream.send_trailers(trailers).unwrap();
        assert_eq!(response.await.unwrap().status(), 200, "{path}");
        match path {
            "/one/u" => check_one(&one),
            _ => check_two(&two),
        }
    }
    // Kept connections are used again; one may be needed before another is back.
    assert!(one.connections() < 4, "{}", one.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_trailers_in_http2_reach_http2_and_end_a_body_in_http1() {
    let (one, two) = (Origin::start(), SecureOrigin::start(&Manner::default()));
    let service = Service::start();
    let airside = start(&one, &two, &service);
    let framed = [&[0, 0, 0, 0, 3][..], b"abc"].concat();
    let mut send = connect(&airside).await.ready().await.unwrap();
    let request = asked("POST", "/t.Echo/Unary").header("content-type", "application/grpc");
    let request = request.header("te", "trailers").body(()).unwrap();
    let (response, mut stream) = send.send_request(request, false).unwrap();
    stream.send_data(Bytes::from(framed.clone()), true).unwrap();
    let (body, trailers) = read(response.await.unwrap().into_body()).await;
    assert_eq!(body, framed);
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");

    let head = "POST /t.Echo/Unary HTTP/1.1\r\nHost: edge.test\r\nContent-Type: application/grpc\r\nContent-Length: 8\r\n\r\n";
    let mut raw = airside.raw();
    for _ in 0..3 {
        raw.send([head.as_bytes(), &framed].concat());
        let head = raw.read_head();
        assert_eq!(head.header("grpc-status"), None);
        let body = head.read_body(raw.reader(), true).unwrap();
        assert_eq!(body, framed);
    }
}
