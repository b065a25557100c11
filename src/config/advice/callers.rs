//! Roles that nobody has yet, and limits by a caller whom a public route does not know.

use super::Judged;
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Place};
use crate::config::Config;
use crate::limit::config::{Limit, OnMissing, Part};
use crate::policy::auth::{BUILT_IN, Requirement};
use crate::policy::limits::Use;

pub fn advise(config: &Config, routes: &[Judged], report: &mut Report) {
    if config.issuers.is_none() {
        for (role, _) in config
            .limits
            .iter()
            .flat_map(|(_, limit)| limit.per_role.iter())
        {
            role_is_known(config, role, report);
        }
    }
    for route in routes {
        match route.requirement() {
            Some(requirement) => roles(config, requirement, report),
            None => limits(config, route, report),
        }
    }
}

/// Roles can be made while the gateway runs, so that this is no error.
fn roles(config: &Config, requirement: &Requirement, report: &mut Report) {
    let mut issuers = requirement
        .issuers
        .iter()
        .flat_map(|issuers| &issuers.value);
    if issuers.any(|issuer| issuer.value != BUILT_IN) {
        // Others' roles are theirs.
        return;
    }
    let asked = [&requirement.roles, &requirement.all_roles];
    for role in asked.into_iter().flatten().flat_map(|roles| &roles.value) {
        role_is_known(config, role, report);
    }
}

fn role_is_known(config: &Config, role: &At<String>, report: &mut Report) {
    let Some(identity) = config.identity.given() else {
        return;
    };
    let known = identity.all_roles();
    let names = || known.iter().map(|role| role.as_str());
    if !names().any(|known| known == role.value) {
        let message = format!("no role `{}` is there from the start", role.value);
        let problem = Problem::warning(Code::UnknownName, role.place, message);
        let problem =
            problem.help("add it to `identity.roles`, or make it by `POST /auth/admin/roles`");
        report.push(problem.suggest(&role.value, names()));
    }
}

fn limits(config: &Config, route: &Judged, report: &mut Report) {
    for limit in route.keys.limits.iter().flatten() {
        let (place, keys) = match limit {
            Use::Named(name) => (name.place, config.limits.find(&name.value)),
            Use::Own(keys) => (route.route.place, Some(&**keys)),
        };
        if let Some(keys) = keys {
            limit_by_caller(route, place, keys, report);
        }
    }
}

fn limit_by_caller(route: &Judged, place: Place, limit: &Limit, report: &mut Report) {
    let of_a_caller = |part: &&Part| matches!(part, Part::User | Part::ApiKey | Part::Claim(_));
    if !limit.by.0.iter().any(|part| of_a_caller(&part)) {
        return;
    }
    let then = match limit.on_missing {
        OnMissing::Share => "all its callers share one count",
        OnMissing::Deny => "every call is refused",
        // Then it is said what is meant.
        OnMissing::Skip => return,
    };
    let message = format!(
        "`{}` is public and knows no caller, so that by this limit {then}",
        route.route.name()
    );
    let problem = Problem::warning(Code::Unlikely, place, message);
    report.push(problem.help("count `by: ip`, or give the limit `on_missing: skip`"));
}
