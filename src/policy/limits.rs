//! `limits`: how often. Those keyed by what is known before auth run before it, so that guessing tokens
//! is limited too; those keyed by the user run after it.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use pingora::http::ResponseHeader;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Call, Counted, Findings, Keys, Names, Policy, Verdict};
use crate::base::decode::{self, Decode};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node};
use crate::limit::{self, Limit, Outcome, Parts, User};

/// The limits that a route names or holds.
pub type Uses = Vec<Use>;

/// A limit's name, or a limit written in place and counted there.
#[derive(Debug, Clone, PartialEq)]
pub enum Use {
    Named(At<String>),
    Own(Box<limit::config::Limit>),
}

impl Use {
    /// The limit that is written in place, if it is one.
    pub fn own(&self) -> Option<&limit::config::Limit> {
        match self {
            Self::Own(limit) => Some(limit),
            Self::Named(_) => None,
        }
    }
}

/// Limits by address, route or nothing. Also the one that tells clients how much is left, for both.
#[derive(Debug)]
pub struct BeforeAuth(Vec<Arc<Limit>>);

/// Limits by user.
#[derive(Debug)]
pub struct AfterAuth(Vec<Arc<Limit>>);

impl Policy for BeforeAuth {
    fn compile(keys: &Keys, names: &Names, report: &mut Report) -> Option<Self> {
        let limits = of_route(keys, names, report, |limit| !limit.needs_principal());
        (!limits.is_empty()).then_some(Self(limits))
    }

    fn request(&self, call: &mut Call) -> Verdict {
        count(&self.0, call)
    }
}

impl Policy for AfterAuth {
    fn compile(keys: &Keys, names: &Names, _: &mut Report) -> Option<Self> {
        // What is wrong with the names has been told by the first of the two.
        let limits = of_route(keys, names, &mut Report::default(), Limit::needs_principal);
        (!limits.is_empty()).then_some(Self(limits))
    }

    fn request(&self, call: &mut Call) -> Verdict {
        count(&self.0, call)
    }
}

/// Adds `RateLimit` and `RateLimit-Policy` of every limit that counted the request.
pub fn tell(findings: &Findings, response: &mut ResponseHeader) {
    if findings.counted.is_empty() {
        return;
    }
    let (mut policy, mut state) = (String::with_capacity(64), String::with_capacity(64));
    for counted in &findings.counted {
        counted.limit.names().add_policy(&mut policy);
        counted
            .limit
            .names()
            .add_state(&mut state, &counted.decision);
    }
    // Invariant: both fields are made of printable ASCII.
    if let (Ok(policy), Ok(state)) = (HeaderValue::try_from(policy), HeaderValue::try_from(state)) {
        let _ = response.insert_header(RATE_LIMIT_POLICY, policy);
        let _ = response.insert_header(RATE_LIMIT, state);
    }
}

fn of_route(
    keys: &Keys,
    names: &Names,
    report: &mut Report,
    wanted: impl Fn(&Limit) -> bool,
) -> Vec<Arc<Limit>> {
    let mut limits = Vec::new();
    for item in keys.limits.iter().flatten() {
        match item {
            Use::Own(config) => limits.extend((names.own_limit)(config)),
            Use::Named(name) => match (names.limits)(&name.value) {
                Some(limit) => limits.push(limit),
                None if names.limit_names.contains(&name.value.as_str()) => {}
                None => {
                    let message = format!("no limit is named `{}`", name.value);
                    let problem = Problem::error(Code::UnknownName, name.place, message);
                    report.push(problem.suggest(&name.value, names.limit_names.iter().copied()));
                }
            },
        }
    }
    limits.retain(|limit| wanted(limit));
    limits
}

fn count(limits: &[Arc<Limit>], call: &mut Call) -> Verdict {
    for limit in limits {
        let principal = call.findings.principal.as_deref();
        let parts = Parts {
            client: call.client.address,
            route: call.route,
            user: principal.map(|principal| User {
                id: &principal.user,
                issuer: &principal.issuer,
            }),
        };
        let decision = match limit.decide(&parts, call.now_millis) {
            Outcome::Decided(decision) => decision,
            Outcome::Skipped => continue,
            Outcome::Denied => {
                return Verdict::refuse(
                    Reply::refuse(Refusal::Forbidden).reason("limit_key_missing"),
                );
            }
        };
        let admitted = decision.admitted;
        let retry_after = limit::headers::retry_after(&decision);
        call.findings.counted.push(Counted {
            limit: limit.clone(),
            decision,
        });
        if !admitted {
            let reply = Reply::refuse(Refusal::RateLimited).reason("limit");
            return Verdict::refuse(
                reply.header(header::RETRY_AFTER, HeaderValue::from(retry_after)),
            );
        }
    }
    Verdict::Continue
}

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

impl Decode for Use {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        match &node.value {
            Node::Map(_) => Some(Self::Own(Box::new(Decode::decode(node, report)?))),
            _ => {
                let name = decode::text(node, "a limit's name or a limit", report)?;
                Some(Self::Named(At::new(name.value, node.place)))
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let own = limit::config::Limit::schema(generator);
        json_schema!({ "oneOf": [{ "type": "string" }, own] })
    }
}
