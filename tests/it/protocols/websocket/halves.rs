//! Each half of a tunnel ends on its own, over TLS too: who has finished is heard to the last byte, and goes on
//! listening.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use super::{SWITCH, start, start_secure};
use crate::support::origin::{Answer, Origin};
use crate::support::server::Airside;
use crate::support::tls::{Authority, Leaf, Secure};
use crate::support::wait::PATIENCE;
use crate::support::websocket::handshake;

/// A server that listens to the client's end, and says its last words only then; what it heard is told.
fn listener(origin: &Origin) -> Receiver<Vec<u8>> {
    let (told, heard) = channel();
    let taker = move |mut stream: TcpStream, _: &_| {
        stream.write_all(SWITCH).unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).unwrap();
        let _ = told.send(read);
        // Only now, when nothing more can come.
        let _ = stream.write_all(b"last words");
    };
    origin.on("/ws", Answer::Take(Arc::new(taker)));
    heard
}

/// A server that says its last words first, and then listens to the client's end; what it heard is told.
fn talker(origin: &Origin) -> Receiver<Vec<u8>> {
    let (told, heard) = channel();
    let taker = move |mut stream: TcpStream, _: &_| {
        stream.write_all(&[SWITCH, b"last "].concat()).unwrap();
        stream.write_all(b"words").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).unwrap();
        let _ = told.send(read);
    };
    origin.on("/ws", Answer::Take(Arc::new(taker)));
    heard
}

fn authority() -> (Authority, Leaf) {
    let authority = Authority::new("ca");
    let leaf = authority.sign(&["one.test", "127.0.0.1"]);
    (authority, leaf)
}

fn plain(origin: &Origin) -> String {
    format!("servers: [\"{}\"]", origin.address())
}

/// A WebSocket over TLS, just opened.
fn tunnel(authority: &Authority, gateway: &Airside) -> Secure {
    let hello = authority.hello("one.test");
    let mut secure = hello.connect(gateway.address()).unwrap();
    secure.send(handshake("/ws", "").replace("edge.test", "one.test"));
    assert!(secure.read_head().line.contains(" 101 "));
    secure
}

fn behind_tls(inner: &Airside) -> String {
    let address = inner.address();
    format!("servers: [\"{address}\"], tls: {{ server_name: one.test, ca: ca.pem }}")
}

#[test]
fn a_client_that_closes_its_half_hears_its_server_whether_tls_lies_on_neither_side_on_one_or_on_both()
 {
    let (authority, leaf) = authority();
    let origin = Origin::start();
    let heard = listener(&origin);
    let inner = start_secure(&authority, &leaf, &plain(&origin));
    let outer = start_secure(&authority, &leaf, &behind_tls(&inner));
    for gateway in [&inner, &outer] {
        for _ in 0..10 {
            let mut secure = tunnel(&authority, gateway);
            secure.send("hello");
            secure.finish_sending();
            let mut words = [0; 10];
            secure.read_exact(&mut words);
            assert_eq!(&words, b"last words");
            assert!(secure.ends());
            assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"hello");
        }
    }
}

#[test]
fn a_server_that_closes_its_half_hears_its_client() {
    let origin = Origin::start();
    let heard = talker(&origin);
    let airside = start(origin.address());
    for round in 0..20 {
        let mut raw = airside.raw();
        raw.send(handshake("/ws", ""));
        assert!(raw.read_head().line.contains(" 101 "));
        assert_eq!(raw.read_bytes(10), b"last words", "{round}");
        assert!(raw.closes(), "the client is told");
        raw.send("so ");
        raw.send("long");
        raw.finish_sending();
        assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"so long", "{round}");
    }
    airside.wait_for_access_log(20);
}

#[test]
fn a_server_that_closes_its_half_hears_its_client_over_tls_too() {
    let (authority, leaf) = authority();
    let origin = Origin::start();
    let heard = talker(&origin);
    let inner = start_secure(&authority, &leaf, &plain(&origin));
    let outer = start_secure(&authority, &leaf, &behind_tls(&inner));
    for gateway in [&inner, &outer] {
        for _ in 0..10 {
            let mut secure = tunnel(&authority, gateway);
            let mut words = [0; 10];
            secure.read_exact(&mut words);
            assert_eq!(&words, b"last words");
            assert!(secure.ends(), "the client is told");
            secure.send("so long");
            secure.finish_sending();
            assert_eq!(heard.recv_timeout(PATIENCE).unwrap(), b"so long");
        }
    }
}
