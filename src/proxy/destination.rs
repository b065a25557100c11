//! Where a request is to go: its route, and what chooses between a route's upstreams.

use pingora::http::RequestHeader;

use super::intake::Intake;
use crate::plan::Plan;
use crate::policy::{Findings, cors};
use crate::route::Found;
use crate::route::predicate::Asked;

/// Finds the route. A preflight speaks for the request that will follow it: it is that one's route which
/// answers, whatever its methods, where it has `cors`.
pub fn find(plan: &Plan, asked: &Intake, header: &RequestHeader) -> Found {
    let find = |method| {
        let asked_for = Asked {
            method,
            headers: &header.headers,
            query: asked.query.unwrap_or_default(),
        };
        plan.router.find(&asked.host, &asked.path, asked_for)
    };
    if let Some(method) = cors::asked_for(header) {
        let found = find(method);
        if let Found::Route { route, .. } = &found
            && plan
                .route(*route)
                .is_some_and(|route| route.pipeline.preflight.is_some())
        {
            return found;
        }
    }
    find(asked.method)
}

/// Who calls, as a number: the user, or else the address.
pub fn caller(findings: &Findings, client: std::net::IpAddr) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    // A fixed seed: another gateway, and this one after a restart, send a caller to the same upstream.
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    match &findings.principal {
        Some(principal) => principal.user.hash(&mut hasher),
        None => client.hash(&mut hasher),
    }
    hasher.finish()
}
