//! What is shown of a configuration, and what never is.

use serde_json::json;

use super::*;

const SOURCE: &str = r#"
listeners: [{ address: "${env:LISTEN:-10.0.0.1:3001}" }]
identity:
  store: mysql://airside:hunter2@db.internal:3306/airside?require_ssl=true&password=hunter2
  access_token: { algorithm: HS256, secret: hunter2hunter2hunter2hunter2hunter2 }
redis: { url: "redis://:hunter2@cache:6379/0" }
issuers:
  corp: { issuer: "https://login.example.com", audience: api, algorithms: [RS256], jwks: "https://hunter2@login.example.com/keys" }
admin: { listen: "127.0.0.1:3003", token: hunter2hunter2hunter2 }
limits: { tokens: { rate: 1/1s } }
telemetry: { tracing: { otlp: "http://127.0.0.1:4318", headers: { x-team: hunter2 } } }
upstreams:
  a: { servers: ["127.0.0.1:3000", { address: "127.0.0.1:3002" }], tls: { key: tls/me.key } }
defaults:
  auth: public
  max_body: 1MiB
routes:
  - path: /a
    upstream: a
    request_headers: { set: { Authorization: Bearer hunter2, X-Upstream-Key: hunter2, X-Api-Token: "${file:token}", X-Plain: seen } }
  - path: /b
    upstream: a
    auth: { roles: [admin] }
    limits: [{ concurrent: 1 }]
"#;

fn at<'a>(config: &'a Value, pointer: &str) -> &'a Value {
    config.pointer(pointer).unwrap_or(&Value::Null)
}

#[test]
fn nothing_secret_is_shown_wherever_it_stands() {
    let shown = effective(SOURCE).unwrap();
    assert!(!shown.to_string().contains("hunter2"), "{shown:#}");
    for (pointer, expected) in [
        ("/listeners/0/address", "${env:LISTEN:-***}"),
        (
            "/identity/store",
            "mysql://airside:***@db.internal:3306/airside?require_ssl=true&password=***",
        ),
        ("/identity/access_token/secret", "***"),
        ("/redis/url", "redis://***@cache:6379/0"),
        ("/issuers/corp/jwks", "https://***@login.example.com/keys"),
        ("/admin/token", "***"),
        ("/telemetry/tracing/headers/x-team", "***"),
        ("/routes/0/request_headers/set/Authorization", "***"),
        ("/routes/0/request_headers/set/X-Upstream-Key", "***"),
        ("/routes/0/request_headers/set/X-Api-Token", "${file:token}"),
        ("/routes/0/request_headers/set/X-Plain", "seen"),
        ("/upstreams/a/tls/key", "tls/me.key"),
        ("/limits/tokens/rate", "1/1s"),
    ] {
        assert_eq!(at(&shown, pointer), expected, "{pointer}");
    }
}

#[test]
fn passwords_do_not_get_out_through_odd_addresses() {
    for (written, expected) in [
        ("mysql://u:p@a@b@host/x", "mysql://u:***@host/x"),
        ("mysql://u:pa/ss@host/x", "mysql://u:***@host/x"),
        ("mysql://u:pa?ss@host/x", "mysql://***"),
        ("redis://:pass@host", "redis://***@host"),
        ("https://key@host/x", "https://***@host/x"),
        (
            "mysql://${env:U}:${file:p}@${env:H:-db}/x",
            "mysql://${env:U}:***@${env:H:-***}/x",
        ),
        (
            "mysql://u:${env:P:-hunter2}@db/x?ca=${env:CA}",
            "mysql://u:***@db/x?ca=${env:CA}",
        ),
        ("${env:STORE:-mysql://u:hunter2@db/x}", "${env:STORE:-***}"),
        ("https://host/a@b?c=d", "https://***@b?c=d"),
        ("plain \u{f0000} text", "plain  text"),
        ("${env:BROKEN", "${env:BROKEN}"),
    ] {
        assert_eq!(shown(written, "store"), expected, "{written}");
    }
}

#[test]
fn what_is_left_out_has_its_default_and_a_route_what_defaults_say() {
    let shown = effective(SOURCE).unwrap();
    for (pointer, expected) in [
        ("/server/drain", json!("30s")),
        ("/server/limits/uri", json!("8KiB")),
        ("/listeners/0/protocols", json!(["http1"])),
        ("/identity/password/bcrypt_cost", json!(12)),
        ("/identity/access_token/ttl", json!("15m")),
        ("/issuers/corp/leeway", json!("5s")),
        ("/limits/tokens/max_keys", json!(100_000)),
        ("/upstreams/a/balance", json!("least_requests")),
        ("/upstreams/a/servers/1/weight", json!(1)),
        ("/telemetry/access_log/sample", json!("100%")),
        ("/routes/0/auth", json!("public")),
        ("/routes/0/max_body", json!("1MiB")),
        ("/routes/1/auth/roles", json!(["admin"])),
        ("/routes/1/limits/0/mode", json!("enforce")),
        // What is off unless it is asked for stays out.
        ("/upstreams/a/retry", Value::Null),
        ("/routes/0/cors", Value::Null),
        ("/server/run_dir", Value::Null),
    ] {
        assert_eq!(*at(&shown, pointer), expected, "{pointer}");
    }
    let bare = effective("listeners: []").unwrap();
    assert_eq!(at(&bare, "/redis"), &Value::Null);
    assert_eq!(at(&bare, "/identity"), &Value::Null);
}

#[test]
fn what_is_no_configuration_is_none() {
    assert_eq!(effective("a: [1"), None);
}
