//! Configurations of the edge alone, requests in one line, and what every refusal looks like.

use serde_json::Value;

use super::origin::Origin;
use super::raw::Response;
use super::server::{Airside, SetUp};

/// A gateway with these routes, public unless they say otherwise, and `{origin}` as the upstream `origin`.
pub fn gateway(routes: &str) -> SetUp {
    with_top("", routes)
}

/// The same with more sections, such as `limits:`, or others in place of those that all have.
pub fn with_top(top: &str, routes: &str) -> SetUp {
    let mut config = format!("{top}\n");
    for (name, usual) in SECTIONS {
        if !top.lines().any(|line| line.trim_start().starts_with(name)) {
            config.push_str(&format!("{usual}\n"));
        }
    }
    Airside::with(&format!("{config}routes:\n{routes}"))
}

/// A running gateway with these routes and one upstream.
#[track_caller]
pub fn start(routes: &str) -> (Airside, Origin) {
    let origin = Origin::start();
    (gateway(routes).origin(&origin).start(), origin)
}

/// A request without a body.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: edge.test\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

pub fn get(target: &str) -> String {
    request("GET", target, &[])
}

/// Asserts that this is a refusal of ours with this status and code, whole, and nothing more; brings its body.
#[track_caller]
pub fn assert_refused(answer: &Response, status: u16, code: &str) -> Value {
    let line = &answer.head.line;
    assert_eq!(answer.status, status, "{line}: {}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.head.header("server"), None);
    assert_eq!(answer.head.all("content-length").count(), 1);
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["status"], status, "{body}");
    assert_eq!(body["type"], format!("urn:airside:{code}"), "{body}");
    assert_ne!(body["title"].as_str().expect("a title"), "", "{body}");
    let id = body["request_id"].as_str().expect("an id");
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    assert!(id.len() == 32 && id.chars().all(hex), "{body}");
    let known = ["type", "title", "status", "code", "request_id", "detail"];
    for name in body.as_object().expect("an object").keys() {
        assert!(known.contains(&name.as_str()), "{body}");
    }
    body
}

const SECTIONS: &[(&str, &str)] = &[
    ("listeners:", r#"listeners: [{ address: "{gateway}" }]"#),
    ("admin:", r#"admin: { listen: "{admin}" }"#),
    ("defaults:", "defaults: { auth: public }"),
    (
        "upstreams:",
        r#"upstreams: { origin: { servers: ["{origin}"] } }"#,
    ),
];
