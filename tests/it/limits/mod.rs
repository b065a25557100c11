//! Limits as clients meet them: what is counted together, what a refusal says, and when calls pass again.

use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::{Answer, Origin, Reply, Request};
use crate::support::raw::{Raw, Response};
use crate::support::server::Airside;
use crate::support::wait::{until, wait_for};

mod at_once;
mod bursts;
mod cluster;
mod failures;
mod keys;
mod roles;
mod several;
mod shadow;
mod windows;

fn start(limits: &str, routes: &str) -> (Airside, Origin) {
    let origin = Origin::start();
    let top = format!("server: {{ trusted_proxies: [127.0.0.0/8] }}\nlimits: {limits}");
    (edge::with_top(&top, routes).origin(&origin).start(), origin)
}

/// A call by a client at that address.
fn call(airside: &Airside, target: &str, address: &str) -> Response {
    airside
        .raw()
        .exchange(request("GET", target, &[("X-Forwarded-For", address)]))
}

#[track_caller]
fn assert_admits(airside: &Airside, target: &str, address: &str, calls: usize) {
    for number in 1..=calls {
        assert_eq!(
            call(airside, target, address).status,
            200,
            "{target} {address} {number}"
        );
    }
    let refused = call(airside, target, address);
    assert_refused(&refused, 429, "rate_limited");
}

/// `"name";r=19;t=104` as (19, 104).
#[track_caller]
fn state(answer: &Response, name: &str) -> (u64, u64) {
    let text = answer.header("ratelimit");
    let rest = text
        .strip_prefix(&format!("\"{name}\";r="))
        .unwrap_or_else(|| panic!("{text}"));
    let (remaining, reset) = rest.split_once(";t=").unwrap();
    (remaining.parse().unwrap(), reset.parse().unwrap())
}

/// Makes requests to `path` wait at the upstream, each until its `Held` is told to go on.
fn hold(origin: &Origin, path: &str) -> Receiver<Held> {
    let (arrived, arrivals) = channel();
    let arrived = Mutex::new(arrived);
    let taker = move |stream: TcpStream, _: &Request| {
        let (go, gone) = channel();
        let _ = arrived.lock().unwrap().send(Held(go));
        // Until the test says so, or is over.
        if gone.recv().is_ok() {
            let answer = b"HTTP/1.1 200 Told\r\nContent-Length: 2\r\n\r\nok";
            let _ = std::io::Write::write_all(&mut &stream, answer);
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    };
    origin.on(path, Answer::Take(Arc::new(taker)));
    arrivals
}

/// A request that waits at the upstream.
struct Held(Sender<()>);

impl Held {
    fn go_on(&self) {
        self.0.send(()).unwrap();
    }
}

/// What asks for a WebSocket.
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
