//! Advice about routes against the router itself: what is said to be never reached never is, and what is said to
//! take a protected route's requests does.

use std::collections::BTreeMap;

use airside::base::report::{Code, Report};
use airside::base::secret::Process;
use airside::config::{self, Config};
use airside::route::method::Method;
use airside::route::predicate::Asked;
use airside::route::router::Matcher;
use airside::route::{Found, Router};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

const PATHS: &[&str] = &[
    "/a/*",
    "/a/{x}",
    "/a/b",
    "/a/{x}/*",
    "/a/{x}/{y}",
    "/{x}/b",
    "/*",
];
const METHODS: &[&str] = &["", "[GET]", "[POST]", "[GET, POST]"];
const HEADERS: &[&str] = &[
    "",
    r#"{ X-A: "1" }"#,
    r#"{ X-B: "1" }"#,
    r#"{ X-A: "1", X-B: "1" }"#,
];

/// A route of the universe, as YAML.
fn route() -> impl Strategy<Value = String> {
    let choice = (
        0..PATHS.len(),
        0..METHODS.len(),
        0..HEADERS.len(),
        0..3,
        any::<bool>(),
    );
    choice.prop_map(|(path, methods, headers, priority, public)| {
        let mut text = format!("path: '{}', priority: {priority}, upstream: o", PATHS[path]);
        if !METHODS[methods].is_empty() {
            text.push_str(&format!(", methods: {}", METHODS[methods]));
        }
        if !HEADERS[headers].is_empty() {
            text.push_str(&format!(", when: {{ headers: {} }}", HEADERS[headers]));
        }
        let auth = if public { "public" } else { "required" };
        format!("{text}, auth: {auth}")
    })
}

fn matchers(config: &Config) -> Vec<Matcher> {
    let routes = config.routes().iter();
    let compiled = routes.map(|route| route.matches.compile(&mut Report::default()));
    compiled.collect::<Option<_>>().unwrap()
}

/// Which route gets each request that there can be.
fn outcomes(matchers: &[&Matcher]) -> Vec<Option<u32>> {
    let router = Router::new(matchers.iter().copied());
    let mut outcomes = Vec::new();
    for path in [
        "/", "/a", "/a/", "/a/b", "/a/c", "/a/b/c", "/a/c/d/e", "/z/b", "/z",
    ] {
        for method in [Method::Get, Method::Post, Method::Put] {
            for bits in 0..4 {
                let mut headers = HeaderMap::new();
                for (bit, name) in [(1, "x-a"), (2, "x-b")] {
                    if bits & bit != 0 {
                        let name = HeaderName::from_static(name);
                        headers.insert(name, HeaderValue::from_static("1"));
                    }
                }
                let asked = Asked {
                    method,
                    headers: &headers,
                    query: "",
                };
                outcomes.push(match router.find("h", path, asked) {
                    Found::Route { route, .. } => Some(route),
                    _ => None,
                });
            }
        }
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn advice_about_routes_is_true(routes in prop::collection::vec(route(), 1..7)) {
        let mut file = "listeners: [{ address: 127.0.0.1:1 }]\nidentity: {}\n\
            upstreams: { o: { servers: [127.0.0.1:2] } }\nroutes:\n".to_owned();
        for (index, route) in routes.iter().enumerate() {
            file.push_str(&format!("  - {{ name: n{index}, {route} }}\n"));
        }
        let folder = std::path::Path::new(".");
        let (config, report) = config::parse(&file, &Process::new(folder));
        // Routes that tie are refused, and get no advice.
        prop_assume!(!report.has_errors());
        let config = config.unwrap();
        let mut report = Report::default();
        config::advise(&config, &mut report);

        let lines = config.routes().iter().enumerate();
        let lines: BTreeMap<u32, usize> =
            lines.map(|(index, route)| (route.place.line, index)).collect();
        let all = matchers(&config);
        let all: Vec<_> = all.iter().collect();
        let reached = outcomes(&all);
        for problem in report.problems() {
            let index = lines[&problem.place.line];
            let gets = |outcome: &Option<u32>| *outcome == Some(index as u32);
            match problem.code {
                Code::Unreachable => prop_assert!(!reached.iter().any(gets), "{}\n{}", problem.message, file),
                Code::Unlikely => {
                    // The two alone: others may take some of the same requests.
                    let other = lines[&problem.related[0].0.line];
                    let both = outcomes(&[all[index], all[other]]);
                    let without = outcomes(&[all[other]]);
                    let mut pairs = both.iter().zip(&without);
                    let taken = pairs.any(|(both, without)| *both == Some(0) && *without == Some(0));
                    prop_assert!(taken, "{}\n{}", problem.message, file);
                }
                _ => prop_assert!(false, "{}\n{}", problem.message, file),
            }
        }
    }
}
