//! A start that fails does so early, and says which key at which line is the cause, and what is wrong with what.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::support::port;
use crate::support::server::{Airside, SetUp};
use crate::support::tls::Authority;
use crate::support::wait::wait_for;

/// A configuration with `more` as its last line, the sixth.
fn with(more: &str) -> SetUp {
    Airside::with(&format!(
        "listeners:\n  - address: \"{{gateway}}\"\nadmin: {{ listen: \"{{admin}}\" }}\n\
         defaults: {{ auth: public }}\nroutes: [{{ path: /a, respond: {{ body: here }} }}]\n{more}\n"
    ))
}

/// Runs it to its end, which must be soon and with status 1; brings what it said.
#[track_caller]
fn fails(set_up: SetUp) -> String {
    let begun = Instant::now();
    let ended = set_up.run_to_its_end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    ended.stderr
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
}

#[test]
fn a_taken_port_is_named_with_the_key_and_the_line_that_asks_for_it() {
    let identity = "identity: { listen: \"{identity}\", store: \"sqlite::memory:\", keys: k }";
    for (name, key, line) in [
        ("gateway", "`listeners[0].address` (", ":2)"),
        ("admin", "`admin.listen` (", ":3)"),
        ("identity", "`identity.listen` (", ":6)"),
    ] {
        let taken = TcpListener::bind(port::free()).unwrap();
        let address = taken.local_addr().unwrap();
        let said = fails(with(identity).set(name, address));
        let address = format!("can't listen on {address}");
        says(&said, &[&address, key, "airside.yaml", line, "in use"]);
    }
}

#[test]
fn a_key_that_cannot_be_read_or_that_others_can_read_is_named() {
    let authority = Authority::new("one");
    let leaf = authority.sign(&["127.0.0.1"]);
    let tls = |key: &str| {
        Airside::with(&format!(
            "listeners:\n  - {{ address: \"{{gateway}}\", tls: {{ certificates: [{{ cert: c.pem, key: {key} }}] }} }}\n\
             defaults: {{ auth: public }}\nroutes: [{{ path: /a, respond: {{}} }}]\n"
        ))
        .file("c.pem", leaf.cert())
        .file("open.pem", leaf.key())
        .file("none.pem", "no key")
    };
    let open = |set_up: SetUp, name: &str, mode: u32| {
        let path = set_up.folder().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set_up
    };
    let said = fails(tls("away.pem"));
    says(
        &said,
        &["tls of `listeners` (", ":1)", "away.pem", "No such file"],
    );
    let said = fails(open(tls("open.pem"), "open.pem", 0o644));
    says(&said, &["open.pem", "0644", "chmod 600"]);
    let said = fails(open(tls("none.pem"), "none.pem", 0o600));
    says(&said, &["none.pem", "private key"]);
}

/// A file where a folder is to be: the tests may run as root, whom no mode keeps out.
#[test]
fn a_folder_that_cannot_be_written_is_named_with_its_key_and_line() {
    let listen = "listen: \"{identity}\"";
    for (more, key, path) in [
        (
            "server: { run_dir: taken/run }".to_owned(),
            "`server.run_dir`",
            "taken/run",
        ),
        (
            format!("identity: {{ {listen}, store: \"sqlite:d/a.db\", keys: taken/keys }}"),
            "`identity.keys`",
            "taken/keys",
        ),
        (
            format!("identity: {{ {listen}, store: \"sqlite:taken/a.db\", keys: k }}"),
            "`identity.store`",
            "taken",
        ),
        (
            "telemetry: { access_log: { to: taken/access.json } }".to_owned(),
            "`telemetry.access_log.to`",
            "taken/access.json",
        ),
    ] {
        let said = fails(with(&more).file("taken", "a file"));
        says(&said, &[key, "airside.yaml:6)", path]);
    }
}

#[test]
fn a_database_that_cannot_be_reached_is_said_and_tried_again_while_the_edge_serves() {
    let nobody = port::free();
    let store = format!("store: \"mysql://a:hunter2@{nobody}/x\"");
    let identity = format!("identity: {{ listen: \"{{identity}}\", keys: k, {store} }}");
    let airside = with(&identity).start();
    assert_eq!(
        airside
            .raw()
            .exchange(crate::support::edge::get("/a"))
            .text(),
        "here"
    );
    let url = airside.admin_url("");
    let admin = url.trim_start_matches("http://").parse().unwrap();
    let ready = crate::support::raw::once(admin, crate::support::edge::get("/readyz"));
    assert_eq!(ready.status, 503);
    let why = ready.json()["not_ready"]["identity"].to_string();
    assert!(why.contains("store is not available"), "{why}");
    wait_for("a word in the log", || {
        airside.stderr().contains("trying again") && airside.stderr().contains("database")
    });
    assert!(!airside.stderr().contains("hunter2"));
}

#[test]
fn what_the_edge_needs_is_listened_on_before_the_edge() {
    for _ in 0..25 {
        let (gateway, identity) = (port::free(), port::free());
        let folder = tempfile::tempdir().unwrap();
        let more = "identity: { listen: \"{identity}\", store: \"sqlite::memory:\", keys: \"{folder}/keys\" }";
        let set_up = with(more)
            .set("gateway", gateway)
            .set("identity", identity)
            .set("folder", folder.path().display());
        let starting = std::thread::spawn(move || set_up.start());
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(gateway).is_err() {
            assert!(Instant::now() < deadline, "it did not start");
        }
        TcpStream::connect(identity).expect("identity listens already");
        drop(starting.join().unwrap());
    }
}
