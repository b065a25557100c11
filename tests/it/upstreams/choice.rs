//! Which server gets a request, over real connections: weights, stickiness, canaries, and how many connections stay.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use super::start;
use crate::support::edge::{self, get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::people::Api;

#[test]
fn round_robin_goes_by_weight_exactly() {
    let (one, two) = (Origin::start(), Origin::start());
    let top = "upstreams:\n  origin: { servers: [\"{one}\", { address: \"{two}\", weight: 3 }], balance: round_robin }";
    let airside = edge::with_top(top, super::ROUTE)
        .set("one", one.address())
        .set("two", two.address())
        .start();
    let mut raw = airside.raw();
    for _ in 0..40 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!((one.count(), two.count()), (10, 30));
}

#[test]
fn random_goes_by_weight_within_four_standard_deviations() {
    let (one, two) = (Origin::start(), Origin::start());
    let top = "upstreams:\n  origin: { servers: [\"{one}\", { address: \"{two}\", weight: 3 }], balance: random }";
    let airside = edge::with_top(top, super::ROUTE)
        .set("one", one.address())
        .set("two", two.address())
        .start();
    let mut raw = airside.raw();
    for _ in 0..800 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    // A quarter of 800, and 12.2 each way is one deviation.
    assert!((151..=249).contains(&one.count()), "{}", one.count());
    assert_eq!(one.count() + two.count(), 800);
}

#[test]
fn the_busier_server_gets_fewer_requests_where_nothing_else_is_said() {
    let (quick, slow) = (Origin::start(), Origin::start());
    slow.on("/a", Reply::new(200, "").after(Duration::from_millis(100)));
    let airside = start(&[&quick, &slow], "");
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut raw = airside.raw();
                for _ in 0..25 {
                    assert_eq!(raw.exchange(get("/a")).status, 200);
                }
            });
        }
    });
    assert_eq!(quick.count() + slow.count(), 200);
    // In turn it would be half of them.
    assert!(slow.count() <= 60, "{} of 200", slow.count());
}

const PEOPLE: &str = r#"server: { trusted_proxies: [127.0.0.0/8] }
identity: { listen: "{identity}", store: "sqlite:airside.db", keys: keys, issuer: https://a.test, audience: a, password: { bcrypt_cost: 10 }, signup: { enabled: true, roles: [customer] }, roles: [admin, customer] }"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_stays_at_a_server_and_in_a_canary_from_whatever_address_and_others_by_theirs() {
    let (one, two) = (Origin::start(), Origin::start());
    for origin in [&one, &two] {
        origin.on("/a", Reply::new(200, origin.address().to_string()));
    }
    let hashed =
        "upstreams:\n  origin: { servers: [\"{one}\", \"{two}\"], balance: hash, by: user }";
    let canary =
        "upstreams:\n  stable: { servers: [\"{one}\"] }\n  canary: { servers: [\"{two}\"] }";
    let (to_one, to_both) = ("upstream: origin", "upstream: { stable: 50, canary: 50 }");
    for (upstreams, target) in [(hashed, to_one), (canary, to_both)] {
        let routes = format!(
            "  - {{ path: /auth/*, upstream: identity }}\n  - {{ path: /open/*, {target}, rewrite: \"/{{rest}}\" }}\n  - {{ path: /own/*, {target}, auth: required, rewrite: \"/{{rest}}\" }}"
        );
        let airside = edge::with_top(&format!("{PEOPLE}\n{upstreams}"), &routes)
            .set("one", one.address())
            .set("two", two.address())
            .start();
        let api = Api::at(airside.url(""));
        let mut raw = airside.raw();
        let mut ask = |path: &str, address: usize, token: &str| {
            let from = format!("203.0.113.{address}");
            let bearer = format!("Bearer {token}");
            let mut headers = vec![("X-Forwarded-For", from.as_str())];
            if !token.is_empty() {
                headers.push(("Authorization", &bearer));
            }
            let answer = raw.exchange(request("GET", path, &headers));
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.text()
        };
        // Without a user the address decides, and these come to both.
        let strangers: Vec<_> = (0..64).map(|from| ask("/open/a", from, "")).collect();
        let again: Vec<_> = (0..64).map(|from| ask("/open/a", from, "")).collect();
        assert_eq!(strangers, again);
        assert!(
            strangers.iter().any(|home| *home != strangers[0]),
            "{target}"
        );
        for name in ["ann", "ben", "cat"] {
            let (_, token) = api.join(&format!("{name}@example.com")).await;
            let home = ask("/own/a", 0, &token);
            for from in 1..64 {
                assert_eq!(ask("/own/a", from, &token), home, "{name}: {target}");
            }
        }
    }
}

#[test]
fn a_caller_by_hash_stays_at_its_server_and_moves_only_when_that_is_gone() {
    for (keys, header) in [
        ("balance: hash, by: \"header:X-Key\"", "X-Key"),
        ("balance: hash, by: \"cookie:sid\"", "Cookie"),
    ] {
        let keys = format!("{keys}, retry: {{ on: [connect] }}");
        let (one, two) = (Origin::start(), Origin::start());
        let airside = start(&[&one, &two], &keys);
        for origin in [&one, &two] {
            origin.on("/a", Reply::new(200, origin.address().to_string()));
        }
        let mut raw = airside.raw();
        let mut ask = |caller: usize| {
            let value = match header {
                "Cookie" => format!("other=1; sid=c{caller}"),
                _ => format!("c{caller}"),
            };
            raw.exchange(request("GET", "/a", &[(header, &value)]))
                .text()
        };
        let homes: Vec<_> = (0..40).map(&mut ask).collect();
        let at_one = homes
            .iter()
            .filter(|home| **home == one.address().to_string());
        assert!((8..=32).contains(&at_one.count()), "{homes:?}");
        for (caller, home) in homes.iter().enumerate() {
            assert_eq!(ask(caller), *home, "{header} {caller}");
        }
        drop(two);
        let gone: Vec<_> = (0..40).map(&mut ask).collect();
        let home = one.address().to_string();
        assert!(gone.iter().all(|found| *found == home), "{gone:?}");
    }
}

#[test]
fn connections_above_keepalive_are_closed_after_their_answer() {
    let origin = Origin::start();
    let airside = start(&[&origin], "keepalive: 0");
    let mut raw = airside.raw();
    for _ in 0..5 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!(origin.connections(), 5);
    assert_eq!(origin.last().header("connection"), Some("close"));
    let kept = Origin::start();
    let airside = start(&[&kept], "keepalive: 1");
    let mut raw = airside.raw();
    for _ in 0..5 {
        assert_eq!(raw.exchange(get("/a")).status, 200);
    }
    assert_eq!(kept.connections(), 1);
    assert_eq!(kept.last().header("connection"), None);
}

#[test]
fn every_kind_of_answer_leaves_its_connection_to_the_next_request() {
    let origin = Origin::start();
    for status in [204, 304, 404, 500] {
        origin.on(&format!("/{status}"), Reply::new(status, ""));
    }
    let airside = start(&[&origin], "keepalive: 8");
    let mut raw = airside.raw();
    for _ in 0..3 {
        for path in ["/204", "/304", "/404", "/500", "/a"] {
            raw.exchange(get(path));
        }
        raw.send(request("HEAD", "/a", &[]));
        raw.try_read("HEAD").unwrap();
        raw.exchange("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    }
    assert_eq!((origin.count(), origin.connections()), (21, 1));
}

#[test]
fn an_unused_connection_is_closed_before_servers_of_node_close_it() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let top = "upstreams:\n  origin: { servers: [\"{server}\"] }";
    let airside = edge::with_top(top, "  - { path: /*, upstream: origin }")
        .set("server", server.local_addr().unwrap())
        .start();
    let unused = thread::spawn(move || {
        let (mut connection, _) = server.accept().unwrap();
        let mut asked = [0; 1_024];
        assert!(connection.read(&mut asked).unwrap() > 0);
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        connection.write_all(answer).unwrap();
        let answered = Instant::now();
        assert_eq!(connection.read(&mut asked).unwrap(), 0);
        answered.elapsed()
    });
    assert_eq!(airside.raw().exchange(get("/a")).text(), "ok");
    let unused = unused.join().unwrap();
    let (shortest, longest) = (Duration::from_millis(3_900), Duration::from_millis(4_900));
    assert!((shortest..longest).contains(&unused), "{unused:?}");
}

#[test]
fn a_canary_is_stable_for_a_caller() {
    let (stable, canary) = (Origin::start(), Origin::start());
    let top = "server: { trusted_proxies: [127.0.0.0/8] }\nupstreams:\n  stable: { servers: [\"{stable}\"] }\n  canary: { servers: [\"{canary}\"] }";
    let routes = "  - { path: /*, upstream: { stable: 80, canary: 20 } }";
    let airside = edge::with_top(top, routes)
        .set("stable", stable.address())
        .set("canary", canary.address())
        .start();
    for origin in [&stable, &canary] {
        origin.on("/a", Reply::new(200, origin.address().to_string()));
    }
    let mut raw = airside.raw();
    let mut ask = |client: usize| {
        let address = format!("203.0.113.{client}");
        raw.exchange(request("GET", "/a", &[("X-Forwarded-For", &address)]))
            .text()
    };
    let homes: Vec<_> = (0..250).map(&mut ask).collect();
    for (client, home) in homes.iter().enumerate() {
        assert_eq!(ask(client), *home);
    }
    let at_canary = homes
        .iter()
        .filter(|home| **home == canary.address().to_string());
    let count = at_canary.count();
    // A fifth of 250, with four standard deviations.
    assert!((25..=75).contains(&count), "{count}");
}
