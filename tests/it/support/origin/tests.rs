//! The upstream and the raw client, tried on each other.

use std::time::Instant;

use super::super::raw::{Raw, once};
use super::*;

const GET: &str = "GET /a%2Fb?q=1 HTTP/1.1\r\nHost: x\r\nX-Odd:  Case \r\n\r\n";

#[test]
fn a_request_is_kept_as_it_came_and_echoed() {
    let origin = Origin::start();
    let mut client = Raw::connect(origin.address());
    let answer = client.exchange(GET);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["target"], "/a%2Fb?q=1");
    assert_eq!(answer.json()["headers"]["x-odd"], "Case");
    let post = "POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    assert_eq!(client.exchange(post).json()["body"], "hi");

    assert_eq!(origin.count(), 2);
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests()[0].head.raw, GET.as_bytes());
    assert_eq!(origin.last().body, b"hi");
    assert_eq!(origin.last().connection, 0);
}

#[test]
fn a_path_answers_as_told() {
    let origin = Origin::start();
    let delay = Duration::from_millis(30);
    let reply = Reply::new(503, "busy")
        .header("Retry-After", "1")
        .after(delay);
    origin.on("/busy", reply.then_close());
    origin.on("/none", Reply::new(204, ""));
    origin.on(
        "/cut",
        Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".into()),
    );
    origin.on("/gone", Answer::Close);

    let begun = Instant::now();
    let mut client = Raw::connect(origin.address());
    let answer = client.exchange("GET /busy?x HTTP/1.1\r\n\r\n");
    assert!(begun.elapsed() >= delay);
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(answer.text(), "busy");
    assert!(client.closes());

    let mut client = Raw::connect(origin.address());
    assert_eq!(client.exchange("GET /none HTTP/1.1\r\n\r\n").status, 204);
    client.send("HEAD /head HTTP/1.1\r\n\r\n");
    assert_eq!(client.try_read("HEAD").unwrap().body, b"");
    client.send("GET /cut HTTP/1.1\r\n\r\n");
    assert!(client.try_read("GET").is_err());
    let mut client = Raw::connect(origin.address());
    client.send("GET /gone HTTP/1.1\r\n\r\n");
    assert!(client.closes());
}

#[test]
fn a_connection_can_be_taken_over() {
    let origin = Origin::start();
    let taker = |mut stream: TcpStream, request: &Request| {
        assert_eq!(request.header("upgrade"), Some("shout"));
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\nHELLO");
    };
    origin.on("/up", Answer::Take(Arc::new(taker)));
    let mut client = Raw::connect(origin.address());
    let answer = client.exchange("GET /up HTTP/1.1\r\nUpgrade: shout\r\n\r\n");
    assert_eq!(answer.status, 101);
    assert_eq!(client.read_bytes(5), b"HELLO");
}

#[test]
fn a_stopped_upstream_refuses_and_its_address_can_be_used_again() {
    let origin = Origin::start();
    let address = origin.address();
    let mut client = Raw::connect(address);
    client.exchange(GET);
    origin.close_connections();
    assert!(client.closes());
    drop(origin);
    assert!(TcpStream::connect(address).is_err());
    let origin = Origin::start_at(address);
    assert_eq!(once(address, GET).status, 200);
    origin.wait_for_requests(1);
}
