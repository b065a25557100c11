//! TLS towards clients: certificates by name, their renewal, client certificates.

use std::os::unix::fs::PermissionsExt;

use crate::support::edge::{assert_refused, get, request, with_top};
use crate::support::origin::Origin;
use crate::support::server::{Airside, SetUp};
use crate::support::tls::{Authority, Leaf};
use crate::support::wait::wait_for;

const ROUTES: &str = "  - { path: /*, upstream: origin }";
const ONE: &str = r#"listeners: [{ address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }] } }]"#;
const TWO: &str = r#"listeners: [{ address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }, { cert: two.pem, key: two.key }] } }]"#;

fn with(listeners: &str, origin: &Origin, leaves: &[(&str, &Leaf)]) -> SetUp {
    let set_up = with_top(listeners, ROUTES).origin(origin);
    for (name, leaf) in leaves {
        leaf.write(set_up.folder(), name);
    }
    set_up
}

fn to(host: &str) -> String {
    format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn the_certificate_is_chosen_by_name_with_wildcards_and_the_first_for_strangers() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let one = authority.sign(&["one.test"]);
    let two = authority.sign(&["two.test", "*.two.test"]);
    let airside = with(TWO, &origin, &[("one", &one), ("two", &two)]).start();
    for (name, leaf) in [
        ("one.test", &one),
        ("two.test", &two),
        ("a.two.test", &two),
        ("A.Two.Test", &two),
    ] {
        let mut secure = authority.hello(name).connect(airside.address()).unwrap();
        assert_eq!(secure.shown(), leaf.chain()[0], "{name}");
        assert_eq!(secure.exchange(to(name)).status, 200, "{name}");
        assert_eq!(origin.last().header("x-forwarded-proto"), Some("https"));
    }
    // The first certificate, which a client refuses where it asked for another name.
    for stranger in ["a.b.two.test", "else.test"] {
        let refused = authority.hello(stranger).connect(airside.address());
        assert!(refused.is_err(), "{stranger}");
    }
}

#[test]
fn both_versions_are_spoken() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let airside = with(ONE, &origin, &[("one", &authority.sign(&["one.test"]))]).start();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut hello = authority.hello("one.test");
        hello.version = Some(version);
        let mut secure = hello.connect(airside.address()).unwrap();
        assert_eq!(
            secure.connection().protocol_version(),
            Some(version.version)
        );
        assert_eq!(secure.exchange(to("one.test")).status, 200);
    }
    let logged = airside.wait_for_access_log(2);
    assert_eq!(logged[0]["tls"], "TLSv1.2");
    assert_eq!(logged[1]["tls"], "TLSv1.3");
}

#[test]
fn a_host_that_no_certificate_is_for_is_misdirected() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let one = authority.sign(&["one.test", "127.0.0.1"]);
    let two = authority.sign(&["*.two.test"]);
    let airside = with(TWO, &origin, &[("one", &one), ("two", &two)]).start();
    let mut secure = authority
        .hello("one.test")
        .connect(airside.address())
        .unwrap();
    let refused = secure.exchange(to("else.test"));
    assert_refused(&refused, 421, "bad_request");
    // The connection is fit for the right host, and for another that it could have been made for.
    assert_eq!(secure.exchange(to("one.test:8443")).status, 200);
    assert_eq!(secure.exchange(to("x.two.test")).status, 200);
    // Whoever connects to an address names no host in the handshake, and is held to none.
    let mut unnamed = authority
        .hello("127.0.0.1")
        .connect(airside.address())
        .unwrap();
    assert_eq!(unnamed.exchange(to("else.test")).status, 200);
}

#[test]
fn a_renewed_certificate_is_taken_up_and_connections_live_on() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let airside = with(ONE, &origin, &[("one", &authority.sign(&["one.test"]))]).start();
    let mut before = authority
        .hello("one.test")
        .connect(airside.address())
        .unwrap();
    assert_eq!(before.exchange(to("one.test")).status, 200);
    let renewed = authority.sign(&["one.test"]);
    renewed.write(airside.folder(), "one");
    wait_for("the renewed certificate", || {
        let secure = authority.hello("one.test").connect(airside.address());
        secure.unwrap().shown() == renewed.chain()[0]
    });
    assert_eq!(before.exchange(to("one.test")).status, 200);
}

#[test]
fn a_broken_renewal_keeps_the_old_certificate_and_is_told() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let old = authority.sign(&["one.test"]);
    let airside = with(ONE, &origin, &[("one", &old)]).start();
    // A new certificate with the old key: what a renewal that stops half-way leaves behind.
    let mut half = authority.sign(&["one.test"]);
    half.key = old.key.clone();
    half.write(airside.folder(), "one");
    let told = "do not belong together";
    wait_for("the log", || airside.stderr().contains(told));
    let mut secure = authority
        .hello("one.test")
        .connect(airside.address())
        .unwrap();
    assert_eq!(secure.shown(), old.chain()[0]);
    assert_eq!(secure.exchange(to("one.test")).status, 200);
    let whole = authority.sign(&["one.test"]);
    whole.write(airside.folder(), "one");
    wait_for("the whole renewal", || {
        let secure = authority.hello("one.test").connect(airside.address());
        secure.unwrap().shown() == whole.chain()[0]
    });
}

#[test]
fn what_can_not_be_served_stops_the_start_and_says_why() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let leaf = authority.sign(&["one.test"]);
    let expect = |set_up: SetUp, words: &[&str]| {
        let ended = set_up.run_to_its_end();
        assert_eq!(ended.status.code(), Some(1));
        for word in words {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    };
    let loose = with(ONE, &origin, &[("one", &leaf)]);
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(loose.folder().join("one.key"), mode).unwrap();
    expect(loose, &["one.key", "0644", "chmod 600"]);
    expect(with(ONE, &origin, &[]), &["one.pem", "No such file"]);
    let swapped = Leaf {
        cert: leaf.cert.clone(),
        key: authority.sign(&["one.test"]).key,
    };
    expect(
        with(ONE, &origin, &[("one", &swapped)]),
        &["one.pem", "do not belong together"],
    );
    let empty = Leaf {
        cert: "nothing".into(),
        key: leaf.key,
    };
    expect(
        with(ONE, &origin, &[("one", &empty)]),
        &["one.pem", "holds no certificate"],
    );
}

#[test]
fn a_certificate_that_is_over_is_served_with_a_warning() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let over = authority.sign_until(&["one.test"], 2_020);
    let airside = with(ONE, &origin, &[("one", &over)]).start();
    assert!(
        airside.stderr().contains("this certificate is over"),
        "{}",
        airside.stderr()
    );
    assert!(
        authority
            .hello("one.test")
            .connect(airside.address())
            .is_err()
    );
}

const ASKS: &str = r#"listeners: [{ address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }], client_ca: clients.pem }, protocols: [http1, http2] }]"#;

fn asking(authority: &Authority, origin: &Origin) -> Airside {
    let one = authority.sign(&["one.test"]);
    let set_up = with(ASKS, origin, &[("one", &one)]);
    set_up.file("clients.pem", authority.pem()).start()
}

#[test]
fn a_client_certificate_is_verified_and_told_to_the_upstream() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let airside = asking(&authority, &origin);
    let leaf = authority.sign(&["robot.test"]);
    let mut hello = authority.hello("one.test");
    hello.leaf = Some(&leaf);
    let mut secure = hello.connect(airside.address()).unwrap();
    let forged = [
        ("Host", "one.test"),
        ("Client-Cert", ":eA==:"),
        ("X-Client-Cert-Subject", "CN=root"),
    ];
    let sent = request("GET", "/a", &forged).replace("Host: edge.test\r\n", "");
    assert_eq!(secure.exchange(sent).status, 200);
    let asked = origin.last();
    assert_eq!(
        asked.head.all("x-client-cert-subject").collect::<Vec<_>>(),
        ["CN=robot.test"]
    );
    use base64::Engine;
    let whole = base64::engine::general_purpose::STANDARD.encode(&leaf.chain()[0]);
    assert_eq!(
        asked.head.all("client-cert").collect::<Vec<_>>(),
        [format!(":{whole}:")]
    );
}

#[test]
fn a_client_without_a_certificate_or_with_a_strangers_is_refused_in_the_handshake() {
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let airside = asking(&authority, &origin);
    let stranger = Authority::new("another").sign(&["robot.test"]);
    let over = authority.sign_until(&["robot.test"], 2_020);
    for leaf in [None, Some(&stranger), Some(&over)] {
        let mut hello = authority.hello("one.test");
        hello.leaf = leaf;
        // With TLS 1.3 the client has finished before the server has looked.
        let mut secure = match hello.connect(airside.address()) {
            Ok(secure) => secure,
            Err(_) => continue,
        };
        assert!(secure.try_exchange(to("one.test")).is_err());
    }
    assert_eq!(origin.count(), 0);
}

/// Does the gateway take this certificate, on a connection of its own?
fn takes(authority: &Authority, leaf: &Leaf, airside: &Airside) -> bool {
    let mut hello = authority.hello("one.test");
    hello.leaf = Some(leaf);
    let secure = hello.connect(airside.address());
    // With TLS 1.3 the client has finished before the server has looked.
    secure.is_ok_and(|mut secure| {
        let answer = secure.try_exchange(to("one.test"));
        answer.is_ok_and(|answer| answer.status == 200)
    })
}

#[test]
fn the_authority_of_client_certificates_is_taken_up_anew_and_connections_live_on() {
    let (old, new, origin) = (Authority::new("ca"), Authority::new("new"), Origin::start());
    let airside = asking(&old, &origin);
    let (known, coming) = (old.sign(&["robot.test"]), new.sign(&["robot.test"]));
    let mut hello = old.hello("one.test");
    hello.leaf = Some(&known);
    let mut before = hello.connect(airside.address()).unwrap();
    assert_eq!(before.exchange(to("one.test")).status, 200);
    assert!(!takes(&old, &coming, &airside));

    let path = airside.folder().join("clients.pem");
    // In two steps, as a file that is copied: half of it is no authority, and the old one stays.
    std::fs::write(&path, &new.pem()[..40]).unwrap();
    wait_for("the log", || {
        airside.stderr().contains("the old one stays") && airside.stderr().contains("clients.pem")
    });
    assert!(takes(&old, &known, &airside) && !takes(&old, &coming, &airside));
    std::fs::write(&path, new.pem()).unwrap();
    wait_for("the new authority", || takes(&old, &coming, &airside));
    assert!(
        !takes(&old, &known, &airside),
        "nobody comes by the old one"
    );
    assert_eq!(before.exchange(to("one.test")).status, 200);

    // Both, for as long as clients change over.
    std::fs::write(&path, format!("{}{}", old.pem(), new.pem())).unwrap();
    wait_for("both", || takes(&old, &known, &airside));
    assert!(takes(&old, &coming, &airside));
    // A file that is gone changes nothing.
    std::fs::remove_file(&path).unwrap();
    wait_for("the log", || airside.stderr().contains("No such file"));
    assert!(takes(&old, &known, &airside));
    assert_eq!(before.exchange(to("one.test")).status, 200);
}

#[test]
fn a_reload_reads_the_authority_of_client_certificates_too() {
    let (old, new, origin) = (Authority::new("ca"), Authority::new("new"), Origin::start());
    let mut airside = asking(&old, &origin);
    let coming = new.sign(&["robot.test"]);
    let path = airside.folder().join("clients.pem");
    std::fs::write(&path, new.pem()).unwrap();
    airside.daemon().signal("HUP");
    wait_for("the new authority", || takes(&old, &coming, &airside));
    std::fs::write(&path, "nonsense").unwrap();
    airside.daemon().signal("HUP");
    wait_for("the log", || {
        let said = airside.stderr();
        said.contains("the one before stays") && said.contains("clients.pem holds no")
    });
    assert!(takes(&old, &coming, &airside));
}

#[test]
fn a_handshake_that_does_not_go_on_is_cut_and_others_are_served_meanwhile() {
    use std::io::Write;
    let (authority, origin) = (Authority::new("ca"), Origin::start());
    let airside = with(ONE, &origin, &[("one", &authority.sign(&["one.test"]))]).start();
    let mut hello = Vec::new();
    let config = std::sync::Arc::new(authority.hello("one.test").config());
    let name = "one.test".try_into().unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    client.write_tls(&mut hello).unwrap();
    let begun = std::time::Instant::now();
    // One says nothing, one its hello and no more, and one goes on, byte by byte.
    let [mut silent, mut half, mut slow] = [(); 3].map(|()| airside.raw());
    half.send(&hello);
    let mut drip = slow.writer();
    let dripping = std::thread::spawn(move || {
        for byte in hello {
            if drip.write_all(&[byte]).is_err() {
                return;
            }
            // The slowness that the client is there for.
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    });
    let mut secure = authority
        .hello("one.test")
        .connect(airside.address())
        .unwrap();
    assert_eq!(secure.exchange(to("one.test")).status, 200);
    for (raw, who) in [(&mut silent, "silent"), (&mut slow, "slow")] {
        assert!(raw.closes(), "{who}");
        let took = begun.elapsed().as_secs();
        assert!((9..=20).contains(&took), "{who}: {took} s");
    }
    // This one has the server's part of the handshake before the end.
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(half.reader(), &mut rest);
    assert!(begun.elapsed().as_secs() <= 20, "{:?}", begun.elapsed());
    dripping.join().unwrap();
    assert_eq!(secure.exchange(to("one.test")).status, 200);
    // Anybody can do this: the log is not filled with it.
    assert!(
        !airside.stderr().contains("andshake"),
        "{}",
        airside.stderr()
    );
}

#[test]
fn a_client_certificate_that_nobody_verified_never_reaches_an_upstream() {
    let origin = Origin::start();
    let airside = crate::support::edge::gateway(ROUTES)
        .origin(&origin)
        .start();
    let forged = [
        ("client-cert", "x"),
        ("Client-Cert-Chain", "x"),
        ("X-Client-Cert-Subject", "CN=root"),
        ("X_Client_Cert_Subject", "y"),
    ];
    assert_eq!(
        airside.raw().exchange(request("GET", "/a", &forged)).status,
        200
    );
    for (name, _) in forged {
        assert_eq!(origin.last().header(name), None, "{name}");
    }
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
}
