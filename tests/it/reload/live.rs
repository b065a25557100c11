//! What a reload changes while requests pass: whose tokens are taken, what is logged, whose word is believed.

use std::time::Instant;

use super::*;
use crate::support::corp::{Corp, JWKS};

const CORP: &str = "https://login.corp.example";

/// An issuer `corp` whose keys come from this server, at this path, and one more key of its mapping.
fn with_issuer(keys: &Origin, path: &str, more: &str) -> String {
    let issuers = format!(
        "issuers:\n  corp: {{ issuer: \"{CORP}\", audience: [api], algorithms: [ES256], \
         jwks: \"http://{}{path}\"{more} }}",
        keys.address()
    );
    saying("one", &issuers)
        + "  - { path: /in, respond: { status: 200 }, auth: { issuers: [corp] } }\n"
}

fn come_in(airside: &Airside, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    let asked = request("GET", "/in", &[("Authorization", &bearer)]);
    airside.raw().exchange(asked).status
}

#[test]
fn an_issuer_comes_changes_and_goes_and_keeps_its_keys_where_it_is_the_same() {
    let (keys, corp) = (Origin::start(), Corp::new(CORP));
    corp.publish(&keys);
    let other = corp.rotated();
    keys.on("/other.json", Reply::new(200, other.jwks().to_string()));
    let mut airside = Airside::start(&saying("one", ""));
    let token = corp.token("ES256");

    // Its keys are there before its first token.
    airside.write_config(&with_issuer(&keys, JWKS, ""));
    let begun = Instant::now();
    assert_eq!(reload(&airside).0, 200);
    // The reload waits two seconds for them; on a busy machine that may be too short.
    let waited = begun.elapsed() >= Duration::from_secs(2);
    assert!(come_in(&airside, &token) == 200 || waited);
    wait_for("its keys", || come_in(&airside, &token) == 200);
    assert_eq!(keys.count(), 1);

    // The same in other words: the keys stay, and nothing is fetched.
    let same = with_issuer(&keys, JWKS, ", leeway: 5s");
    airside.write_config(&format!("# moved\n{same}"));
    assert_eq!(reload(&airside).0, 200);
    assert_eq!(come_in(&airside, &token), 200);
    assert_eq!(keys.count(), 1, "kept");

    // Another definition is another issuer, with its own keys and no memory of tokens.
    airside.write_config(&with_issuer(&keys, "/other.json", ""));
    assert_eq!(reload(&airside).0, 200);
    wait_for("the other's keys", || {
        come_in(&airside, &other.token("ES256")) == 200
    });
    assert_eq!(come_in(&airside, &token), 401);

    // One whose keys can't be had holds nothing up for long, and is named.
    airside.write_config(&with_issuer(&keys, "/away.json", ""));
    keys.on("/away.json", Reply::new(500, "no"));
    assert_eq!(reload(&airside).0, 200);
    assert_eq!(come_in(&airside, &other.token("ES256")), 503);
    let ready = admin(&airside, get("/readyz"));
    assert_eq!(ready.status, 503);
    let missing = ready.json()["not_ready"]["issuers.corp"].to_string();
    assert!(missing.contains("no keys"), "{missing}");

    // Gone: nobody asks for its keys, and nobody misses it.
    airside.write_config(&saying("two", ""));
    assert_eq!(reload(&airside).0, 200);
    assert_eq!(admin(&airside, get("/readyz")).status, 200);
    assert_refused(&airside.raw().exchange(get("/in")), 404, "no_route");
}

#[test]
fn a_refused_file_leaves_the_issuers_as_they_are() {
    let (keys, corp) = (Origin::start(), Corp::new(CORP));
    corp.publish(&keys);
    let mut airside = Airside::start(&with_issuer(&keys, JWKS, ""));
    let wrong = with_issuer(&keys, "/other.json", "") + "  - { path: /wrong }\n";
    airside.write_config(&wrong);
    assert_eq!(reload(&airside).0, 422);
    assert_eq!(come_in(&airside, &corp.token("ES256")), 200);
    assert_eq!(keys.count(), 1);
}

#[test]
fn the_programs_log_takes_another_level_and_another_form() {
    let log = |level: &str, format: &str| {
        saying(
            "one",
            &format!("telemetry: {{ log: {{ level: {level}, format: {format} }} }}"),
        )
    };
    let mut airside = Airside::start(&log("error", "text"));
    let reloaded = |airside: &Airside| airside.stderr().matches(": version ").count();
    airside.write_config(&log("info", "text"));
    assert_eq!(reload(&airside).0, 200);
    wait_for("a word at the new level", || reloaded(&airside) > 0);

    airside.write_config(&log("info", "json"));
    assert_eq!(reload(&airside).0, 200);
    let in_json = |airside: &Airside| {
        let said = airside.stderr();
        let mut lines = said.lines().filter(|line| line.starts_with('{'));
        lines
            .find(|line| line.contains(": version "))
            .map(str::to_owned)
    };
    wait_for("a word in the new form", || in_json(&airside).is_some());
    let line: Value = serde_json::from_str(&in_json(&airside).unwrap()).unwrap();
    assert_eq!(line["level"], "info");

    airside.write_config(&log("error", "json"));
    assert_eq!(reload(&airside).0, 200);
    let before = reloaded(&airside);
    assert_eq!(reload(&airside).0, 200);
    airside.write_config("wrong: [");
    assert_eq!(reload(&airside).0, 422);
    wait_for("an error", || airside.stderr().contains("not reloaded ("));
    assert_eq!(reloaded(&airside), before, "less is said now");
}

/// Edge and identity believe the same ones, before and after.
#[test]
fn identity_counts_by_the_addresses_of_the_new_trusted_proxies() {
    let trusting = |networks: &str| {
        let identity = "identity: { listen: \"{identity}\", store: \"sqlite::memory:\", keys: \"{folder}/keys\", \
                        password: { bcrypt_cost: 10 }, throttle: { ip_per_minute: 2 } }";
        saying(
            "one",
            &format!("server: {{ trusted_proxies: [{networks}] }}\n{identity}"),
        ) + "  - { path: /auth/*, upstream: identity }\n"
    };
    let mut airside = Airside::start(&trusting(""));
    wait_for("a key to sign with", || {
        admin(&airside, get("/readyz")).status == 200
    });
    let sign_in = |airside: &Airside, from: &str, name: &str| {
        let body = crate::support::people::account(name, "not the password").to_string();
        let length = body.len().to_string();
        let head = [
            ("Content-Type", "application/json"),
            ("Content-Length", &length),
            ("X-Forwarded-For", from),
        ];
        let asked = request("POST", "/auth/signin", &head) + &body;
        airside.raw().exchange(asked).status
    };
    // All of them are the peer's own.
    let first = ["203.0.113.1", "203.0.113.2", "203.0.113.3"];
    let answers = first.map(|from| sign_in(&airside, from, &format!("{from}@example.com")));
    assert_eq!(answers, [401, 401, 429]);
    airside.write_config(&trusting("127.0.0.1"));
    assert_eq!(reload(&airside).0, 200);
    assert_eq!(sign_in(&airside, "203.0.113.9", "nine@example.com"), 401);
}

/// A WebSocket finishes on the configuration that it began with, even where its route is gone.
#[test]
fn a_websocket_that_was_open_before_a_reload_echoes_after_it() {
    use tungstenite::Message;
    let echo = crate::support::websocket::Echo::start();
    let upstreams = format!(
        "upstreams: {{ echo: {{ servers: [\"{}\"] }} }}",
        echo.address()
    );
    let mut airside =
        Airside::start(&(saying("one", &upstreams) + "  - { path: /ws, upstream: echo }\n"));
    let stream = std::net::TcpStream::connect(airside.address()).unwrap();
    let url = format!("ws://{}/ws", airside.address());
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    let mut says = |text: &str| {
        socket.send(Message::text(text)).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(text));
    };
    says("before");
    for word in ["two", "three"] {
        airside.write_config(&saying(word, ""));
        assert_eq!(reload(&airside).0, 200);
        assert_eq!(which(&airside), word);
        says(word);
    }
    assert_refused(&airside.raw().exchange(get("/ws")), 404, "no_route");
}
