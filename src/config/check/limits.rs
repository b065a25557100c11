//! Limits that ask who calls, on routes where nobody is asked who they are: they can't do what they say.

use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::Place;
use crate::config::{Config, Route};
use crate::limit::config::{Limit, OnMissing, Part};
use crate::policy::auth::Access;
use crate::policy::limits::Use;

/// Warns of each such limit once, at the line that puts it on the first such route.
pub fn who_calls_is_known(config: &Config, report: &mut Report) {
    let mut told: Vec<(Place, &str)> = Vec::new();
    for route in config.routes() {
        let keys = config.policies(route);
        let public = |auth: &crate::base::yaml::At<Access>| matches!(auth.value, Access::Public);
        if !keys.auth.as_ref().is_some_and(public) {
            continue;
        }
        for limit in keys.limits.iter().flatten() {
            let (place, limit) = match limit {
                Use::Own(own) => (own.place, Some(&own.value)),
                Use::Named(name) => (name.place, config.limits.find(&name.value)),
            };
            for what in limit.into_iter().flat_map(objections) {
                if !told.contains(&(place, what)) {
                    told.push((place, what));
                    report.push(problem(place, what, route));
                }
            }
        }
    }
}

fn problem(place: Place, what: &str, route: &Route) -> Problem {
    let help =
        "`auth: public` looks at no token: let the route require one, or count by something else";
    Problem::warning(Code::Conflict, place, what)
        .related(route.place, "this route is public")
        .help(help)
}

fn objections(limit: &Limit) -> impl Iterator<Item = &'static str> {
    let by = &limit.by.0;
    let unknown = by.iter().any(Part::needs_caller);
    // What else is in the key still tells callers apart.
    let alone = !by
        .iter()
        .any(|part| matches!(part, Part::Ip | Part::Header(_)));
    let of_key = match limit.on_missing {
        OnMissing::Share => (unknown && alone).then_some("all callers would share one count"),
        OnMissing::Deny => unknown.then_some("every call would be refused"),
        // Said to be so.
        OnMissing::Skip => None,
    };
    let has_roles = limit.per_role.iter().next().is_some();
    let of_roles = has_roles.then_some("`per_role` would raise this limit for nobody");
    of_key.into_iter().chain(of_roles)
}
