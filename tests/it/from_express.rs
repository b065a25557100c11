//! The page for those who come from Express: its file runs as it stands, and does what the middleware did.

use std::fs;

use crate::support::edge::{assert_refused, get, request};
use crate::support::origin::Origin;
use crate::support::server::Airside;

/// The page's whole file, on ports of this test's own.
fn file() -> String {
    let page = format!("{}/docs/FROM_EXPRESS.md", env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```yaml whole\n").expect("the whole file");
    let mut file = rest.split_once("\n```").unwrap().0.to_owned();
    for (address, name) in [
        ("\"127.0.0.1:3001\"", "\"{gateway}\""),
        ("127.0.0.1:3002", "\"{identity}\""),
        ("\"127.0.0.1:3000\"", "\"{flights}\""),
        ("\"127.0.0.1:4000\"", "\"{bookings}\""),
        // This test is the proxy in front.
        ("[10.0.0.0/8]", "[10.0.0.0/8, 127.0.0.1]"),
    ] {
        assert!(file.contains(address), "{address}");
        file = file.replace(address, name);
    }
    file + "\nadmin: { listen: \"{admin}\" }\n"
}

fn start() -> (Airside, Origin, Origin) {
    let (flights, bookings) = (Origin::start(), Origin::start());
    let set_up = Airside::with(&file());
    let set_up = set_up.set("flights", flights.address());
    let airside = set_up.set("bookings", bookings.address()).start();
    (airside, flights, bookings)
}

#[test]
fn it_is_sound_without_a_word_of_advice() {
    let output = Airside::with(&file())
        .set("flights", "127.0.0.1:1")
        .set("bookings", "127.0.0.1:2")
        .command(&["check"], "");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
}

#[test]
fn each_line_of_middleware_has_its_like() {
    let (airside, flights, bookings) = start();
    let mut raw = airside.raw();
    let own = |address| {
        [
            ("X-Forwarded-For", address),
            ("Origin", "https://app.example.com"),
        ]
    };

    // createProxyMiddleware, pathRewrite
    let found = raw.exchange(request("GET", "/flights/7?a=b", &own("203.0.113.1")));
    assert_eq!(
        (found.status, flights.last().target.as_str()),
        (200, "/api/v1/flights/7?a=b")
    );
    let office = raw.exchange(request("GET", "/office/x", &own("192.0.2.7")));
    assert_eq!(
        (office.status, bookings.last().target.as_str()),
        (200, "/x")
    );
    // helmet and cors, on refusals too
    let refused = raw.exchange(request("POST", "/flights/7", &own("203.0.113.1")));
    assert_refused(&refused, 401, "unauthenticated");
    let none = raw.exchange(request("GET", "/none", &own("203.0.113.1")));
    assert_refused(&none, 404, "no_route");
    for answer in [&found, &refused, &none, &office] {
        assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
        assert_eq!(answer.header("x-xss-protection"), "0");
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'self';")
        );
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "https://app.example.com"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), "true");
    }
    let preflight = [
        ("X-Forwarded-For", "203.0.113.1"),
        ("Origin", "https://app.example.com"),
        ("Access-Control-Request-Method", "POST"),
    ];
    let preflight = raw.exchange(request("OPTIONS", "/flights/7", &preflight));
    assert_eq!(
        (preflight.status, preflight.header("access-control-max-age")),
        (204, "3600")
    );
    assert_eq!(preflight.header("access-control-allow-methods"), "POST");
    // jwt.verify, ipfilter, send, redirect
    let strange = raw.exchange(request(
        "GET",
        "/bookings/1",
        &[("x-access-token", "a.b.c")],
    ));
    assert_refused(&strange, 401, "unauthenticated");
    let outside = raw.exchange(request("GET", "/office/x", &own("203.0.113.1")));
    assert_refused(&outside, 403, "forbidden");
    assert_eq!(raw.exchange(get("/ping")).text(), "pong");
    let moved = raw.exchange(get("/old/7"));
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, "/flights/7")
    );
    // rateLimit: 20 in two minutes for one address, wherever it calls
    for call in 0..20 {
        let target = if call % 2 == 0 { "/ping" } else { "/flights/7" };
        let answer = raw.exchange(request("GET", target, &own("198.51.100.1")));
        assert_eq!(answer.status, 200, "{call}");
    }
    let much = raw.exchange(request("GET", "/ping", &own("198.51.100.1")));
    assert_refused(&much, 429, "rate_limited");
    assert_eq!(
        raw.exchange(request("GET", "/ping", &own("198.51.100.2")))
            .status,
        200
    );
}

/// `checkRole` lets a company add a flight and a customer not.
#[tokio::test(flavor = "multi_thread")]
async fn check_role_has_its_like() {
    use crate::support::people::{Api, PASSWORD, add_user};
    let (airside, flights, _bookings) = start();
    let file = airside.folder().join("airside.yaml");
    for (email, role) in [
        ("air@example.com", "flight_company"),
        ("ada@example.com", "customer"),
    ] {
        assert!(add_user(&file, email, &[role], PASSWORD).status.success());
    }
    let api = Api::at(airside.url(""));
    let customer = api.token("ada@example.com").await;
    api.ask("POST", "/flights", &customer)
        .await
        .refused(403, "forbidden");
    assert_eq!(flights.count(), 0);
    let company = api.token("air@example.com").await;
    assert_eq!(api.ask("POST", "/flights", &company).await.status, 200);
    assert_eq!(
        flights.last().header("x-auth-roles"),
        Some("flight_company")
    );
}
