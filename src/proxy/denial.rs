//! What is kept of a refused request, so that an operator can ask which line refused it.

use super::context::Context;
use crate::base::reply::Refusal;
use crate::policy::{Refused, limits};
use crate::telemetry::denials::Denial;

/// The denial of a request that is over at `unix_millis`.
pub fn of(context: &Context, refusal: Refusal, unix_millis: u64) -> Denial {
    let upstream = context.cluster.as_ref().map(|cluster| &*cluster.name);
    let refused = Refused {
        refusal,
        reason: context.reason,
        findings: &context.findings,
    };
    let rule = context.plan.rule(context.route, upstream, &refused);
    let limit = match refusal {
        Refusal::RateLimited => limits::refusing(&context.findings),
        _ => None,
    };
    Denial {
        request_id: context.id.as_str().into(),
        unix_millis,
        refusal,
        reason: context.reason,
        route: context.route().map(|route| route.name.clone()),
        rule: rule.map(|rule| (rule.name.into(), rule.place)),
        limit: limit.map(|limit| (limit.name().clone(), limit.counts_by().into())),
    }
}
