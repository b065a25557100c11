//! What the admin listener tells of the configuration and of refusals, and what it never tells.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::edge::{get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::raw::{Response, once};
use crate::support::server::Airside;
use crate::support::wait::until;

const TOKEN: &str = "a-token-of-some-length";

const CONFIG: &str = r#"listeners: [{ address: "{gateway}" }]
admin:
  listen: "{admin}"
  token: a-token-of-some-length
identity: { listen: "{identity}", store: "sqlite::memory:", keys: "{folder}/keys" }
upstreams:
  origin: { servers: ["{origin}"], tls: null }
limits:
  once: { rate: 1/1h, by: [ip, route] }
defaults: { auth: public }
routes:
  - path: /once
    upstream: origin
    limits: [once]
  - path: /own
    upstream: origin
    limits: [{ rate: 1/1h, by: "header:X-Key" }]
  - path: /closed
    upstream: origin
    deny: [127.0.0.1]
  - name: members
    path: /members
    upstream: origin
    auth: { roles: [member] }
  - path: /slow
    upstream: origin
    timeout: 200ms
  - path: /small
    upstream: origin
    max_body: 1B
    request_headers: { set: { X-Upstream-Secret: "${env:AIRSIDE_TEST_SECRET}", X-Api-Key: hunter2 } }
"#;

fn start(origin: &Origin) -> Airside {
    let config = CONFIG.replace(", tls: null", "");
    let set_up = Airside::with(&config).origin(origin);
    set_up.env("AIRSIDE_TEST_SECRET", "hunter2").start()
}

fn ask(airside: &Airside, path: &str, headers: &[(&str, &str)]) -> Response {
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let mut all = vec![("Authorization", bearer.as_str())];
    all.extend(headers);
    once(address, request("GET", path, &all))
}

/// What is told of the refusal that this answer is.
#[track_caller]
fn denial(airside: &Airside, refused: &Response) -> Value {
    let id = refused.json()["request_id"].as_str().unwrap().to_owned();
    // It is kept when the request is over, a moment after its answer.
    let found = until(crate::support::wait::PATIENCE, || {
        let answer = ask(airside, &format!("/denials/{id}"), &[]);
        (answer.status == 200).then(|| answer.json())
    });
    let found = found.expect("a denial");
    assert_eq!(found["request_id"], id.as_str());
    found
}

#[test]
fn a_refusal_can_be_asked_for_its_rule_and_its_line() {
    let origin = Origin::start();
    origin.on(
        "/slow",
        Reply::new(200, "").after(std::time::Duration::from_secs(5)),
    );
    let airside = start(&origin);
    let line = |text: &str| {
        let mut lines = CONFIG.lines();
        1 + lines.position(|line| line.contains(text)).unwrap()
    };
    let mut raw = airside.raw();
    raw.exchange(get("/once"));
    raw.exchange(request("GET", "/own", &[("X-Key", "hunter2")]));
    for (asked, status, code, route, name, at, limit) in [
        (
            get("/once"),
            429,
            "rate_limited",
            json!("/once"),
            "limits.once",
            line("  once:"),
            json!({ "name": "once", "by": "ip, route" }),
        ),
        (
            request("GET", "/own", &[("X-Key", "hunter2")]),
            429,
            "rate_limited",
            json!("/own"),
            "limits",
            line("by: \"header:X-Key\""),
            json!({ "name": "/own", "by": "header:x-key" }),
        ),
        (
            get("/closed"),
            403,
            "forbidden",
            json!("/closed"),
            "deny",
            line("deny:"),
            json!(null),
        ),
        (
            request("GET", "/members", &[("Authorization", "Bearer hunter2")]),
            401,
            "unauthenticated",
            json!("members"),
            "auth",
            line("auth: { roles"),
            json!(null),
        ),
        (
            request("POST", "/small", &[("Content-Length", "2")]) + "ab",
            413,
            "body_too_large",
            json!("/small"),
            "max_body",
            line("max_body"),
            json!(null),
        ),
        (
            get("/slow"),
            504,
            "upstream_timeout",
            json!("/slow"),
            "timeout",
            line("timeout:"),
            json!(null),
        ),
        (
            get("/nowhere"),
            404,
            "no_route",
            json!(null),
            "routes",
            line("  - path: /once"),
            json!(null),
        ),
    ] {
        let refused = airside.raw().exchange(&asked);
        assert_eq!(refused.status, status, "{asked}");
        let told = denial(&airside, &refused);
        assert_eq!(
            (&told["status"], &told["code"]),
            (&json!(status), &json!(code)),
            "{told}"
        );
        assert_eq!(told["route"], route, "{told}");
        assert_eq!(told["rule"]["name"], name, "{told}");
        assert_eq!(told["rule"]["line"], at, "{told}");
        assert!(told["rule"]["column"].as_u64().unwrap() > 0, "{told}");
        let file = told["rule"]["file"].as_str().unwrap();
        assert!(file.ends_with("airside.yaml"), "{told}");
        assert_eq!(told["limit"], limit, "{told}");
        assert!(
            told["reason"].is_string() && told["at"].is_string(),
            "{told}"
        );
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
}

#[test]
fn a_request_that_was_not_refused_is_no_denial() {
    let origin = Origin::start();
    let airside = start(&origin);
    airside.raw().exchange(get("/once"));
    let logged = airside.wait_for_access_log(1);
    let id = logged[0]["request_id"].as_str().unwrap();
    for id in [id, "nobody", "%00", "..%2fconfig"] {
        let answer = ask(&airside, &format!("/denials/{id}"), &[]);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (404, &"no_route".into()),
            "{id}"
        );
    }
}

/// As far as anybody can tell from outside, however many are refused.
#[test]
fn a_flood_of_refusals_of_one_code_leaves_those_of_another_to_be_asked_for() {
    let origin = Origin::start();
    let airside = start(&origin);
    let closed = airside.raw().exchange(get("/closed"));
    let mut raw = airside.raw();
    let first = raw.exchange(get("/nowhere"));
    denial(&airside, &first);
    let bound = airside::telemetry::denials::OF_EACH_CODE;
    for _ in 0..bound {
        raw.exchange(get("/nowhere"));
    }
    let last = raw.exchange(get("/nowhere"));
    denial(&airside, &last);
    denial(&airside, &closed);
    let id = first.json()["request_id"].as_str().unwrap().to_owned();
    assert_eq!(ask(&airside, &format!("/denials/{id}"), &[]).status, 404);
}

#[test]
fn the_configuration_in_place_is_shown_whole_and_without_secrets() {
    let origin = Origin::start();
    let mut airside = start(&origin);
    let shown = ask(&airside, "/config", &[]);
    assert_eq!(
        (shown.status, shown.header("content-type")),
        (200, "application/json")
    );
    let text = shown.text();
    assert!(!text.contains("hunter2") && !text.contains(TOKEN), "{text}");
    let config = shown.json();
    for (pointer, expected) in [
        ("/admin/token", json!("***")),
        ("/server/drain", json!("30s")),
        ("/limits/once/max_keys", json!(100_000)),
        ("/routes/0/auth", json!("public")),
        ("/routes/3/auth/roles", json!(["member"])),
        (
            "/routes/5/request_headers/set/X-Upstream-Secret",
            json!("${env:AIRSIDE_TEST_SECRET}"),
        ),
        ("/routes/5/request_headers/set/X-Api-Key", json!("***")),
    ] {
        assert_eq!(config.pointer(pointer), Some(&expected), "{pointer}");
    }
    let yaml = ask(&airside, "/config", &[("Accept", "application/yaml")]);
    assert_eq!(yaml.header("content-type"), "application/yaml");
    let read: Value = serde_yaml::from_str(&yaml.text()).unwrap();
    assert_eq!(read, config);

    // What is refused is not in place; what is put in place is shown.
    airside.write_config("listeners: nothing");
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let reload = request("POST", "/reload", &[("Authorization", &bearer)]);
    assert_eq!(once(address, &reload).status, 422);
    assert_eq!(ask(&airside, "/config", &[]).json(), config);
    let other = CONFIG
        .replace(", tls: null", "")
        .replace("1/1h, by: [ip, route]", "7/1h");
    airside.write_config(&other);
    assert_eq!(once(address, &reload).status, 200);
    let rate = ask(&airside, "/config", &[]).json()["limits"]["once"]["rate"].clone();
    assert_eq!(rate, "7/1h");
}

#[test]
fn only_who_has_the_token_is_told() {
    let origin = Origin::start();
    let airside = start(&origin);
    let refused = airside.raw().exchange(get("/closed"));
    denial(&airside, &refused);
    let id = refused.json()["request_id"].as_str().unwrap().to_owned();
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    for path in [
        "/config",
        "/routes",
        "/upstreams",
        "/metrics",
        &format!("/denials/{id}"),
    ] {
        for token in ["", "Bearer nobodys-token-at-all"] {
            let answer = once(address, request("GET", path, &[("Authorization", token)]));
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.json()["code"], "unauthenticated", "{path}");
        }
    }
}
