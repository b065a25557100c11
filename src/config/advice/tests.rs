//! Advice on parts of the grammar whose features this version does not have: the files can't be checked as a
//! whole, their types can.

use super::*;
use crate::base::secret::Process;

/// The advice on a file, whatever else is wrong with it.
fn told(source: &str) -> Vec<String> {
    let folder = std::path::Path::new(".");
    let (config, _) = crate::config::parse(source, &Process::new(folder));
    let mut report = Report::default();
    advise(&config.unwrap(), &mut report);
    assert!(!report.has_errors());
    let problems = report.sorted();
    let lines = problems.problems().iter();
    lines
        .map(|problem| format!("{} {}", problem.place.line, problem.message))
        .collect()
}

fn errors(source: &str) -> Vec<String> {
    let folder = std::path::Path::new(".");
    let (_, report) = crate::config::parse(source, &Process::new(folder));
    let problems = report.problems().iter();
    let told = problems.filter(|problem| problem.code != Code::NotBuilt);
    told.map(|problem| format!("{} {}", problem.place.line, problem.message))
        .collect()
}

#[test]
fn an_issuer_that_no_route_takes_is_told() {
    let source = |identity: &str, auth: &str| {
        format!(
            "listeners: [{{ address: 127.0.0.1:1 }}]\n{identity}\n\
             issuers:\n\
             \x20 corp: {{ issuer: a, audience: [b], algorithms: [RS256] }}\n\
             routes: [{{ path: /a, respond: {{}}, auth: {auth} }}]\n"
        )
    };
    let unused = ["4 no route uses the issuer `corp`"];
    assert_eq!(told(&source("", "public")), unused);
    assert_eq!(told(&source("identity: {}", "required")), unused);
    assert!(told(&source("", "required")).is_empty());
    assert!(told(&source("identity: {}", "{ issuers: [corp, airside] }")).is_empty());
    // Whose roles are known is the other issuer's.
    assert!(told(&source("identity: {}", "{ issuers: [corp], roles: [x] }")).is_empty());
}

#[test]
fn a_limit_for_all_gateways_needs_redis() {
    let source = |redis: &str| {
        format!(
            "listeners: [{{ address: 127.0.0.1:1 }}]\n{redis}\n\
             limits:\n\
             \x20 all: {{ rate: 1/1s, scope: cluster }}\n\
             routes: [{{ path: /a, respond: {{}}, auth: public, limits: [all] }}]\n"
        )
    };
    assert_eq!(
        errors(&source("")),
        ["4 the limit `all` is counted for all gateways, and the file has no `redis:`"]
    );
    let own = "listeners: [{ address: 127.0.0.1:1 }]\n\
        routes: [{ path: /a, respond: {}, auth: public, limits: [{ rate: 1/1s, scope: cluster }] }]\n";
    assert_eq!(
        errors(own),
        ["2 the limit `/a` is counted for all gateways, and the file has no `redis:`"]
    );
    assert!(errors(&source("redis: { url: 'redis://127.0.0.1:6379' }")).is_empty());
}

#[test]
fn a_rate_for_a_role_that_nobody_has_is_told() {
    let source = "listeners: [{ address: 127.0.0.1:1 }]\n\
        identity: { roles: [customer, gold] }\n\
        limits:\n\
        \x20 all: { rate: 1/1s, by: user, per_role: { gold: 10/1s, silver: 5/1s } }\n\
        routes: [{ path: /a, respond: {}, auth: required, limits: [all] }]\n";
    assert_eq!(told(source), ["4 no role `silver` is there from the start"]);
}
