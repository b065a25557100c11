//! Start and end of the program, and what the admin listener says meanwhile.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::port;
use crate::support::raw::{Response, once};
use crate::support::server::Airside;
use crate::support::wait::wait_for;

const ROUTE: &str = "  - { path: /*, upstream: origin }";
const SLOW: Duration = Duration::from_millis(700);

/// A gateway with a request in flight, whose answer takes its time.
fn busy() -> (Airside, Origin, crate::support::raw::Raw) {
    let (airside, origin) = edge::start(ROUTE);
    origin.on("/slow", Reply::new(200, "done").after(SLOW));
    origin.on(
        "/stuck",
        Reply::new(200, "never").after(Duration::from_secs(20)),
    );
    let raw = airside.raw();
    (airside, origin, raw)
}

fn admin(airside: &Airside, request: impl AsRef<[u8]>) -> Response {
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    once(address, request)
}

#[test]
fn an_idle_gateway_ends_at_once_when_told() {
    for signal in ["TERM", "INT"] {
        let (mut airside, _origin) = edge::start(ROUTE);
        // A kept connection is not a request.
        let mut raw = airside.raw();
        assert_eq!(raw.exchange(get("/a")).status, 200);
        let begun = Instant::now();
        airside.daemon().signal(signal);
        let ended = airside.daemon().wait_until_ended(Duration::from_secs(5));
        assert!(
            begun.elapsed() < Duration::from_secs(1),
            "{signal}: {:?}",
            begun.elapsed()
        );
        assert_eq!(ended.status.code(), Some(0), "{signal}: {}", ended.stderr);
        assert!(raw.closes());
    }
}

#[test]
fn a_request_in_flight_is_waited_for() {
    let (mut airside, origin, mut raw) = busy();
    raw.send(get("/slow"));
    origin.wait_for_requests(1);
    airside.daemon().signal("TERM");
    let answer = raw.read();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    assert!(raw.closes());
    let ended = airside.daemon().wait_until_ended(Duration::from_secs(2));
    assert_eq!(ended.status.code(), Some(0));
    assert!(
        ended.stdout.contains("\"path\":\"/slow\""),
        "its line is written before the end"
    );
}

#[test]
fn while_leaving_it_is_alive_and_not_ready_and_new_requests_are_still_served() {
    let (mut airside, origin, mut raw) = busy();
    assert_eq!(admin(&airside, get("/readyz")).status, 200);
    raw.send(get("/slow"));
    origin.wait_for_requests(1);
    airside.daemon().signal("TERM");
    wait_for("its word", || airside.stderr().contains("leaving"));
    let ready = admin(&airside, get("/readyz"));
    assert_eq!(ready.status, 503);
    let ready = ready.json();
    assert_eq!(ready["ready"], false, "{ready}");
    let leaving = serde_json::json!({ "gateway": "leaving" });
    assert_eq!(ready["not_ready"], leaving, "{ready}");
    assert_eq!(admin(&airside, get("/healthz")).status, 200);
    let next = airside.raw().exchange(get("/next"));
    assert_eq!((next.status, next.header("connection")), (200, "close"));
    assert_eq!(raw.read().status, 200);
}

#[test]
fn a_second_signal_or_an_interrupt_does_not_wait() {
    for signals in [&["TERM", "TERM"][..], &["TERM", "INT"], &["INT"]] {
        let (mut airside, origin, mut raw) = busy();
        raw.send(get("/stuck"));
        origin.wait_for_requests(1);
        let begun = Instant::now();
        airside.daemon().signal(signals[0]);
        if signals.len() > 1 {
            wait_for("the first to arrive", || {
                airside.stderr().contains("leaving")
            });
            airside.daemon().signal(signals[1]);
        }
        airside.daemon().wait_until_ended(Duration::from_secs(5));
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{signals:?}: {:?}",
            begun.elapsed()
        );
        assert!(raw.closes());
    }
}

#[test]
fn leaving_takes_no_longer_than_drain() {
    let origin = Origin::start();
    origin.on(
        "/stuck",
        Reply::new(200, "never").after(Duration::from_secs(20)),
    );
    let mut airside = edge::with_top("server: { drain: 1s }", ROUTE)
        .origin(&origin)
        .start();
    let mut raw = airside.raw();
    raw.send(get("/stuck"));
    origin.wait_for_requests(1);
    let begun = Instant::now();
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(Duration::from_secs(5));
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        ended.stderr.contains("1 requests cut off"),
        "{}",
        ended.stderr
    );
}

#[test]
fn hangup_and_quit_do_not_kill_it() {
    let (mut airside, _origin) = edge::start(ROUTE);
    let mut raw = airside.raw();
    for signal in ["HUP", "QUIT"] {
        let before = airside.stderr().lines().count();
        airside.daemon().signal(signal);
        wait_for("a word about it", || {
            airside.stderr().lines().count() > before
        });
        assert_eq!(raw.exchange(get("/a")).status, 200, "{signal}");
        assert_eq!(airside.raw().exchange(get("/a")).status, 200, "{signal}");
    }
}

#[test]
fn a_taken_port_ends_the_start_with_its_address_before_anything_is_written() {
    let top = r#"
identity: { listen: "{identity}", store: "sqlite:{folder}/data/a.db", keys: "{folder}/data/keys", issuer: "http://x", audience: a }
"#;
    for name in ["gateway", "identity", "admin"] {
        let taken = TcpListener::bind(port::free()).unwrap();
        let address = taken.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let origin = Origin::start();
        let set_up = edge::with_top(top, ROUTE)
            .origin(&origin)
            .set(name, address);
        let begun = Instant::now();
        let ended = set_up
            .set("folder", folder.path().display())
            .run_to_its_end();
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{name}: {:?}",
            begun.elapsed()
        );
        assert_eq!(ended.status.code(), Some(1), "{name}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(&address.to_string()),
            "{name}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "", "{name}");
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "{name}: something was written");
    }
}

#[test]
fn the_admin_listener_answers_probes_to_all_and_the_rest_to_those_with_the_token() {
    let token = "a-token-of-some-length";
    let top = format!("admin: {{ listen: \"{{admin}}\", token: {token} }}");
    let origin = Origin::start();
    let routes =
        "  - { name: up, path: /a, upstream: origin }\n  - { path: /r, respond: { status: 410 } }";
    let airside = edge::with_top(&top, routes).origin(&origin).start();
    let health = admin(&airside, get("/healthz"));
    assert_eq!(
        (health.status, health.json()),
        (200, serde_json::json!({ "alive": true }))
    );
    let ready = admin(&airside, get("/readyz"));
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()));
    let bearer = format!("Bearer {token}");
    for wrong in [
        "",
        "Bearer",
        "Bearer x",
        &bearer[..bearer.len() - 1],
        &format!("{bearer}x"),
        token,
        &bearer.to_uppercase(),
    ] {
        let answer = admin(
            &airside,
            request("GET", "/routes", &[("Authorization", wrong)]),
        );
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (401, &"unauthenticated".into()),
            "{wrong}"
        );
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert_eq!(
            answer.header("www-authenticate"),
            "Bearer realm=\"airside-admin\""
        );
    }
    assert_eq!(admin(&airside, get("/routes")).status, 401);
    let routes = admin(
        &airside,
        request("GET", "/routes", &[("Authorization", &bearer)]),
    );
    let expected = serde_json::json!({ "routes": [
        { "name": "up", "target": { "upstream": ["origin"] } },
        { "name": "/r", "target": { "respond": 410 } },
    ] });
    assert_eq!((routes.status, routes.json()), (200, expected));
    let none = admin(&airside, get("/none"));
    assert_eq!(
        (none.status, &none.json()["code"]),
        (404, &"no_route".into())
    );
    let wrong = admin(&airside, request("DELETE", "/healthz", &[]));
    assert_eq!(
        (wrong.status, &wrong.json()["code"]),
        (405, &"method_not_allowed".into())
    );
    // What the admin listener has, the edge has not.
    assert_refused(&airside.raw().exchange(get("/healthz")), 404, "no_route");
}
