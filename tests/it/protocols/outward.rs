//! What is spoken with upstreams: TLS that is always verified, client certificates, HTTP/2.

use crate::support::edge::{assert_refused, get, request, with_top};
use crate::support::raw::Response;
use crate::support::secure::{Manner, SecureOrigin};
use crate::support::server::Airside;
use crate::support::tls::{Authority, Leaf};
use crate::support::wait::wait_for;

const ROUTES: &str =
    "  - { path: /*, upstream: origin }\n  - { path: /few, upstream: origin, max_body: 1KiB }";

/// A gateway whose upstream has these keys; `ca.pem` and `me` lie beside its configuration.
fn start(origin: &SecureOrigin, keys: &str, authority: &Authority, me: Option<&Leaf>) -> Airside {
    let top = format!(
        "upstreams:\n  origin: {{ servers: [\"{}\"], {keys} }}",
        origin.address()
    );
    let set_up = with_top(&top, ROUTES).file("ca.pem", authority.pem());
    if let Some(me) = me {
        me.write(set_up.folder(), "me");
    }
    set_up.start()
}

fn ask(airside: &Airside) -> Response {
    airside.raw().exchange(get("/a"))
}

#[test]
fn a_servers_certificate_must_be_of_the_authority_and_bear_the_name() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let good = ours.sign(&["partners.test", "127.0.0.1"]);
    let named = "tls: { server_name: partners.test, ca: ca.pem }";
    let cases = [
        ("the name", good.clone(), named, true),
        (
            "the address, where no name is said",
            good.clone(),
            "tls: { ca: ca.pem }",
            true,
        ),
        ("another name", ours.sign(&["else.test"]), named, false),
        (
            "a name and no address",
            ours.sign(&["partners.test"]),
            "tls: { ca: ca.pem }",
            false,
        ),
        (
            "another authority",
            theirs.sign(&["partners.test"]),
            named,
            false,
        ),
        (
            "the system's authorities",
            good,
            "tls: { server_name: partners.test }",
            false,
        ),
        (
            "one that is over",
            ours.sign_until(&["partners.test"], 2_020),
            named,
            false,
        ),
    ];
    for (what, leaf, keys, fits) in cases {
        let manner = Manner {
            leaf: Some(&leaf),
            ..Manner::default()
        };
        let origin = SecureOrigin::start(&manner);
        let airside = start(&origin, keys, &ours, None);
        let answer = ask(&airside);
        if fits {
            assert_eq!(answer.status, 200, "{what}");
            assert_eq!(origin.last()["version"], "HTTP/1.1");
        } else {
            assert_refused(&answer, 502, "upstream_unreachable");
            assert_eq!(origin.count(), 0, "{what}");
            let told = || airside.stderr().contains("invalid peer certificate");
            wait_for(&format!("the reason: {what}"), told);
            assert_eq!(airside.wait_for_access_log(1)[0]["reason"], "tls", "{what}");
        }
    }
}

#[test]
fn a_server_without_tls_is_not_spoken_to_in_the_clear() {
    let authority = Authority::new("ours");
    let origin = SecureOrigin::start(&Manner::default());
    let airside = start(
        &origin,
        "tls: { server_name: partners.test, ca: ca.pem }",
        &authority,
        None,
    );
    assert_refused(&ask(&airside), 502, "upstream_unreachable");
    assert_eq!(origin.count(), 0);
}

#[test]
fn a_client_certificate_is_shown_where_one_is_configured() {
    let authority = Authority::new("ours");
    let leaf = authority.sign(&["partners.test"]);
    let me = authority.sign(&["me.test"]);
    let manner = Manner {
        leaf: Some(&leaf),
        clients: Some(&authority),
        ..Manner::default()
    };
    let origin = SecureOrigin::start(&manner);
    let keys = "tls: { server_name: partners.test, ca: ca.pem, cert: me.pem, key: me.key }";
    let airside = start(&origin, keys, &authority, Some(&me));
    assert_eq!(ask(&airside).status, 200);
    let airside = start(
        &origin,
        "tls: { server_name: partners.test, ca: ca.pem }",
        &authority,
        None,
    );
    assert_refused(&ask(&airside), 502, "upstream_unreachable");
}

#[test]
fn files_that_can_not_be_used_stop_the_start() {
    let authority = Authority::new("ours");
    let me = authority.sign(&["me.test"]);
    let mixed = Leaf {
        cert: me.cert.clone(),
        key: authority.sign(&["me.test"]).key,
    };
    for (keys, leaf, words) in [
        ("tls: { ca: none.pem }", &me, "none.pem"),
        ("tls: { ca: me.key }", &me, "holds no certificate"),
        (
            "tls: { cert: me.pem, key: me.key }",
            &mixed,
            "do not belong together",
        ),
    ] {
        let top = format!("upstreams:\n  origin: {{ servers: [\"127.0.0.1:1\"], {keys} }}");
        let set_up = with_top(&top, ROUTES);
        leaf.write(set_up.folder(), "me");
        let ended = set_up.run_to_its_end();
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn http2_is_spoken_over_tls_where_the_server_can_and_else_http1() {
    let authority = Authority::new("ours");
    let leaf = authority.sign(&["partners.test"]);
    let keys = "protocol: http2, tls: { server_name: partners.test, ca: ca.pem }";
    for (alpn, version) in [
        (&["h2", "http/1.1"][..], "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1"),
        (&[], "HTTP/1.1"),
    ] {
        let manner = Manner {
            leaf: Some(&leaf),
            alpn,
            clients: None,
        };
        let origin = SecureOrigin::start(&manner);
        let airside = start(&origin, keys, &authority, None);
        assert_eq!(ask(&airside).status, 200);
        let seen = origin.last();
        assert_eq!(seen["version"], version, "{alpn:?}");
        assert_eq!(seen["headers"]["x-forwarded-host"], "edge.test");
    }
}

#[test]
fn http2_without_tls_carries_bodies_and_many_requests_on_few_connections() {
    let authority = Authority::new("ours");
    let origin = SecureOrigin::start(&Manner::default());
    let airside = start(&origin, "protocol: http2", &authority, None);
    let mut raw = airside.raw();
    for length in [0, 1, 70_000, 3_000_000] {
        let head = format!(
            "POST /a%20b?q=1 HTTP/1.1\r\nHost: edge.test:81\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer = raw.exchange([head.as_bytes(), &vec![b'y'; length]].concat());
        assert_eq!(answer.status, 200);
        let seen = answer.json();
        assert_eq!(seen["version"], "HTTP/2.0");
        assert_eq!(seen["length"], length);
        assert_eq!(seen["authority"], "edge.test:81");
        assert_eq!(seen["path"], "/a%20b");
        assert_eq!(seen["headers"].get("host"), None);
    }
    let large = raw.exchange(request("GET", "/a", &[("X-Answer-Bytes", "5000000")]));
    assert!(large.body.iter().all(|byte| *byte == b'x') && large.body.len() == 5_000_000);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut raw = airside.raw();
            std::thread::spawn(move || (0..10).all(|_| raw.exchange(get("/a")).status == 200))
        })
        .collect();
    assert!(clients.into_iter().all(|client| client.join().unwrap()));
    assert!(origin.connections() <= 22, "{}", origin.connections());
}

#[test]
fn a_body_that_grows_too_large_is_refused_on_its_way_to_http2() {
    let authority = Authority::new("ours");
    let origin = SecureOrigin::start(&Manner::default());
    let airside = start(&origin, "protocol: http2", &authority, None);
    let head = "POST /few HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let mut raw = airside.raw();
    raw.send(format!("{head}{chunk}{chunk}0\r\n\r\n"));
    assert_refused(&raw.read(), 413, "body_too_large");
    assert_eq!(origin.count(), 0);
}

#[test]
fn probes_speak_what_the_upstream_speaks() {
    let authority = Authority::new("ours");
    let leaf = authority.sign(&["127.0.0.1"]);
    let health = "health: { path: /well, every: 500ms, timeout: 500ms }";
    let cases = [
        (
            Some(&leaf),
            &["h2", "http/1.1"][..],
            "protocol: http2, tls: { ca: ca.pem }",
            "HTTP/2.0",
        ),
        (Some(&leaf), &[][..], "tls: { ca: ca.pem }", "HTTP/1.1"),
        (None, &[][..], "protocol: http2", "HTTP/2.0"),
    ];
    for (leaf, alpn, keys, version) in cases {
        let origin = SecureOrigin::start(&Manner {
            leaf,
            alpn,
            ..Manner::default()
        });
        let airside = start(&origin, &format!("{keys}, {health}"), &authority, None);
        wait_for("probes", || origin.count() > 2);
        assert_eq!(origin.last()["path"], "/well", "{keys}");
        assert_eq!(origin.last()["version"], version, "{keys}");
        assert!(!airside.stderr().contains("unhealthy"), "{keys}");
    }
    let theirs = Authority::new("theirs");
    let origin = SecureOrigin::start(&Manner {
        leaf: Some(&leaf),
        ..Manner::default()
    });
    let keys = format!("tls: {{ ca: ca.pem }}, {health}");
    let airside = start(&origin, &keys, &theirs, None);
    wait_for("a verdict", || {
        airside
            .stderr()
            .contains("is unhealthy: /well was not answered")
    });
    assert_refused(&ask(&airside), 503, "no_healthy_upstream");
}
