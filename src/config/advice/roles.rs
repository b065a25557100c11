//! Roles that nobody can have yet.

use super::Judged;
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::At;
use crate::config::Config;
use crate::policy::auth::{BUILT_IN, Requirement};

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
    for requirement in routes.iter().filter_map(Judged::requirement) {
        asked_of(requirement, config, report);
    }
}

/// Roles can be made while the gateway runs, so that this is no error.
fn asked_of(requirement: &Requirement, config: &Config, report: &mut Report) {
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
