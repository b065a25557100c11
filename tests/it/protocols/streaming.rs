//! What is sent in pieces arrives in pieces: events, uploads, interim answers.

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Request;

use crate::support::edge::{get, with_top};
use crate::support::origin::{Answer, Origin, Reply};
use crate::support::server::Airside;

const ROUTES: &str = "  - { path: /*, upstream: origin, compress: [gzip] }";
const BOTH: &str = r#"listeners: [{ address: "{gateway}", protocols: [http1, http2] }]"#;

fn start() -> (Airside, Origin) {
    let origin = Origin::start();
    (with_top(BOTH, ROUTES).origin(&origin).start(), origin)
}

/// An upstream's stream of events at `/events`: one each time that the sender is used, none before.
fn events(origin: &Origin) -> Sender<String> {
    let (send, receive) = mpsc::channel::<String>();
    let receive = Mutex::new(receive);
    let taker = move |mut stream: TcpStream, _: &_| {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        while let Ok(event) = receive.lock().unwrap().recv() {
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            if stream.write_all(chunk.as_bytes()).is_err() {
                return;
            }
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    };
    origin.on("/events", Answer::Take(Arc::new(taker)));
    send
}

#[test]
fn each_event_arrives_when_it_is_sent() {
    let (airside, origin) = start();
    let send = events(&origin);
    let mut raw = airside.raw();
    raw.send("GET /events HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
    let head = raw.read_head();
    assert_eq!(head.header("content-encoding"), None);
    for round in 0..20 {
        let event = format!("data: {round}\n\n");
        send.send(event.clone()).unwrap();
        assert_eq!(raw.read_chunk(), event.as_bytes());
    }
    drop(send);
    assert_eq!(raw.read_chunk(), b"");
    assert_eq!(raw.exchange(get("/a")).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_arrives_when_it_is_sent_over_http2() {
    let (airside, origin) = start();
    let send = events(&origin);
    let stream = tokio::net::TcpStream::connect(airside.address())
        .await
        .unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://edge.test/events").body(()).unwrap();
    let (response, _) = client
        .ready()
        .await
        .unwrap()
        .send_request(request, true)
        .unwrap();
    let mut body = response.await.unwrap().into_body();
    for round in 0..20 {
        let event = format!("data: {round}\n\n");
        send.send(event.clone()).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), event.as_bytes());
    }
    drop(send);
    assert!(
        body.data()
            .await
            .is_none_or(|last| last.unwrap().is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_unknown_length_arrives_whole() {
    let (airside, origin) = start();
    let stream = tokio::net::TcpStream::connect(airside.address())
        .await
        .unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://edge.test/up").body(()).unwrap();
    let (response, mut body) = client
        .ready()
        .await
        .unwrap()
        .send_request(request, false)
        .unwrap();
    for round in 0..10 {
        body.send_data(Bytes::from(format!("piece {round},")), round == 9)
            .unwrap();
    }
    assert_eq!(response.await.unwrap().status(), 200);
    let seen = origin.last();
    assert!(seen.body.starts_with(b"piece 0,piece 1,") && seen.body.ends_with(b"piece 9,"));
}

#[test]
fn an_upstream_is_asked_whether_it_wants_the_body() {
    let (airside, origin) = start();
    let mut raw = airside.raw();
    let head = "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    raw.send(head);
    assert!(raw.read_head().line.contains(" 100 "));
    raw.send("hello");
    assert_eq!(raw.read().status, 200);
    assert_eq!(origin.last().body, b"hello");
    assert_eq!(origin.last().header("expect"), Some("100-continue"));
    // An answer of the gateway's own comes without the body being asked for.
    let mut raw = airside.raw();
    raw.send(head.replace("/a", "/%00"));
    assert!(raw.read_head().line.contains(" 400 "));
}

#[test]
fn a_long_download_is_not_kept_back() {
    let (airside, origin) = start();
    let body: Vec<u8> = (0..20_000_000u32)
        .map(|index| (index * 7 + index / 251) as u8)
        .collect();
    origin.on("/long", Reply::new(200, body.clone()));
    let mut raw = airside.raw();
    assert!(raw.exchange(get("/long")).body == body);
    // A client that takes nothing for a while gets all of it all the same.
    raw.send(get("/long"));
    let head = raw.read_head();
    assert_eq!(head.header("content-length"), Some("20000000"));
    assert!(raw.read_bytes(body.len()) == body);
}
