//! What is explained is what happens: random configurations serve random requests, and the same requests are explained.
//! Status, code, route, upstream, its path and all of its headers, and the headers of the answer must be the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use airside::base::clock::Clock;
use airside::base::report::Report;
use airside::config::{self, Config};
use airside::plan::{Shared, compile};
use airside::proxy::rehearsal::{self, Course, Rehearsal};
use airside::token::{Claims, SharedKey};
use http::{HeaderName, HeaderValue, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use super::random::{self, Request};
use crate::support::origin::{self, Origin};
use crate::support::raw::Response;
use crate::support::server::Airside;

#[test]
fn explain_and_the_gateway_agree_on_a_thousand_random_requests() {
    let mut seen = Seen::default();
    for seed in 0..20 {
        let random = StdRng::seed_from_u64(seed);
        Meeting::new(random).hold(seed, 50, &mut seen);
    }
    // The comparison means something only where all of it comes up.
    let Seen { ends, passed } = &seen;
    assert!(*passed > 150, "{passed} {ends:?}");
    for end in [
        "200 ",
        "204 ",
        "307 ",
        "400 bad_request",
        "401 unauthenticated",
        "403 forbidden",
        "404 no_route",
        "405 method_not_allowed",
        "413 body_too_large",
        "417 bad_request",
        "429 rate_limited",
    ] {
        assert!(
            ends.get(end).is_some_and(|count| *count >= 3),
            "{end}: {ends:?}"
        );
    }
}

/// How requests ended.
#[derive(Default)]
struct Seen {
    ends: BTreeMap<String, usize>,
    /// Reached an upstream.
    passed: usize,
}

/// A gateway that serves and the same configuration offline.
struct Meeting {
    random: StdRng,
    airside: Airside,
    origins: [Origin; 2],
    rehearsal: Rehearsal,
    config: Config,
    source: String,
    tokens: Vec<String>,
}

impl Meeting {
    fn new(mut random: StdRng) -> Self {
        let secret = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
        let source = random::config(&mut random, secret);
        let origins = [Origin::start(), Origin::start()];
        let airside = Airside::with(&source)
            .set("origin_a", origins[0].address())
            .set("origin_b", origins[1].address())
            .start();
        let loaded = config::load(&airside.folder().join("airside.yaml")).unwrap();
        let config = loaded.config.unwrap();
        let (shared, unjudged) = Shared::at_hand(&config, airside.folder());
        assert_eq!(unjudged, []);
        let plan = compile(&config, &shared, None, &mut Report::default()).unwrap();
        let clock = Clock::at(Clock::system().unix_millis());
        Self {
            random,
            rehearsal: Rehearsal::new(Arc::new(plan), clock),
            tokens: tokens(&SharedKey::new(secret.as_bytes(), 3_600)),
            airside,
            origins,
            config,
            source,
        }
    }

    fn hold(mut self, seed: u64, count: usize, seen: &mut Seen) {
        let mut routes = Vec::new();
        for number in 0..count {
            let mut request = random::request(&mut self.random, &self.tokens);
            request.headers.push(("User-Agent", format!("n{number}")));
            let at = format!(
                "seed {seed}, request {number}: {request:#?}\nto\n{}",
                self.source
            );
            let before = self.origins.each_ref().map(Origin::count);
            let answer = self.send(&request);
            let course = self.rehearse(&request);
            let code = self.compare_answers(&answer, &course, &at);
            self.compare_upstreams(before, &course, &at);
            if number == 0 {
                self.compare_command(&request, &course, &at);
            }
            let end = format!("{} {code}", answer.status);
            *seen.ends.entry(end).or_default() += 1;
            seen.passed += usize::from(course.forward.is_some());
            let routes_of = self.config.routes();
            let route = course.route.map(|index| routes_of[index as usize].name());
            routes.push((format!("n{number}"), route, at));
        }
        let log = self.airside.wait_for_access_log(count);
        for (agent, route, at) in routes {
            let line = log.iter().find(|line| line["user_agent"] == agent.as_str());
            let line = line.unwrap_or_else(|| panic!("no line of {agent}"));
            assert_eq!(line["route"].as_str(), route.as_deref(), "{at}");
        }
    }

    fn send(&self, request: &Request) -> Response {
        let Request {
            method,
            target,
            host,
            ..
        } = request;
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n");
        for (name, value) in &request.headers {
            text += &format!("{name}: {value}\r\n");
        }
        if request.body > 0 {
            text += &format!("Content-Length: {}\r\n", request.body);
        }
        text += "\r\n";
        text += &"b".repeat(request.body);
        let mut raw = self.airside.raw();
        raw.send(text);
        raw.try_read(method).unwrap()
    }

    fn rehearse(&self, request: &Request) -> Course {
        let headers = request.headers.iter().map(|(name, value)| {
            let name = HeaderName::try_from(*name).unwrap();
            (name, HeaderValue::try_from(value).unwrap())
        });
        let length =
            (request.body > 0).then(|| (http::header::CONTENT_LENGTH, request.body.into()));
        let request = rehearsal::Request {
            method: request.method.to_owned(),
            target: request.target.clone(),
            host: Some(request.host.to_owned()),
            headers: headers.chain(length).collect(),
            peer: "127.0.0.1".parse().unwrap(),
            tls: false,
        };
        let begun = self.rehearsal.begin(&request).unwrap();
        begun.finish(StatusCode::OK).unwrap()
    }

    /// Brings the code of a refusal.
    fn compare_answers(&self, answer: &Response, course: &Course, at: &str) -> String {
        assert_eq!(answer.status, course.status.as_u16(), "{at}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default();
        let told = course.refused.as_ref();
        let told = told.map_or("", |told| told.refusal.code());
        if !answer.body.is_empty() {
            assert_eq!(code, told, "{at}");
        }
        for (name, value) in &course.headers {
            let lines: Vec<_> = answer.head.all(name.as_str()).collect();
            let value = value.to_str().unwrap();
            // These bear the seconds that have passed.
            let same = match name.as_str() {
                "ratelimit" => lines.len() == 1 && state(lines[0]) == state(value),
                "retry-after" => lines.len() == 1,
                _ => lines.contains(&value),
            };
            assert!(same, "{name}: {value} is not in {lines:?}, {at}");
        }
        told.to_owned()
    }

    fn compare_upstreams(&self, before: [usize; 2], course: &Course, at: &str) {
        for ((origin, before), name) in self.origins.iter().zip(before).zip(["a", "b"]) {
            let requests = origin.requests();
            let forward = course.forward.as_ref();
            let told = forward.filter(|forward| &*forward.upstream == name);
            match (requests.get(before..), told) {
                (Some([]), None) => {}
                (Some([got]), Some(told)) => {
                    assert_eq!(got.target, told.target, "{at}");
                    assert_eq!(got_headers(got), told_headers(told), "{at}");
                }
                (got, told) => panic!("{name} got {got:?}, and was told {told:?}: {at}"),
            }
        }
    }

    /// The command has a plan of its own, in which nothing was counted yet.
    fn compare_command(&self, request: &Request, course: &Course, at: &str) {
        if request.target.contains(['\\', '#']) || request.host.contains('/') || request.body > 0 {
            return;
        }
        let url = format!("http://{}{}", request.host, request.target);
        let headers = request.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        let mut arguments = vec!["explain", "--format", "json", "--ip", "127.0.0.1"];
        for header in &headers {
            arguments.extend(["-H", header.as_str()]);
        }
        arguments.extend([request.method, &url]);
        let output = self.airside.command(&arguments, "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said} {at}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let code = course.refused.as_ref().map(|told| told.refusal.code());
        assert_eq!(told["refusal"]["code"].as_str(), code, "{at}");
        let forward = course.forward.as_ref();
        let target = forward.map(|forward| forward.target.as_str());
        assert_eq!(told["upstream"]["path"].as_str(), target, "{at}");
        let upstream = forward.map(|forward| &*forward.upstream);
        assert_eq!(told["upstream"]["name"].as_str(), upstream, "{at}");
        let route = course
            .route
            .map(|index| self.config.routes()[index as usize].name());
        assert_eq!(told["route"]["name"].as_str(), route.as_deref(), "{at}");
    }
}

/// Good ones, and such as nobody should take.
fn tokens(key: &SharedKey) -> Vec<String> {
    let now = Clock::system().unix_seconds();
    let claims = |user: &str, roles: &[&str], from: u64| Claims {
        iss: "https://api.test".to_owned(),
        aud: "airside".to_owned(),
        sub: user.to_owned(),
        id: user.to_owned(),
        email: format!("{user}@example.com"),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        client_id: "airside".to_owned(),
        iat: from,
        exp: from + 3_000,
        nbf: None,
        jti: format!("jti-{user}"),
        sid: format!("sid-{user}"),
        ver: 1,
    };
    let sign = |claims| key.sign(&claims).unwrap();
    vec![
        sign(claims("u1", &["r1"], now)),
        sign(claims("u2", &["r1", "r2"], now)),
        sign(claims("u3", &[], now)),
        sign(claims("u4", &["r1", "r2"], now - 10_000)),
        "rubbish".to_owned(),
    ]
}

/// What is left, without the time.
fn state(value: &str) -> Vec<&str> {
    let items = value.split(", ");
    items.filter_map(|item| item.split(";t=").next()).collect()
}

type Headers = BTreeMap<String, Vec<String>>;

fn got_headers(request: &origin::Request) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in &request.head.headers {
        let values = headers.entry(name.to_ascii_lowercase()).or_default();
        values.push(value.clone());
    }
    without_chance(headers)
}

fn told_headers(forward: &rehearsal::Forward) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in &forward.headers {
        let values = headers.entry(name.to_string()).or_default();
        values.push(value.to_str().unwrap().to_owned());
    }
    without_chance(headers)
}

/// Ids that are made for each request must be there; which they are is chance.
fn without_chance(mut headers: Headers) -> Headers {
    for name in ["x-request-id", "traceparent"] {
        let values = headers.get_mut(name).unwrap();
        values.iter_mut().for_each(String::clear);
    }
    headers
}
