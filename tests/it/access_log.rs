//! The access log: one line for each request, what stands in it, and what never does.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::edge::{self, get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::wait::wait_for;

const FIELDS: [&str; 24] = [
    "ts",
    "request_id",
    "client",
    "method",
    "host",
    "path",
    "route",
    "status",
    "duration_us",
    "gateway_us",
    "upstream",
    "server",
    "attempts",
    "upstream_us",
    "bytes_in",
    "bytes_out",
    "protocol",
    "tls",
    "user",
    "roles",
    "limit",
    "decision",
    "trace_id",
    "user_agent",
];

fn names(line: &Value) -> Vec<&str> {
    line.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_line_holds_every_field_with_its_value() {
    let origin = Origin::start();
    let top = "server: { trusted_proxies: [127.0.0.0/8] }\nlimits: { wide: { rate: 100/1h }, narrow: { rate: 10/1h } }";
    let routes = "  - { name: up, path: /a/*, upstream: origin, rewrite: \"/b/{rest}\", limits: [narrow, wide] }";
    let airside = edge::with_top(top, routes).origin(&origin).start();
    origin.on(
        "/b/x",
        Reply::new(201, "0123456789").after(Duration::from_millis(50)),
    );
    let head = "POST /a/./x;v?token=secret-query HTTP/1.1\r\nHost: Edge.test:80\r\nUser-Agent: test/1 \"q\"\r\n\
        X-Request-Id: id-1\r\nAuthorization: Bearer secret-token\r\nX-Forwarded-For: 203.0.113.1\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(airside.raw().exchange(head).status, 201);
    let lines = airside.wait_for_access_log(1);
    let line = &lines[0];
    let mut found = names(line);
    found.sort_unstable();
    let mut expected = FIELDS.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
    for (name, value) in [
        ("request_id", "id-1"),
        ("client", "203.0.113.1"),
        ("method", "POST"),
        ("host", "Edge.test:80"),
        ("path", "/a/./x;v"),
        ("route", "up"),
        ("upstream", "origin"),
        ("server", &origin.address().to_string()),
        ("protocol", "HTTP/1.1"),
        ("limit", "narrow"),
        ("decision", "admitted"),
        ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("user_agent", "test/1 \"q\""),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    for (name, value) in [
        ("status", 201),
        ("attempts", 1),
        ("bytes_in", 5),
        ("bytes_out", 10),
    ] {
        assert_eq!(line[name], value, "{name}");
    }
    assert_eq!((&line["tls"], &line["user"]), (&Value::Null, &Value::Null));
    assert_eq!(line["roles"], Value::Array(Vec::new()));
    let micros = |name: &str| line[name].as_u64().unwrap();
    assert!(micros("upstream_us") >= 50_000, "{line}");
    assert_eq!(
        micros("duration_us"),
        micros("gateway_us") + micros("upstream_us")
    );
    assert!(!line.to_string().contains("secret"), "{line}");
}

#[test]
fn refusals_are_logged_with_their_code_and_reason() {
    let top = r#"
identity: { listen: "{identity}", store: "sqlite:{folder}/a.db", keys: "{folder}/keys", issuer: "http://x", audience: a }
upstreams: { origin: { servers: ["{origin}"] }, closed: { servers: ["{closed}"] } }
"#;
    let routes = r#"
  - { path: /private, upstream: origin, auth: required }
  - { path: /once, respond: { body: "1" }, limits: [{ rate: 1/1h }] }
  - { path: /closed, upstream: closed }
  - { path: /get, methods: [GET], upstream: origin }
"#;
    let origin = Origin::start();
    let closed = crate::support::port::free();
    let airside = edge::with_top(top, routes)
        .origin(&origin)
        .set("closed", closed)
        .start();
    let private = request(
        "GET",
        "/private",
        &[("Authorization", "Bearer s3cr3t.s3cr3t.s3cr3t")],
    );
    let cases = [
        (get("/none"), 404, "no_route", "no_route", Value::Null),
        (
            get("/private"),
            401,
            "unauthenticated",
            "no_token",
            "/private".into(),
        ),
        (
            private,
            401,
            "unauthenticated",
            "unknown_key",
            "/private".into(),
        ),
        (get("/once"), 200, "", "", "/once".into()),
        (get("/once"), 429, "rate_limited", "limit", "/once".into()),
        (
            request("PUT", "/get", &[]),
            405,
            "method_not_allowed",
            "method",
            Value::Null,
        ),
        (get("/%2f"), 400, "bad_request", "path", Value::Null),
        (
            get("/closed"),
            502,
            "upstream_unreachable",
            "connect_refused",
            "/closed".into(),
        ),
    ];
    for (index, (sent, status, code, reason, route)) in cases.into_iter().enumerate() {
        let answer = airside.raw().exchange(&sent);
        assert_eq!(answer.status, status);
        let lines = airside.wait_for_access_log(index + 1);
        let line = &lines[index];
        assert_eq!(line["status"], status, "{line}");
        assert_eq!(line["route"], route, "{line}");
        if code.is_empty() {
            assert_eq!(
                (line.get("code"), line.get("reason")),
                (None, None),
                "{line}"
            );
            continue;
        }
        assert_eq!(line["code"], code, "{line}");
        assert_eq!(line["reason"], reason, "{line}");
        assert_eq!(line["request_id"], answer.json()["request_id"], "{line}");
        assert!(!line.to_string().contains("s3cr3t"), "{line}");
    }
    let lines = airside.access_log();
    assert_eq!(
        (&lines[4]["limit"], &lines[4]["decision"]),
        (&"/once".into(), &"refused".into())
    );
    assert_eq!(
        (&lines[7]["upstream"], &lines[7]["attempts"]),
        (&"closed".into(), &1.into())
    );
    assert!(!airside.stderr().contains("s3cr3t"));
}

#[test]
fn each_of_many_concurrent_requests_has_exactly_one_line() {
    let (airside, origin) = edge::start("  - { path: /*, upstream: origin }");
    thread::scope(|scope| {
        for client in 0..8 {
            let airside = &airside;
            scope.spawn(move || {
                let mut raw = airside.raw();
                for number in 0..25 {
                    assert_eq!(
                        raw.exchange(get(&format!("/{client}/{number}"))).status,
                        200
                    );
                }
            });
        }
    });
    let mut airside = airside;
    airside.daemon().signal("TERM");
    // Everything is written before the end, and nothing after it.
    let ended = airside.daemon().wait_until_ended(Duration::from_secs(5));
    let lines: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let paths: HashSet<_> = lines
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    let ids: HashSet<_> = lines
        .iter()
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        (lines.len(), paths.len(), ids.len(), origin.count()),
        (200, 200, 200, 200)
    );
    let seen = origin.requests();
    let seen: HashSet<_> = seen
        .iter()
        .map(|request| request.header("x-request-id").unwrap())
        .collect();
    assert_eq!(ids, seen, "log and upstream know a request by the same id");
}

#[test]
fn it_can_be_off_and_it_can_go_to_a_file() {
    let off = "telemetry: { access_log: { to: off } }";
    let origin = Origin::start();
    let mut airside = edge::with_top(off, "  - { path: /*, upstream: origin }")
        .origin(&origin)
        .start();
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(Duration::from_secs(5));
    assert_eq!(ended.stdout, "");

    let file = "telemetry: { access_log: { to: access.log, fields: [X-Tenant] } }";
    let airside = edge::with_top(file, "  - { path: /*, upstream: origin }")
        .origin(&origin)
        .start();
    let sent = request("GET", "/a", &[("x-tenant", "acme"), ("X-Other", "hidden")]);
    assert_eq!(airside.raw().exchange(sent).status, 200);
    let read = || std::fs::read_to_string(airside.folder().join("access.log")).unwrap_or_default();
    wait_for("a line in the file", || read().ends_with('\n'));
    let line: Value = serde_json::from_str(&read()).unwrap();
    assert_eq!(
        (&line["path"], &line["headers"]["x-tenant"]),
        (&"/a".into(), &"acme".into())
    );
    assert!(!read().contains("hidden"));
    assert_eq!(airside.access_log().len(), 0);
}

#[test]
fn a_request_cannot_write_a_line_of_its_own() {
    let (airside, _origin) = edge::start("  - { path: /*, upstream: origin }");
    let agent = "x\",\"status\":1,\"a\":\"\\\u{e9}\t";
    let sent = request("GET", "/a\"b", &[("User-Agent", agent)]);
    let status = airside.raw().exchange(sent).status;
    let lines = airside.wait_for_access_log(1);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["status"], status);
    assert_eq!(lines[0]["user_agent"], agent.trim());
}
