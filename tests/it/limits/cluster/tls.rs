//! Redis behind TLS and a password: verified, always, and nothing secret is ever said.

use super::*;
use crate::support::tls::Authority;

/// A gateway whose limit refuses everything while Redis is away.
fn gateway_with(url: &str, ca: Option<&Authority>, origin: &Origin) -> Airside {
    let authority = ca.map_or(String::new(), |_| ", ca: authority.pem".to_owned());
    let top = format!(
        "redis: {{ url: \"{url}\", timeout: {PATIENT}{authority} }}\n\
         limits: {{ all: {{ rate: 3/1h, scope: cluster, on_store_error: deny }} }}"
    );
    let set_up = edge::with_top(&top, ROUTES).origin(origin);
    let set_up = match ca {
        Some(authority) => set_up.file("authority.pem", authority.pem()),
        None => set_up,
    };
    set_up.start()
}

fn statuses(airside: &Airside, calls: usize) -> Vec<u16> {
    let calls = (0..calls).map(|_| airside.raw().exchange(get("/")).status);
    calls.collect()
}

#[test]
fn gateways_count_together_over_tls() {
    let authority = Arc::new(Authority::new("of the servers"));
    let mut redis = Redis::secure(&authority);
    let origin = Origin::start();
    let url = format!("rediss://localhost:{}/0", redis.address().port());
    let start = || gateway_with(&url, Some(&authority), &origin);
    let (one, other) = (start(), start());
    assert_eq!(statuses(&one, 2), [200, 200]);
    assert_eq!(statuses(&other, 2), [200, 429]);
    assert_eq!(statuses(&one, 1), [429]);
    // It comes back empty, and is found again.
    redis.restart();
    wait_for("the server's return", || statuses(&one, 1) == [200]);
}

#[test]
fn a_server_of_another_authority_or_name_is_none() {
    let authority = Arc::new(Authority::new("of the servers"));
    let redis = Redis::secure(&authority);
    let (origin, stranger) = (Origin::start(), Authority::new("a stranger"));
    let port = redis.address().port();
    for (url, ca, why) in [
        // Its certificate is by somebody else, and by nobody whom the system knows.
        (format!("rediss://localhost:{port}"), Some(&stranger), "TLS"),
        (format!("rediss://localhost:{port}"), None, "TLS"),
        // It is for `localhost`.
        (
            format!("rediss://127.0.0.1:{port}"),
            Some(&*authority),
            "TLS",
        ),
        // It speaks nothing else.
        (format!("redis://localhost:{port}"), None, "away"),
    ] {
        let airside = gateway_with(&url, ca, &origin);
        assert_eq!(statuses(&airside, 2), [429, 429], "{url}");
        let told = airside.stderr();
        assert!(told.contains("away (") && told.contains(why), "{told}");
    }
}

#[test]
fn an_authority_that_can_not_be_read_stops_the_start_and_is_named() {
    let top = "redis: { url: \"rediss://localhost:1\", ca: nobody.pem }";
    let origin = Origin::start();
    let ended = edge::with_top(top, ROUTES.replace("[all]", "[]").as_str())
        .origin(&origin)
        .run_to_its_end();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("redis.ca: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("nobody.pem"), "{}", ended.stderr);
}

#[test]
fn user_password_and_database_are_those_of_the_url_and_never_said() {
    let redis = Redis::told(&[
        "--requirepass",
        "none-of-yours",
        "--user",
        "gate",
        "on",
        ">pass%word/1",
        "~airside:*",
        "+@all",
    ]);
    let origin = Origin::start();
    let address = redis.address();
    // Percent-encoded, as in every URL.
    let url = format!("redis://gate:pass%25word%2F1@{address}/5");
    let airside = gateway_with(&url, None, &origin);
    assert_eq!(statuses(&airside, 4), [200, 200, 200, 429]);
    let admin = format!("redis://:none-of-yours@{address}/5");
    let mut direct = redis::Client::open(admin)
        .unwrap()
        .get_connection()
        .unwrap();
    let keys: Vec<String> = direct.keys("airside:all:*").unwrap();
    assert_eq!(keys.len(), 1, "in the database of the URL");

    let wrong = format!("redis://gate:not-the-pass-word@{address}/5");
    let refused = gateway_with(&wrong, None, &origin);
    assert_eq!(statuses(&refused, 2), [429, 429]);
    for (airside, secret) in [(&airside, "pass%"), (&refused, "not-the-pass")] {
        let told = airside.stderr();
        assert!(!told.contains(secret), "{told}");
    }
    assert!(refused.stderr().contains("away ("), "{}", refused.stderr());
}
