//! A new configuration under traffic: put in place whole or not at all, with what was counted and what is
//! in flight untouched, and told wherever somebody looks.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::raw::{Response, once};
use crate::support::secure::{Manner, SecureOrigin};
use crate::support::server::Airside;
use crate::support::tls::Authority;
use crate::support::wait::wait_for;

mod kept;
mod live;

/// A configuration that answers `/which` with `word`, and whatever else `more` says.
fn saying(word: &str, more: &str) -> String {
    format!(
        "listeners: [{{ address: \"{{gateway}}\" }}]\n\
         admin: {{ listen: \"{{admin}}\" }}\n\
         defaults: {{ auth: public }}\n\
         {more}\n\
         routes:\n\
         \x20 - {{ path: /which, respond: {{ status: 200, body: \"{word}\" }} }}\n"
    )
}

fn which(airside: &Airside) -> String {
    airside.raw().exchange(get("/which")).text()
}

fn admin(airside: &Airside, request: impl AsRef<[u8]>) -> Response {
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    once(address, request)
}

fn reload(airside: &Airside) -> (u16, Value) {
    let answer = admin(airside, request("POST", "/reload", &[]));
    (answer.status, answer.json())
}

fn configuration(airside: &Airside) -> Value {
    let answer = admin(airside, get("/readyz"));
    assert_eq!(answer.status, 200);
    answer.json()["configuration"].clone()
}

#[track_caller]
fn wait_for_word(airside: &Airside, word: &str) {
    wait_for(&format!("the answer {word:?}"), || which(airside) == word);
}

#[test]
fn a_signal_a_call_and_a_changed_file_each_put_the_new_file_in_place() {
    let mut airside = Airside::start(&saying("one", ""));
    assert_eq!(configuration(&airside)["version"], 1);
    airside.write_config(&saying("two", ""));
    airside.daemon().signal("HUP");
    wait_for_word(&airside, "two");

    airside.write_config(&saying("three", ""));
    let (status, body) = reload(&airside);
    assert_eq!((status, &body["routes"]), (200, &1.into()), "{body}");
    // In place before the answer.
    assert_eq!(which(&airside), "three");

    // By itself: replaced as editors do, written in place, and turned as a mounted config map is.
    airside.write_config(&saying("four", ""));
    wait_for_word(&airside, "four");
    let file = airside.folder().join("airside.yaml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("four", "five")).unwrap();
    wait_for_word(&airside, "five");
    let other = airside.folder().join("mounted.yaml");
    fs::write(&other, text.replace("four", "six")).unwrap();
    let link = airside.folder().join("link");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    fs::rename(&link, &file).unwrap();
    wait_for_word(&airside, "six");
    let said = airside.stderr();
    for cause in ["SIGHUP", "asked by the admin listener", "a file changed"] {
        assert!(
            said.contains(&format!("reloaded ({cause}): version ")),
            "{said}"
        );
    }
}

#[test]
fn a_file_with_problems_changes_nothing_and_is_told_to_all() {
    let mut airside = Airside::start(&saying("one", ""));
    airside.write_config(&saying(
        "two",
        "limit: {}\nupstreams: { a: { server: [] } }",
    ));
    let (status, body) = reload(&airside);
    assert_eq!(status, 422, "{body}");
    let problems = body["problems"].as_array().unwrap();
    assert!(problems.len() >= 2, "all at once: {body}");
    assert_eq!(problems[0]["line"], 4, "{body}");
    assert_eq!(problems[0]["source"], "limit: {}", "{body}");
    assert!(
        problems[0]["help"].as_str().unwrap().contains("limits"),
        "{body}"
    );
    assert_eq!(which(&airside), "one");

    let state = configuration(&airside);
    assert_eq!(state["version"], 1, "{state}");
    let why = state["refused"]["why"].as_str().unwrap();
    assert!(
        why.contains("airside.yaml") && why.contains("errors"),
        "{state}"
    );
    let said = airside.stderr();
    assert!(
        said.contains("not reloaded (") && said.contains("limit: {}"),
        "{said}"
    );

    // Gone altogether is a problem as well.
    let file = airside.folder().join("airside.yaml");
    fs::remove_file(&file).unwrap();
    let (status, body) = reload(&airside);
    assert_eq!(status, 422, "{body}");
    assert!(
        body["message"].as_str().unwrap().contains("airside.yaml"),
        "{body}"
    );
    assert_eq!(which(&airside), "one");

    airside.write_config(&saying("three", ""));
    wait_for_word(&airside, "three");
    let state = configuration(&airside);
    assert_eq!(
        (&state["version"], &state["refused"]),
        (&2.into(), &Value::Null)
    );
}

#[test]
fn what_needs_a_restart_is_named_with_its_line_and_nothing_of_the_file_is_put_in_place() {
    let mut airside = Airside::start(&saying("one", ""));
    for (more, part, line) in [
        ("server: { threads: 7 }", "server.threads", 4),
        (
            "identity: { keys: k, store: \"sqlite::memory:\" }",
            "identity",
            4,
        ),
        (
            "telemetry: { access_log: { to: off } }",
            "telemetry.access_log",
            4,
        ),
    ] {
        airside.write_config(&saying("two", more));
        let (status, body) = reload(&airside);
        assert_eq!(status, 422, "{body}");
        let problem = &body["problems"][0];
        assert_eq!(problem["code"], "needs_restart", "{body}");
        assert!(
            problem["message"]
                .as_str()
                .unwrap()
                .contains(&format!("`{part}`")),
            "{body}"
        );
        assert_eq!(problem["line"], line, "{body}");
        assert_eq!(which(&airside), "one");
    }
    let other = crate::support::port::free();
    let moved = saying("two", "").replace("\"{gateway}\"", &format!("\"{other}\""));
    airside.write_config(&moved);
    let (_, body) = reload(&airside);
    assert_eq!(
        (&body["problems"][0]["line"], &body["problems"][0]["code"]),
        (&1.into(), &"needs_restart".into())
    );
    // The same listener in other words, and at another line, is no change.
    airside.write_config(&format!(
        "# moved\n{}",
        saying("two", "server: { threads: auto }")
    ));
    assert_eq!(reload(&airside).0, 200);
    assert_eq!(which(&airside), "two");
}

#[test]
fn a_request_in_flight_ends_on_the_configuration_that_it_began_with() {
    let (mut airside, origin) = edge::start(
        "  - { path: /slow, upstream: origin, response_headers: { set: { X-Plan: old } } }",
    );
    origin.on(
        "/slow",
        Reply::new(200, "done").after(Duration::from_millis(800)),
    );
    let mut raw = airside.raw();
    raw.send(get("/slow"));
    origin.wait_for_requests(1);
    airside.write_config(&saying("new", ""));
    assert_eq!(reload(&airside).0, 200);
    assert_refused(&airside.raw().exchange(get("/slow")), 404, "no_route");
    let answer = raw.read();
    assert_eq!((answer.status, answer.header("x-plan")), (200, "old"));
    // The same connection meets the new one with its next request.
    assert_refused(&raw.exchange(get("/slow")), 404, "no_route");
}

#[test]
fn a_secret_is_read_anew_when_its_file_changes() {
    let config = saying("${file:word}", "");
    let mut airside = Airside::with(&config).file("word", "one\n").start();
    assert_eq!(which(&airside), "one");
    fs::write(airside.folder().join("word"), "two\n").unwrap();
    wait_for_word(&airside, "two");
    // One that is not there is a problem, and its coming puts it right.
    airside.write_config(&saying("${file:later}", ""));
    wait_for("a refusal", || {
        airside.stderr().contains("not reloaded (a file changed)")
    });
    assert_eq!(which(&airside), "two");
    fs::write(airside.folder().join("later"), "three").unwrap();
    wait_for_word(&airside, "three");
}

#[test]
fn reloads_under_load_cost_no_request() {
    let origin = Origin::start();
    let with = |number: usize| {
        let upstreams = "upstreams: { origin: { servers: [\"{origin}\"] } }";
        saying(&number.to_string(), upstreams) + "  - { path: \"/o/*\", upstream: origin }\n"
    };
    let mut airside = Airside::with(&with(0)).origin(&origin).start();
    let (ended, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let address = airside.address();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut raw = crate::support::raw::Raw::connect(address);
                    while !ended.load(Ordering::Relaxed) {
                        assert_eq!(raw.exchange(get("/o/x")).status, 200);
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for number in 1..=20 {
            let before = answered.load(Ordering::Relaxed);
            airside.write_config(&with(number));
            assert_eq!(reload(&airside).0, 200);
            assert_eq!(which(&airside), number.to_string());
            wait_for("traffic", || answered.load(Ordering::Relaxed) > before + 20);
        }
        ended.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("a client without an error");
        }
    });
    // Its connections were kept as well: one a client, and a few that were opened at once.
    assert!(origin.connections() < 40, "{}", origin.connections());
}

#[test]
fn only_who_has_the_token_reloads() {
    let config = saying("one", "").replace(
        "admin: { listen: \"{admin}\" }",
        "admin: { listen: \"{admin}\", token: \"0123456789abcdef\" }",
    );
    let airside = Airside::start(&config);
    let answer = admin(&airside, request("POST", "/reload", &[]));
    assert_eq!(answer.status, 401);
    let bearer = [("Authorization", "Bearer 0123456789abcdef")];
    assert_eq!(
        admin(&airside, request("POST", "/reload", &bearer)).status,
        200
    );
    assert_eq!(
        admin(&airside, request("GET", "/reload", &bearer)).status,
        405
    );
    assert_eq!(configuration(&airside)["version"], 2);
}

#[test]
fn the_files_of_tls_are_read_again_and_those_of_an_upstream_that_are_wrong_change_nothing() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let leaf = new.sign(&["127.0.0.1"]);
    let origin = SecureOrigin::start(&Manner {
        leaf: Some(&leaf),
        ..Manner::default()
    });
    let config = |word: &str| {
        let upstreams = format!(
            "upstreams:\n  a: {{ servers: [\"{}\"], tls: {{ ca: ca.pem }} }}",
            origin.address()
        );
        saying(word, &upstreams) + "\x20 - { path: /*, upstream: a }\n"
    };
    let set_up = Airside::with(&config("one")).file("ca.pem", old.pem());
    let mut airside = set_up.start();
    assert_eq!(airside.raw().exchange(get("/a")).status, 502);
    let authority = airside.folder().join("ca.pem");
    fs::write(&authority, "no certificate").unwrap();
    airside.write_config(&config("two"));
    let (status, body) = reload(&airside);
    assert_eq!(status, 422, "{body}");
    assert_eq!(body["problems"][0]["line"], 5, "{body}");
    assert_eq!(which(&airside), "one");
    fs::write(&authority, new.pem()).unwrap();
    let (status, body) = reload(&airside);
    assert_eq!(status, 200, "{body}");
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
}
