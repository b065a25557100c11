//! `auth: { roles, all_roles }`: what the token's holder must be. The answer to others is 403.

use super::auth::Access;
use super::{Call, Keys, Names, Policy, Refused, Rule, Verdict};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::Report;
use crate::base::yaml::{At, Place};

/// Lets holders of some roles pass.
#[derive(Debug)]
pub struct Roles {
    /// At least one of these, where there are any.
    any: Vec<String>,
    all: Vec<String>,
    place: Place,
}

impl Policy for Roles {
    fn compile(keys: &Keys, _: &Names, _: &mut Report) -> Option<Self> {
        let Access::Required(requirement) = &keys.auth.as_ref()?.value else {
            return None;
        };
        let (any, all) = (names(&requirement.roles), names(&requirement.all_roles));
        let lists = requirement.roles.iter().chain(&requirement.all_roles);
        let place = lists.map(|list| list.place).min()?;
        (!any.is_empty() || !all.is_empty()).then_some(Self { any, all, place })
    }

    fn request(&self, call: &mut Call) -> Verdict {
        // No principal is no role: this policy alone must never let anyone through.
        let holds = |role: &String| {
            call.findings
                .principal
                .as_ref()
                .is_some_and(|principal| principal.has_role(role))
        };
        let any = self.any.is_empty() || self.any.iter().any(holds);
        match any && self.all.iter().all(holds) {
            true => Verdict::Continue,
            false => Verdict::refuse(Reply::refuse(Refusal::Forbidden).reason("missing_role")),
        }
    }

    fn rule(&self, refused: &Refused) -> Option<Rule> {
        let name = match (self.any.is_empty(), self.all.is_empty()) {
            (false, true) => "auth.roles",
            (true, _) => "auth.all_roles",
            (false, false) => "auth.roles, auth.all_roles",
        };
        (refused.reason == "missing_role").then(|| Rule::new(name, self.place))
    }
}

fn names(roles: &Option<At<Vec<At<String>>>>) -> Vec<String> {
    let roles = roles.iter().flat_map(|roles| &roles.value);
    roles.map(|role| role.value.clone()).collect()
}
