//! More connections than there may be: the gateway refuses those above at once, serves those below, and stays awake.

use std::time::{Duration, Instant};

use crate::support::edge::{assert_refused, get, with_top};
use crate::support::origin::Origin;
use crate::support::port;
use crate::support::process::memory;
use crate::support::raw::{Raw, once};
use crate::support::server::Airside;
use crate::support::tls::{Authority, install_crypto};
use crate::support::wait::wait_for;

const ROUTES: &str = "  - { path: /*, upstream: origin }";

fn start(limits: &str) -> (Airside, Origin) {
    let origin = Origin::start();
    let top = format!("server: {{ limits: {{ {limits} }} }}");
    (with_top(&top, ROUTES).origin(&origin).start(), origin)
}

/// A connection that has been served.
fn served(airside: &Airside) -> Option<Raw> {
    let mut raw = airside.raw();
    raw.try_send(get("/a")).ok()?;
    let answer = raw.try_read("GET").ok()?;
    (answer.status == 200).then_some(raw)
}

fn metrics(airside: &Airside) -> String {
    once(admin(airside), get("/metrics")).text()
}

fn admin(airside: &Airside) -> std::net::SocketAddr {
    airside
        .admin_url("")
        .trim_start_matches("http://")
        .parse()
        .unwrap()
}

#[track_caller]
fn assert_counted(airside: &Airside, line: &str) {
    let page = metrics(airside);
    assert!(page.contains(line), "{line}: {page}");
}

/// Whoever looked whether the listener is there may still be leaving.
fn wait_until_empty(airside: &Airside) {
    wait_for("nobody", || {
        metrics(airside).contains("airside_connections 0\n")
    });
}

#[test]
fn connections_above_the_bound_are_refused_at_once_and_a_place_that_is_left_is_taken() {
    let (airside, _origin) = start("connections: 5");
    wait_until_empty(&airside);
    let mut held: Vec<_> = (0..5).map(|_| served(&airside).expect("a place")).collect();
    let begun = Instant::now();
    for _ in 0..20 {
        let refused = airside.raw().exchange(get("/a"));
        assert_refused(&refused, 503, "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.header("connection"), "close");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    assert_counted(&airside, "airside_connections 5\n");
    assert_counted(&airside, "airside_connections_max 5\n");
    assert_counted(
        &airside,
        "airside_connections_refused_total{reason=\"total\"} 20\n",
    );
    for raw in &mut held {
        assert_eq!(raw.exchange(get("/a")).status, 200, "who is in stays");
    }
    held.pop();
    wait_for("a place", || served(&airside).is_some());
    let log = airside.stderr();
    assert_eq!(log.matches("server.limits.connections").count(), 1, "{log}");
}

#[test]
fn one_address_has_its_share() {
    let (airside, _origin) = start("connections_per_ip: 3");
    wait_until_empty(&airside);
    let _held: Vec<_> = (0..3).map(|_| served(&airside).expect("a place")).collect();
    assert!(served(&airside).is_none());
    assert_counted(
        &airside,
        "airside_connections_refused_total{reason=\"per_ip\"} 1\n",
    );
}

#[test]
fn trusted_proxies_speak_for_many() {
    let origin = Origin::start();
    let top = "server: { trusted_proxies: [127.0.0.1], limits: { connections_per_ip: 1 } }";
    let airside = with_top(top, ROUTES).origin(&origin).start();
    let held: Vec<_> = (0..9).map(|_| served(&airside)).collect();
    assert!(held.iter().all(Option::is_some));
}

/// KiB of memory that each of many connections takes, and the connections: what they leave would be used again.
fn each<C>(id: u32, mut connect: impl FnMut() -> C) -> (f64, Vec<C>) {
    const MANY: u32 = 400;
    // What is made once is made before.
    let mut held: Vec<_> = (0..50).map(|_| connect()).collect();
    let before = memory(id);
    held.extend((0..MANY).map(|_| connect()));
    let grown = memory(id) - before;
    (grown * 1_024.0 / f64::from(MANY), held)
}

#[test]
fn a_connection_that_waits_keeps_no_buffer_of_64_kib() {
    install_crypto();
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let top = r#"server: { limits: { connections: 1000, connections_per_ip: 1000 } }
listeners: [{ address: "{gateway}" }, { address: "{tls}", tls: { certificates: [{ cert: one.pem, key: one.key }] } }]"#;
    let tls = port::free();
    let set_up = with_top(top, ROUTES).origin(&origin).set("tls", tls);
    authority.sign(&["one.test"]).write(set_up.folder(), "one");
    let mut airside = set_up.start();
    let id = airside.daemon().id();
    let (plain, _plain) = each(id, || served(&airside).expect("a place"));
    let (secure, _secure) = each(id, || {
        authority.hello("one.test").connect(tls).expect("a place")
    });
    println!("{plain:.1} KiB, and {secure:.1} under TLS");
    assert!(plain < 72.0, "{plain:.1} KiB");
    assert!(secure < 90.0, "{secure:.1} KiB");
}

#[test]
fn when_a_crowd_has_gone_its_memory_is_the_systems_again_though_nobody_comes() {
    install_crypto();
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let top = r#"server: { limits: { connections: 2000, connections_per_ip: 2000 } }
listeners: [{ address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }] } }]"#;
    let set_up = with_top(top, ROUTES).origin(&origin);
    authority.sign(&["one.test"]).write(set_up.folder(), "one");
    let mut airside = set_up.start();
    let id = airside.daemon().id();
    let connect = || authority.hello("one.test").connect(airside.address());
    drop((0..20).map(|_| connect()).collect::<Vec<_>>());
    let before = memory(id);
    let crowd: Vec<_> = (0..1_200).map(|_| connect().expect("a place")).collect();
    let full = memory(id);
    drop(crowd);
    println!("{before:.1} MiB, {full:.1} with all of them");
    assert!(full > before + 48.0, "{before:.1} {full:.1}");
    wait_for("memory to be given back", || memory(id) < before + 26.0);
}

#[test]
fn connections_that_shake_hands_for_tls_have_their_place_too() {
    install_crypto();
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let top = r#"server: { limits: { connections: 2 } }
listeners: [{ address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }] } }]"#;
    let set_up = with_top(top, ROUTES).origin(&origin);
    authority.sign(&["one.test"]).write(set_up.folder(), "one");
    let airside = set_up.start();
    wait_until_empty(&airside);
    let _one = authority
        .hello("one.test")
        .connect(airside.address())
        .unwrap();
    // It never says anything.
    let _two = airside.raw();
    wait_for("both", || {
        metrics(&airside).contains("airside_connections 2\n")
    });
    assert!(
        authority
            .hello("one.test")
            .connect(airside.address())
            .is_err()
    );
    drop((_one, _two));
    wait_until_empty(&airside);
    assert!(
        authority
            .hello("one.test")
            .connect(airside.address())
            .is_ok()
    );
}

#[test]
fn a_reload_moves_the_bound() {
    let origin = Origin::start();
    let config = |most: u32| {
        format!(
            "server: {{ limits: {{ connections: {most} }} }}\nlisteners: [{{ address: \"{{gateway}}\" }}]\n\
             admin: {{ listen: \"{{admin}}\" }}\nupstreams: {{ origin: {{ servers: [\"{{origin}}\"] }} }}\n\
             routes:\n  - {{ path: /*, upstream: origin, auth: public }}\n"
        )
    };
    let mut airside = Airside::with(&config(1)).origin(&origin).start();
    wait_until_empty(&airside);
    let _held = served(&airside).expect("a place");
    assert!(served(&airside).is_none());
    airside.write_config(&config(2));
    wait_for("the new bound", || {
        metrics(&airside).contains("airside_connections_max 2\n")
    });
    assert!(served(&airside).is_some());
}

#[test]
fn a_gateway_with_256_files_lives_through_400_clients() {
    let origin = Origin::start();
    let airside = with_top("", ROUTES)
        .origin(&origin)
        .limit_files(256)
        .start();
    wait_until_empty(&airside);
    assert_counted(&airside, "airside_connections_max 84\n");
    let held: Vec<_> = (0..400).map(|_| served(&airside)).collect();
    let inside = held.iter().flatten().count();
    assert_eq!(inside, 84);
    let begun = Instant::now();
    assert_eq!(once(admin(&airside), get("/healthz")).status, 200);
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_counted(
        &airside,
        "airside_connections_refused_total{reason=\"total\"} 316\n",
    );
    for mut raw in held.into_iter().flatten() {
        assert_eq!(raw.exchange(get("/a")).status, 200, "who is in is served");
    }
    wait_until_empty(&airside);
    assert!(served(&airside).is_some());
    let log = airside.stderr();
    assert!(
        !log.contains("Accept() failed"),
        "it ran out of files: {log}"
    );
}

#[test]
fn a_limit_of_files_that_is_too_low_for_the_connections_is_told_with_what_to_do() {
    let config = r#"
server: { limits: { connections: 1000 } }
listeners: [{ address: "{gateway}" }]
routes: [{ path: /, respond: { body: a }, auth: public }]
"#;
    let few = || Airside::with(config).limit_files(1_024);
    let ended = few().run_to_its_end();
    assert!(!ended.status.success());
    let checked = few().command(&["check"], "");
    assert_eq!(checked.status.code(), Some(1));
    for said in [
        ended.stderr,
        String::from_utf8_lossy(&checked.stderr).into_owned(),
    ] {
        for part in [
            "1000 connections need 1628 open files, and the limit is 1024",
            "airside.yaml:2:34",
            "ulimit -n 1628",
            "LimitNOFILE=1628",
            "allow 596 connections",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let enough = Airside::with(config)
        .limit_files(1_628)
        .command(&["check"], "");
    assert!(enough.status.success());
}
