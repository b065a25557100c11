//! Parts under a name that no route names, and keys that their route has no use for.

use std::collections::HashSet;

use super::Judged;
use crate::base::decode::Table;
use crate::base::report::{Code, Problem, Report};
use crate::config::Config;
use crate::policy::auth::BUILT_IN;
use crate::policy::limits::Use;

pub fn advise(config: &Config, routes: &[Judged], report: &mut Report) {
    let upstreams = routes.iter().flat_map(Judged::upstreams).collect();
    told("upstream", &config.upstreams, &upstreams, report);

    let uses = routes.iter().filter_map(|route| route.keys.limits.as_ref());
    let named = uses.flatten().filter_map(|limit| match limit {
        Use::Named(name) => Some(name.value.as_str()),
        Use::Own(_) => None,
    });
    told("limit", &config.limits, &named.collect(), report);

    if let Some(issuers) = &config.issuers {
        told(
            "issuer",
            issuers,
            &issuers_of(config, issuers, routes),
            report,
        );
    }
    for route in routes {
        for_upstreams(route, report);
    }
}

fn told<T>(what: &str, table: &Table<T>, used: &HashSet<&str>, report: &mut Report) {
    let unused = table
        .iter()
        .filter(|(name, _)| !used.contains(name.value.as_str()));
    for (name, _) in unused {
        let message = format!("no route uses the {what} `{}`", name.value);
        report.push(Problem::warning(Code::Unused, name.place, message));
    }
}

/// A route that answers itself forwards nothing. The defaults' keys may be for others.
fn for_upstreams(route: &Judged, report: &mut Report) {
    if route.route.targets.upstream.is_some() {
        return;
    }
    let own = &route.route.policies;
    let rewrite = own.rewrite.iter().map(|rewrite| ("rewrite", rewrite.place));
    let edit = own.request_headers.iter();
    let edit = edit.flat_map(|edit| edit.replaced().chain(edit.added()).next());
    for (key, place) in rewrite.chain(edit.map(|(_, place)| ("request_headers", place))) {
        let message = format!(
            "`{key}` has no effect: the route `{}` forwards nothing",
            route.route.name()
        );
        report.push(Problem::warning(Code::Unused, place, message));
    }
}

fn issuers_of<'a, T>(
    config: &Config,
    table: &'a Table<T>,
    routes: &'a [Judged],
) -> HashSet<&'a str> {
    let mut used = HashSet::new();
    for requirement in routes.iter().filter_map(Judged::requirement) {
        match &requirement.issuers {
            Some(issuers) => used.extend(issuers.value.iter().map(|issuer| issuer.value.as_str())),
            None if config.identity.is_absent() => used.extend(table.names()),
            None => {
                used.insert(BUILT_IN);
            }
        }
    }
    used
}
