//! Parts under a name that no route names.

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
