//! The PROXY protocol: who connects through a trusted proxy, on plain listeners and below TLS.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::edge::{get, with_top};
use crate::support::origin::Origin;
use crate::support::raw::Raw;
use crate::support::server::Airside;
use crate::support::tls::Authority;

const ROUTES: &str = "  - { path: /*, upstream: origin }";
const ONE: &[u8] = b"PROXY TCP4 203.0.113.9 198.51.100.1 5123 443\r\n";
const SIX: &[u8] = b"PROXY TCP6 2001:db8::9 2001:db8::1 5123 443\r\n";
const NOBODY: &[u8] = b"PROXY UNKNOWN\r\n";

fn two(command: u8) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    // IPv4 over TCP, 12 bytes of addresses and a vendor's field of 5.
    header.extend([command, 0x11, 0, 17]);
    header.extend([203, 0, 113, 9, 198, 51, 100, 1, 20, 3, 1, 187]);
    header.extend([0xea, 0, 2, b'h', b'i']);
    header
}

fn start(trusted: &str, more: &str, origin: &Origin) -> Airside {
    let top = format!(
        "server: {{ trusted_proxies: [{trusted}] }}\nlisteners: [{{ address: \"{{gateway}}\", proxy_protocol: true{more} }}]"
    );
    with_top(&top, ROUTES).origin(origin).start()
}

/// Whom the upstream and the log take for the client.
fn client(airside: &Airside, origin: &Origin, logged: usize) -> (String, String) {
    let log = airside.wait_for_access_log(logged);
    let forwarded = origin.last().header("x-forwarded-for").unwrap().to_owned();
    (
        forwarded,
        log[logged - 1]["client"].as_str().unwrap().to_owned(),
    )
}

#[test]
fn both_versions_name_the_client_whatever_pieces_they_come_in() {
    let origin = Origin::start();
    let airside = start("127.0.0.0/8", "", &origin);
    let (told, local) = (two(0x21), two(0x20));
    let cases = [
        (ONE, "203.0.113.9"),
        (SIX, "2001:db8::9"),
        (&told, "203.0.113.9"),
        (NOBODY, "127.0.0.1"),
        (&local, "127.0.0.1"),
    ];
    for (index, (header, expected)) in cases.into_iter().enumerate() {
        let mut raw = airside.raw();
        match index % 2 {
            0 => raw.send([header, get("/a").as_bytes()].concat()),
            _ => {
                for byte in header {
                    raw.send([*byte]);
                }
                raw.send(get("/a"));
            }
        }
        assert_eq!(raw.read().status, 200, "{expected}");
        let seen = client(&airside, &origin, 2 * index + 1);
        assert_eq!(seen, (expected.to_owned(), expected.to_owned()));
        // It holds for the whole connection.
        assert_eq!(raw.exchange(get("/b")).status, 200);
        assert_eq!(client(&airside, &origin, 2 * index + 2).0, expected);
    }
}

#[test]
fn a_stranger_may_not_speak_it_and_a_proxy_must() {
    let origin = Origin::start();
    let airside = start("192.0.2.0/24", "", &origin);
    let mut raw = airside.raw();
    let _ = raw.try_send([ONE, get("/a").as_bytes()].concat());
    assert!(raw.closes());

    let airside = start("127.0.0.1", "", &origin);
    for wrong in [
        &get("/a").into_bytes()[..],
        b"PROXY TCP4 a b 1 2\r\n",
        b"PROXY TCP4 203.0.113.9\r\n",
    ] {
        let mut raw = airside.raw();
        let _ = raw.try_send(wrong);
        assert!(raw.closes(), "{wrong:?}");
    }
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_listener_that_does_not_take_it_answers_400() {
    let origin = Origin::start();
    let airside = crate::support::edge::gateway(ROUTES)
        .origin(&origin)
        .start();
    let mut raw = airside.raw();
    raw.send([ONE, get("/a").as_bytes()].concat());
    assert!(raw.try_read("GET").is_ok_and(|answer| answer.status == 400) || raw.closes());
    assert_eq!(origin.count(), 0);
}

#[test]
fn it_goes_before_tls() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let top = r#"server: { trusted_proxies: [127.0.0.1] }
listeners: [{ address: "{gateway}", proxy_protocol: true, tls: { certificates: [{ cert: one.pem, key: one.key }] } }]"#;
    let set_up = with_top(top, ROUTES).origin(&origin);
    authority.sign(&["one.test"]).write(set_up.folder(), "one");
    let airside = set_up.start();
    for header in [ONE, &two(0x21)] {
        let mut stream = TcpStream::connect(airside.address()).unwrap();
        stream.write_all(header).unwrap();
        let mut secure = authority.hello("one.test").connect_over(stream).unwrap();
        let answer = secure.exchange("GET /a HTTP/1.1\r\nHost: one.test\r\n\r\n");
        assert_eq!(answer.status, 200);
        assert_eq!(origin.last().header("x-forwarded-for"), Some("203.0.113.9"));
    }
    // A handshake without it is no header.
    assert!(
        authority
            .hello("one.test")
            .connect(airside.address())
            .is_err()
    );
}

#[test]
fn only_the_listener_that_says_so_takes_it() {
    let origin = Origin::start();
    let top = r#"server: { trusted_proxies: [127.0.0.1] }
listeners: [{ address: "{gateway}", proxy_protocol: true }, { address: "{other}" }]"#;
    let other = crate::support::port::free();
    let airside = with_top(top, ROUTES)
        .origin(&origin)
        .set("other", other)
        .start();
    assert_eq!(Raw::connect(other).exchange(get("/a")).status, 200);
    assert_eq!(origin.last().header("x-forwarded-for"), Some("127.0.0.1"));
    let mut raw = airside.raw();
    assert_eq!(
        raw.exchange([ONE, get("/a").as_bytes()].concat()).status,
        200
    );
    assert_eq!(origin.last().header("x-forwarded-for"), Some("203.0.113.9"));
}

#[test]
fn a_header_that_drips_is_waited_for_once_and_not_byte_by_byte() {
    let origin = Origin::start();
    let airside = start("127.0.0.1", "", &origin);
    let began = std::time::Instant::now();
    let mut raw = airside.raw();
    raw.set_patience(Duration::from_millis(500));
    for byte in ONE.iter().take(ONE.len() - 1) {
        if raw.try_send([*byte]).is_err() || raw.closes() {
            break;
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(12),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(origin.count(), 0);
}
