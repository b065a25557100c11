//! What servers do, each with somebody beside who asks another one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Bystander;
use crate::support::edge::{assert_refused, get, with_top};
use crate::support::origin::{Answer, Origin, Reply, Request};
use crate::support::relay::{Relay, Weather};
use crate::support::server::Airside;
use crate::support::wait::wait_for;

const TOP: &str = r#"
upstreams:
  hit: { servers: ["{hit}"], timeouts: { connect: 500ms, first_byte: 500ms, idle: 500ms } }
  other: { servers: ["{other}"] }
"#;
const ROUTES: &str = "  - { path: /hit/*, upstream: hit }\n  - { path: /well, upstream: other }\n";

/// A gateway before the server that is hit, and another.
struct Scene {
    airside: Airside,
    bystander: Bystander,
    _other: Origin,
}

impl Scene {
    fn before(hit: impl std::fmt::Display) -> Self {
        let other = Origin::start();
        let set_up = with_top(TOP, ROUTES).set("hit", hit);
        let airside = set_up.set("other", other.address()).start();
        Self {
            bystander: Bystander::of(&airside),
            airside,
            _other: other,
        }
    }

    /// Five requests in a row get this refusal, and nobody else notices.
    #[track_caller]
    fn is_refused(&self, status: u16, code: &str, reasons: &[&str]) {
        for _ in 0..5 {
            let answer = self.airside.raw().exchange(get("/hit/a"));
            let id = assert_refused(&answer, status, code)["request_id"].clone();
            let line = || {
                let log = self.airside.access_log();
                log.into_iter().find(|line| line["request_id"] == id)
            };
            wait_for("the line of log", || line().is_some());
            let reason = line().unwrap()["reason"].as_str().map(str::to_owned);
            let reason = reason.unwrap_or_default();
            assert!(reasons.contains(&&*reason), "{reason}");
        }
        self.bystander.goes_on(10);
    }

    /// By itself, and for good.
    #[track_caller]
    fn is_well_again(&self) {
        wait_for("the server's return", || {
            self.airside.raw().exchange(get("/hit/a")).status == 200
        });
        for _ in 0..20 {
            assert_eq!(self.airside.raw().exchange(get("/hit/a")).status, 200);
        }
    }
}

/// A server in a process of its own.
fn process() -> Airside {
    Airside::start(
        "listeners: [{ address: \"{gateway}\" }]\nadmin: { listen: \"{admin}\" }\n\
         routes: [{ path: /*, respond: { body: well }, auth: public }]\n",
    )
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_killed_server_is_502_and_its_return_is_noticed() {
    let mut server = process();
    let scene = Scene::before(server.address());
    scene.is_well_again();
    server.daemon().kill();
    let reasons = ["connect_refused", "connection_closed"];
    scene.is_refused(502, "upstream_unreachable", &reasons);
    let _server = server.restart();
    scene.is_well_again();
    scene.bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_stopped_server_is_504_in_time_and_its_return_is_noticed() {
    let mut server = process();
    let scene = Scene::before(server.address());
    scene.is_well_again();
    server.daemon().signal("STOP");
    scene.is_refused(504, "upstream_timeout", &["first_byte_timeout"]);
    server.daemon().signal("CONT");
    scene.is_well_again();
    scene.bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_server_behind_a_black_hole_is_504_in_time_and_its_return_is_noticed() {
    let server = Origin::start();
    let relay = Relay::to(server.address());
    let scene = Scene::before(relay.address());
    scene.is_well_again();
    relay.turn(Weather::Silent);
    scene.is_refused(504, "upstream_timeout", &["first_byte_timeout"]);
    relay.turn(Weather::Clear);
    scene.is_well_again();
    scene.bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn what_a_server_says_wrong_is_answered_and_touches_nobody_and_leaves_nothing() {
    let server = Origin::start();
    let scene = Scene::before(server.address());
    let bytes = |text: &str| Answer::Bytes(text.as_bytes().to_vec());
    let dribble = Answer::Dribble(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Duration::from_millis(50),
    );
    let closed = ["connection_closed"];
    for (what, answer, status, code, reasons) in [
        (
            "resets",
            Answer::Reset(Vec::new()),
            502,
            "upstream_unreachable",
            &closed,
        ),
        (
            "hangs up",
            Answer::Close,
            502,
            "upstream_unreachable",
            &closed,
        ),
        (
            "half a head",
            bytes("HTTP/1.1 200 OK\r\nConte"),
            502,
            "upstream_unreachable",
            &closed,
        ),
        (
            "garbage",
            bytes("\x16\x03\x01 garbage\r\n\r\n"),
            502,
            "upstream_unreachable",
            &["upstream"],
        ),
        (
            "dribbles",
            dribble,
            504,
            "upstream_timeout",
            &["first_byte_timeout"],
        ),
    ] {
        println!("{what}");
        server.on("/hit/a", answer);
        scene.is_refused(status, code, reasons);
        server.on("/hit/a", Reply::new(200, "well"));
        scene.is_well_again();
    }
    scene.bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn half_an_answer_is_cut_and_never_looks_whole() {
    let server = Origin::start();
    let scene = Scene::before(server.address());
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf".to_vec();
    for answer in [
        Answer::Bytes(half.clone()),
        Answer::Stall(half.clone()),
        Answer::Reset(half),
    ] {
        server.on("/hit/a", answer);
        for _ in 0..5 {
            let mut raw = scene.airside.raw();
            raw.send(get("/hit/a"));
            assert!(
                raw.read_head().line.contains("200"),
                "the head came and went on"
            );
            let mut rest = Vec::new();
            // It ends by a close or a reset.
            let _ = raw.reader().read_to_end(&mut rest);
            assert!(rest.len() < 9, "{rest:?}");
        }
        server.on("/hit/a", Reply::new(200, "well"));
        scene.is_well_again();
    }
    scene.bystander.was_untouched();
}

/// Another answer behind the one that was asked for: in the same breath, or when the test says so, which is told when
/// it was sent. Bytes that come behind the next request can't be told from its answer by anybody.
fn poison(late: Option<(Receiver<()>, Sender<()>)>) -> Answer {
    let late = late.map(Mutex::new);
    Answer::Take(Arc::new(move |mut stream: TcpStream, _: &Request| {
        let mut well = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell".to_vec();
        let poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
        match &late {
            None => {
                well.extend(poison);
                let _ = stream.write_all(&well);
            }
            Some(late) => {
                let _ = stream.write_all(&well);
                let late = late.lock().unwrap();
                let _ = late.0.recv();
                let _ = stream.write_all(poison);
                let _ = late.1.send(());
            }
        }
        // Whoever asks again on this connection gets nothing more.
        let _ = stream.read_to_end(&mut Vec::new());
    }))
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn what_a_server_says_behind_its_answer_reaches_nobody() {
    let server = Origin::start();
    let scene = Scene::before(server.address());
    for round in 0..60 {
        let is_late = round % 2 == 1;
        let ((go, told), (sent, arrived)) = (channel(), channel());
        server.on("/hit/a", poison(is_late.then_some((told, sent))));
        assert_eq!(scene.airside.raw().exchange(get("/hit/a")).text(), "well");
        if is_late {
            // The connection waits to be used again, and now there are bytes on it.
            go.send(()).unwrap();
            arrived.recv().unwrap();
        }
        for number in 0..4 {
            let target = format!("/hit/{round}/{number}");
            let answer = scene.airside.raw().exchange(get(&target));
            let text = answer.text();
            assert_eq!(answer.status, 200, "round {round}, {number}: {text}");
            assert!(text.contains(&target), "round {round}, {number}: {text}");
        }
    }
    server.on("/hit/a", Reply::new(200, "well"));
    scene.is_well_again();
    scene.bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn idle_connections_that_a_server_closes_cost_no_request() {
    let server = Origin::start();
    let scene = Scene::before(server.address());
    for _ in 0..40 {
        let mut busy: Vec<_> = (0..5).map(|_| scene.airside.raw()).collect();
        busy.iter_mut().for_each(|raw| raw.send(get("/hit/a")));
        busy.iter_mut()
            .for_each(|raw| assert_eq!(raw.read().status, 200));
        let asked = server.connections();
        server.close_connections();
        assert_eq!(scene.airside.raw().exchange(get("/hit/a")).status, 200);
        assert!(server.connections() > asked, "a new connection");
    }
    scene.is_well_again();
    scene.bystander.was_untouched();
}
