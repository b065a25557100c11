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
