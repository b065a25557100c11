//! WebSockets: who gets one, and that a tunnel changes nothing of what is said in it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use crate::support::edge::{assert_refused, get, with_top};
use crate::support::origin::{Answer, Origin, Reply};
use crate::support::port;
use crate::support::server::Airside;
use crate::support::websocket::{Echo, Frame, converse, handshake};

mod conformance;
mod halves;

const ROUTES: &str = r#"  - { path: /*, upstream: origin }
  - { path: /own, upstream: origin, limits: [{ rate: 2/1h }], request_headers: { set: { X-Own: "1" } } }
  - { path: /never, upstream: origin, auth: required }"#;

pub(super) fn start(upstream: std::net::SocketAddr) -> Airside {
    let top = "identity: { listen: \"{identity}\", store: \"sqlite:airside.db\", keys: keys, issuer: https://a.test, audience: a, roles: [admin, customer] }";
    with_top(top, ROUTES).set("origin", upstream).start()
}

pub(super) const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A server that says `101` before it has read a byte, then echoes bytes after `skip`ping the request.
fn hasty() -> std::net::SocketAddr {
    let listener = TcpListener::bind(port::free()).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                stream.write_all(SWITCH).unwrap();
                let (mut read, mut byte) = (Vec::new(), [0]);
                while !read.ends_with(b"\r\n\r\n") {
                    match stream.read(&mut byte) {
                        Ok(1) => read.push(byte[0]),
                        _ => return,
                    }
                }
                let mut back = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut back);
            });
        }
    });
    address
}

#[test]
fn a_server_that_switches_at_once_keeps_its_tunnel_a_thousand_times() {
    let airside = start(hasty());
    let address = airside.address();
    let clients: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                for round in 0..125 {
                    let mut raw = crate::support::raw::Raw::connect(address);
                    raw.send(handshake("/ws", ""));
                    let head = raw.read_head();
                    assert!(head.line.contains(" 101 "), "{round}: {}", head.line);
                    for word in ["one", "two"] {
                        raw.send(word);
                        assert_eq!(raw.read_bytes(3), word.as_bytes(), "{round}");
                    }
                }
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
}

#[test]
fn a_thousand_tunnels_of_such_a_server_live_at_once() {
    let airside = start(hasty());
    let mut all = Vec::new();
    // In groups: the queue of those that wait to be accepted has an end.
    for _ in 0..10 {
        let mut group: Vec<_> = (0..100).map(|_| airside.raw()).collect();
        group
            .iter_mut()
            .for_each(|raw| raw.send(handshake("/ws", "")));
        all.extend(group);
    }
    for (number, raw) in all.iter_mut().enumerate() {
        let head = raw.read_head();
        assert!(head.line.contains(" 101 "), "{number}: {}", head.line);
    }
    for word in ["one", "two"] {
        all.iter_mut().for_each(|raw| raw.send(word));
        for (number, raw) in all.iter_mut().enumerate() {
            assert_eq!(raw.read_bytes(3), word.as_bytes(), "{number}");
        }
    }
}

#[test]
fn the_handshake_passes_the_pipeline_and_reaches_the_server_whole() {
    let origin = Origin::start();
    let taker = |mut stream: TcpStream, _: &_| stream.write_all(SWITCH).unwrap();
    origin.on("/own", Answer::Take(Arc::new(taker)));
    let airside = start(origin.address());
    let mut raw = airside.raw();
    raw.send(handshake(
        "/own",
        "Sec-WebSocket-Protocol: chat\r\nX-Auth-User: root\r\n",
    ));
    let head = raw.read_head();
    assert!(head.line.contains(" 101 "), "{}", head.line);
    assert_eq!(
        head.header("connection").map(str::to_lowercase).as_deref(),
        Some("upgrade")
    );
    assert_eq!(head.header("upgrade"), Some("websocket"));
    assert_eq!(
        head.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    let seen = origin.last();
    assert_eq!(
        seen.header("sec-websocket-key"),
        Some("dGhlIHNhbXBsZSBub25jZQ==")
    );
    assert_eq!(seen.header("sec-websocket-version"), Some("13"));
    assert_eq!(seen.header("sec-websocket-protocol"), Some("chat"));
    assert_eq!(seen.header("upgrade"), Some("websocket"));
    assert_eq!(seen.header("x-own"), Some("1"));
    assert_eq!(seen.header("x-auth-user"), None);
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));

    let mut second = airside.raw();
    second.send(handshake("/own", ""));
    assert!(second.read_head().line.contains(" 101 "));
    let third = airside.raw().exchange(handshake("/own", ""));
    assert_refused(&third, 429, "rate_limited");
    let stranger = airside.raw().exchange(handshake("/never", ""));
    assert_refused(&stranger, 401, "unauthenticated");
    assert_eq!(origin.count(), 2);
}

#[test]
fn what_is_no_whole_handshake_is_an_ordinary_request() {
    let origin = Origin::start();
    let airside = start(origin.address());
    let whole = handshake("/ws", "");
    for (what, request) in [
        ("no key", whole.replace("Sec-WebSocket-Key", "X-Key")),
        (
            "no connection",
            whole.replace("Connection: Upgrade", "Connection: keep-alive"),
        ),
        (
            "another protocol",
            whole.replace("Upgrade: websocket", "Upgrade: h2c"),
        ),
        ("another method", whole.replace("GET", "DELETE")),
    ] {
        let answer = airside.raw().exchange(&request);
        assert_eq!(answer.status, 200, "{what}");
        assert_eq!(origin.last().header("upgrade"), None, "{what}");
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    let origin = Origin::start();
    origin.on("/a", Answer::Bytes(SWITCH.to_vec()));
    let airside = start(origin.address());
    assert_refused(
        &airside.raw().exchange(get("/a")),
        502,
        "upstream_unreachable",
    );
    let half = handshake("/a", "").replace("Sec-WebSocket-Key", "X-Key");
    assert_refused(&airside.raw().exchange(half), 502, "upstream_unreachable");
}

#[test]
fn a_server_that_declines_answers_and_the_connection_goes_on() {
    let origin = Origin::start();
    origin.on("/ws", Reply::new(403, "no").header("X-Why", "because"));
    let airside = start(origin.address());
    let mut raw = airside.raw();
    for _ in 0..3 {
        let answer = raw.exchange(handshake("/ws", ""));
        assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
        assert_eq!(answer.header("x-why"), "because");
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
}

#[test]
fn a_server_that_is_not_there_is_a_502() {
    let airside = start(port::free());
    assert_refused(
        &airside.raw().exchange(handshake("/ws", "")),
        502,
        "upstream_unreachable",
    );
}

#[test]
fn the_end_of_either_side_is_told_to_the_other() {
    let (told, ended) = std::sync::mpsc::channel();
    let origin = Origin::start();
    let taker = move |mut stream: TcpStream, _: &_| {
        stream.write_all(SWITCH).unwrap();
        let read = stream.read(&mut [0]);
        told.send(read.unwrap_or(0)).unwrap();
    };
    origin.on("/client", Answer::Take(Arc::new(taker)));
    let leaver = |mut stream: TcpStream, _: &_| {
        stream.write_all(SWITCH).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    };
    origin.on("/server", Answer::Take(Arc::new(leaver)));
    let airside = start(origin.address());
    let mut raw = airside.raw();
    raw.send(handshake("/client", ""));
    raw.read_head();
    drop(raw);
    let patience = crate::support::wait::PATIENCE;
    assert_eq!(ended.recv_timeout(patience), Ok(0));
    let mut raw = airside.raw();
    raw.send(handshake("/server", ""));
    raw.read_head();
    assert!(raw.closes());
    drop(raw);
    airside.wait_for_access_log(2);
}

#[test]
fn frames_that_come_with_the_switch_arrive() {
    let origin = Origin::start();
    let taker = |mut stream: TcpStream, _: &_| {
        stream.write_all(&[SWITCH, b"\x81\x02hi"].concat()).unwrap();
        let _ = stream.read(&mut [0]);
    };
    origin.on("/ws", Answer::Take(Arc::new(taker)));
    let airside = start(origin.address());
    let mut raw = airside.raw();
    raw.send(handshake("/ws", ""));
    raw.read_head();
    assert_eq!(raw.try_read_frame().unwrap(), Some((0x81, b"hi".to_vec())));
}

#[test]
fn a_tunnel_goes_over_tls_on_both_sides() {
    use crate::support::tls::Authority;
    let authority = Authority::new("ca");
    let leaf = authority.sign(&["one.test", "127.0.0.1"]);
    let behind = Echo::start();
    let inner = start_secure(
        &authority,
        &leaf,
        &format!("servers: [\"{}\"]", behind.address()),
    );
    let keys = format!(
        "servers: [\"{}\"], protocol: http2, tls: {{ server_name: one.test, ca: ca.pem }}",
        inner.address()
    );
    let outer = start_secure(&authority, &leaf, &keys);
    for _ in 0..50 {
        let mut secure = authority
            .hello("one.test")
            .connect(outer.address())
            .unwrap();
        let shaken = handshake("/ws", "").replace("edge.test", "one.test");
        secure.send(shaken);
        assert!(secure.read_head().line.contains(" 101 "));
        secure.send(Frame::text("hello").bytes());
        let mut echoed = [0; 7];
        secure.read_exact(&mut echoed);
        assert_eq!(&echoed, b"\x81\x05hello");
    }
}

pub(super) fn start_secure(
    authority: &crate::support::tls::Authority,
    leaf: &crate::support::tls::Leaf,
    keys: &str,
) -> Airside {
    let top = format!(
        r#"listeners: [{{ address: "{{gateway}}", tls: {{ certificates: [{{ cert: one.pem, key: one.key }}] }}, protocols: [http1, http2] }}]
upstreams:
  origin: {{ {keys} }}"#
    );
    let set_up =
        with_top(&top, "  - { path: /*, upstream: origin }").file("ca.pem", authority.pem());
    leaf.write(set_up.folder(), "one");
    set_up.start()
}

#[test]
fn one_message_through_the_gateway_is_one_message() {
    let echo = Echo::start();
    let airside = start(echo.address());
    let pieces = [
        Frame::text("hello").bytes(),
        Frame::close(1000, "bye").bytes(),
    ];
    let direct = converse(echo.address(), &pieces, false);
    assert_eq!(direct.frames.len(), 1);
    assert_eq!(direct.close.as_deref(), Some(&b"\x03\xe8bye"[..]));
    assert_eq!(converse(airside.address(), &pieces, false), direct);
}
