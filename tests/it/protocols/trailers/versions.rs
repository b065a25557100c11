//! Trailers where HTTP/2 is spoken, on one side or on both.

use bytes::Bytes;
use http::{HeaderMap, Request};

use super::{NAMES, answer, upload};
use crate::support::edge::{get, with_top};
use crate::support::grpc::Service;
use crate::support::origin::Origin;
use crate::support::secure::{Manner, SecureOrigin};
use crate::support::server::Airside;

const ROUTES: &str = "  - { path: /one/*, upstream: one, rewrite: \"/{rest}\" }\n  - { path: /two/*, upstream: two, rewrite: \"/{rest}\" }\n  - { path: /t.Echo/*, upstream: grpc }";

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

#[tokio::test(flavor = "multi_thread")]
async fn to_http2_an_answers_trailers_in_chunks_are_not_passed_on() {
    let (one, two) = (Origin::start(), SecureOrigin::start(&Manner::default()));
    let service = Service::start();
    let airside = start(&one, &two, &service);
    one.on("/t", answer());
    let mut send = connect(&airside).await;
    for _ in 0..20 {
        send = send.ready().await.unwrap();
        let request = asked("GET", "/one/t")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (response, _) = send.send_request(request, true).unwrap();
        let response = response.await.unwrap();
        for name in ["x-sum", "x-auth-user", "set-cookie", "trailer"] {
            assert!(!response.headers().contains_key(name), "{response:?}");
        }
        let (body, trailers) = read(response.into_body()).await;
        assert_eq!((body.as_slice(), trailers), (&b"abc"[..], None));
    }
    // Kept connections are used again; one may be needed before another is back.
    assert!(one.connections() < 10, "{}", one.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requests_trailers_that_come_or_go_by_http2_are_dropped() {
    let (one, two) = (Origin::start(), SecureOrigin::start(&Manner::default()));
    let service = Service::start();
    let airside = start(&one, &two, &service);
    let mut raw = airside.raw();
    let check_one = |one: &Origin| {
        let seen = one.last();
        assert_eq!(
            (seen.body.as_slice(), seen.trailers.len()),
            (&b"abc"[..], 0)
        );
        let head = String::from_utf8_lossy(&seen.head.raw).to_lowercase();
        assert!(!NAMES.iter().any(|name| head.contains(name)), "{head}");
    };
    let check_two = |two: &SecureOrigin| {
        let seen = two.last();
        assert_eq!((&seen["body"], &seen["length"]), (&"abc".into(), &3.into()));
        assert_eq!(seen["trailers"], serde_json::json!({}));
        let headers = seen["headers"].to_string();
        assert!(
            !headers.contains("trailer") && !NAMES.iter().any(|name| headers.contains(name)),
            "{seen}"
        );
    };
    for _ in 0..20 {
        assert_eq!(raw.exchange(upload("/two/u")).status, 200);
        check_two(&two);
        assert_eq!(raw.exchange(get("/one/next")).json()["target"], "/next");
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
    assert!(one.connections() < 10, "{}", one.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answers_trailers_in_http2_reach_http2_and_a_client_of_http1_that_takes_them() {
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

    let mut raw = airside.raw();
    for takes in [false, true, false, true] {
        let te = if takes { "TE: trailers\r\n" } else { "" };
        let head = format!(
            "POST /t.Echo/Unary HTTP/1.1\r\nHost: edge.test\r\n{te}Content-Type: application/grpc\r\nContent-Length: 8\r\n\r\n"
        );
        let answer = raw.exchange([head.as_bytes(), &framed].concat());
        assert_eq!(
            (answer.head.header("grpc-status"), &answer.body),
            (None, &framed)
        );
        let status = answer.trailers.iter().any(|line| line == "grpc-status: 0");
        assert_eq!(status, takes, "{:?}", answer.trailers);
    }
}
