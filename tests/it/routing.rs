//! Which route gets a request: host, path, method, headers, query, priority, and what is told where none fits.

use crate::support::edge::{self, assert_refused, get, request};
use crate::support::origin::Origin;
use crate::support::raw::{Raw, Response};
use crate::support::server::Airside;

/// A gateway whose routes answer with a word of their own.
fn answering(routes: &[(&str, &str)]) -> Airside {
    let lines = routes
        .iter()
        .map(|(matches, word)| format!("  - {{ {matches}, respond: {{ body: \"{word}\" }} }}\n"));
    let origin = Origin::start();
    edge::gateway(&lines.collect::<String>())
        .origin(&origin)
        .start()
}

#[track_caller]
fn assert_word(raw: &mut Raw, request: &str, word: &str) {
    let answer = raw.exchange(request);
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, word),
        "{request}"
    );
}

fn at_host(host: &str, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn an_exact_host_goes_before_a_wildcard_and_that_before_none() {
    let airside = answering(&[
        ("path: /*", "any"),
        ("path: /*, host: \"*.example.com\"", "below"),
        ("path: /*, host: \"*.eu.example.com\"", "eu"),
        ("path: /*, host: api.example.com", "api"),
        // A better path doesn't make up for the host.
        ("path: /a/b", "path"),
    ]);
    let mut raw = airside.raw();
    for (host, word) in [
        ("api.example.com", "api"),
        ("API.Example.COM", "api"),
        ("api.example.com:8443", "api"),
        ("api.example.com.", "api"),
        ("www.example.com", "below"),
        ("deep.www.example.com", "below"),
        ("a.eu.example.com", "eu"),
        ("eu.example.com", "below"),
        ("example.com", "path"),
        ("notexample.com", "path"),
        ("api.example.com.evil.test", "path"),
        ("[::1]:80", "path"),
    ] {
        assert_word(&mut raw, &at_host(host, "/a/b"), word);
    }
    assert_word(&mut raw, &at_host("other.test", "/else"), "any");
}

#[test]
fn a_host_whose_routes_do_not_fit_leaves_the_request_to_the_less_specific_ones() {
    let airside = answering(&[
        ("path: /a, host: api.example.com", "api"),
        ("path: /b, host: \"*.example.com\"", "below"),
        ("path: /c", "any"),
    ]);
    let mut raw = airside.raw();
    for (path, word) in [("/a", "api"), ("/b", "below"), ("/c", "any")] {
        assert_word(&mut raw, &at_host("api.example.com", path), word);
    }
    let answer = raw.exchange(at_host("other.test", "/a"));
    assert_refused(&answer, 404, "no_route");
}

#[test]
fn a_static_segment_goes_before_a_parameter_and_that_before_the_rest() {
    let airside = answering(&[
        ("path: /*", "all"),
        ("path: /f/*", "star"),
        ("path: \"/f/{*deep}\", methods: [POST]", "deep"),
        ("path: \"/f/{id}\"", "id"),
        ("path: /f/new", "new"),
        ("path: \"/f/{id}/seats\"", "seats"),
        ("path: /f/new/*", "new-rest"),
        ("path: /t/", "slash"),
        ("path: /t", "bare"),
        ("path: /caf\u{e9}", "cafe"),
    ]);
    let mut raw = airside.raw();
    for (target, word) in [
        ("/f", "star"),
        ("/f/", "star"),
        ("/f/7", "id"),
        ("/f/new", "new"),
        ("/f/new/", "new-rest"),
        ("/f/new/seats", "new-rest"),
        ("/f/7/seats", "seats"),
        ("/f/7/other", "star"),
        ("/f/7/", "star"),
        ("/fx", "all"),
        ("/", "all"),
        ("/t", "bare"),
        ("/t/", "slash"),
        ("/t/x", "all"),
        ("/F/7", "all"),
        ("/f/%6eew", "new"),
        ("/f/new?x=/f/7", "new"),
        ("/caf%C3%A9", "cafe"),
        ("/caf%c3%a9", "cafe"),
    ] {
        assert_word(&mut raw, &get(target), word);
    }
    let posted = raw.exchange(request("POST", "/f/7/8", &[("Content-Length", "0")]));
    assert_eq!(posted.text(), "deep");
}

#[test]
fn headers_and_query_choose_and_the_more_conditions_the_earlier() {
    let airside = answering(&[
        ("path: /a", "plain"),
        ("path: /a, when: { headers: { X-Beta: \"on\" } }", "beta"),
        (
            "path: /a, when: { query: { v: \"2\" } }, priority: 1",
            "two",
        ),
        (
            "path: /a, when: { headers: { X-Beta: \"on\" }, query: { v: \"2\" } }",
            "both",
        ),
        (
            "path: /b, when: { query: { q: \"x y\", \"\\u00e9\": \"1\" } }",
            "encoded",
        ),
    ]);
    let mut raw = airside.raw();
    let on = [("x-beta", "on")];
    for (target, headers, word) in [
        ("/a", &[][..], "plain"),
        ("/a", &on, "beta"),
        ("/a", &[("X-BETA", "ON")], "plain"),
        ("/a", &[("x-beta", "off"), ("x-beta", "on")], "beta"),
        ("/a?v=2", &[], "two"),
        ("/a?v=3&v=2", &[], "two"),
        ("/a?v=22", &[], "plain"),
        ("/a?w=v=2", &[], "plain"),
        ("/a?%76=%32", &[], "two"),
        ("/a?v=2", &on, "both"),
        ("/b?q=x+y&%C3%A9=1", &[], "encoded"),
        ("/b?%c3%a9=1&q=x%20y&more", &[], "encoded"),
    ] {
        assert_word(&mut raw, &request("GET", target, headers), word);
    }
    let answer = raw.exchange(get("/b?q=x"));
    assert_refused(&answer, 404, "no_route");
}

#[test]
fn priority_settles_what_specificity_leaves_open() {
    let airside = answering(&[
        ("path: /a, when: { headers: { x-one: \"1\" } }", "one"),
        (
            "path: /a, when: { headers: { x-two: \"2\" } }, priority: 5",
            "two",
        ),
    ]);
    let mut raw = airside.raw();
    let both = [("x-one", "1"), ("x-two", "2")];
    assert_word(&mut raw, &request("GET", "/a", &both), "two");
    assert_word(&mut raw, &request("GET", "/a", &both[..1]), "one");
}

#[test]
fn a_wrong_method_is_405_with_every_method_that_would_do() {
    let airside = answering(&[
        ("path: /a, methods: [GET]", "get"),
        ("path: /a, methods: [PUT, DELETE]", "put"),
        ("path: \"/{any}\", methods: [PATCH]", "patch"),
        (
            "path: /a, methods: [OPTIONS], when: { query: { o: \"1\" } }",
            "options",
        ),
        ("path: /b/*, methods: [POST]", "post"),
    ]);
    let mut raw = airside.raw();
    let mut ask = |method: &str, target: &str| -> Response {
        raw.send(request(method, target, &[]));
        raw.try_read(method).expect("an answer")
    };
    let refused = ask("POST", "/a");
    assert_refused(&refused, 405, "method_not_allowed");
    assert_eq!(refused.header("allow"), "GET, PUT, PATCH, DELETE");
    // The condition on the query is met now, so that its method would do too.
    assert_eq!(
        ask("POST", "/a?o=1").header("allow"),
        "GET, PUT, PATCH, DELETE, OPTIONS"
    );
    assert_eq!(ask("PATCH", "/a").text(), "patch");
    assert_eq!(ask("DELETE", "/a").text(), "put");
    let head = ask("HEAD", "/a");
    assert_eq!(
        (head.status, head.header("allow")),
        (405, "GET, PUT, PATCH, DELETE")
    );
    assert_eq!(ask("GET", "/b").header("allow"), "POST, PATCH");
    assert_eq!(ask("GET", "/b/c").header("allow"), "POST");
    // Methods are case-sensitive (RFC 9110 §9.1).
    assert_refused(&ask("get", "/a"), 501, "bad_request");
    assert_refused(&ask("GET", "/a/b"), 404, "no_route");
}
