//! `tests:` beside the rest of the file: what they expect by name must be there.

use crate::base::decode::Table;
use crate::base::reply::Refusal;
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::At;
use crate::config::Config;
use crate::config::cases::{Caller, Case};
use crate::policy::auth::BUILT_IN;

/// Reports names in tests that nothing defines. They may stand in another file than the configuration.
pub fn check(config: &Config, cases: &[Case], report: &mut Report) {
    let routes: Vec<String> = config.routes().iter().map(|route| route.name()).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let upstreams: Vec<_> = with(
        &config.upstreams,
        config.identity.given().map(|_| "identity"),
    );
    // A limit that is written in a route bears its name.
    let limits: Vec<_> = config
        .limits
        .names()
        .chain(routes.iter().copied())
        .collect();
    let codes: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
    for case in cases {
        let expect = &case.expect.value;
        let mut known = |what, name: &Option<At<String>>, known: &[&str]| {
            if let Some(name) = name
                .as_ref()
                .filter(|name| !known.contains(&name.value.as_str()))
            {
                let message = format!("no {what} `{}`", name.value.escape_debug());
                let problem = Problem::error(Code::UnknownName, name.place, message);
                report.push(problem.suggest(&name.value, known.iter().copied()));
            }
        };
        known("route is named", &expect.route, &routes);
        known("upstream is named", &expect.upstream, &upstreams);
        known("limit is named", &expect.limit, &limits);
        known("refusal has the code", &expect.code, &codes);
        if let Some(caller) = &case.request.r#as {
            who(config, caller, report);
        }
    }
}

/// Is there somebody who issues what the caller brings?
fn who(config: &Config, caller: &At<Caller>, report: &mut Report) {
    let own = (!config.identity.is_absent()).then_some(BUILT_IN);
    let issuers = with(&config.issuers, own);
    let refuse = |message: &str| Problem::error(Code::UnknownName, caller.place, message);
    match &caller.value.issuer {
        _ if caller.value.api_key && own.is_none() => {
            let problem = refuse("this caller brings an API key, and nobody gives any");
            report.push(problem.help("add `identity:`, which keeps them"));
        }
        _ if caller.value.api_key => {}
        Some(issuer) if !issuers.contains(&issuer.value.as_str()) => {
            let message = format!("no issuer is named `{}`", issuer.value.escape_debug());
            let problem = Problem::error(Code::UnknownName, issuer.place, message);
            report.push(problem.suggest(&issuer.value, issuers));
        }
        None if issuers.is_empty() => {
            let problem = refuse("this caller brings a token, and nobody issues one");
            report.push(problem.help("add `identity:`, or an issuer under `issuers:`"));
        }
        None if own.is_none() && issuers.len() > 1 => {
            let problem = refuse("there are several issuers: say whose token this caller brings");
            report.push(problem.help("add `issuer: NAME`"));
        }
        _ => {}
    }
}

fn with<'a, T>(table: &'a Table<T>, built_in: Option<&'a str>) -> Vec<&'a str> {
    table.names().chain(built_in).collect()
}
