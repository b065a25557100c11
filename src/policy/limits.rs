//! `limits`: how often. Those keyed by what is known before auth run before it, so that guessing tokens
//! is limited too; those that ask who calls run after it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Call, Findings, Keys, Names, Policy, Refused, Rule, Rulings, Then, Verdict};
use crate::base::decode::{self, Decode};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};
use crate::limit::headers::Field;
use crate::limit::{self, Asked, Caller, Counted, Limit, Outcome, Parts, User};
use crate::token::Principal;

/// The limits that a route names or holds.
pub type Uses = Vec<Use>;

/// A limit's name, or a limit written in place and counted there.
#[derive(Debug, Clone, PartialEq)]
pub enum Use {
    Named(At<String>),
    Own(Box<At<limit::config::Limit>>),
}

impl Use {
    /// The limit that is written in place, if it is one.
    pub fn own(&self) -> Option<&limit::config::Limit> {
        match self {
            Self::Own(limit) => Some(&limit.value),
            Self::Named(_) => None,
        }
    }
}

/// Limits by address, route, header or nothing.
#[derive(Debug)]
pub struct BeforeAuth(Arc<[Used]>);

/// Limits by user, API key or claim, and those that a role raises.
#[derive(Debug)]
pub struct AfterAuth(Arc<[Used]>);

/// A limit, and where it is defined.
#[derive(Debug)]
struct Used {
    limit: Arc<Limit>,
    place: Place,
    is_own: bool,
}

impl Policy for BeforeAuth {
    fn compile(keys: &Keys, names: &Names, report: &mut Report) -> Option<Self> {
        let limits = of_route(keys, names, report, false);
        (!limits.is_empty()).then(|| Self(limits.into()))
    }

    fn request(&self, call: &mut Call) -> Verdict {
        count(&self.0, 0, false, call)
    }

    fn rule(&self, refused: &Refused) -> Option<Rule> {
        rule(&self.0, refused)
    }
}

impl Policy for AfterAuth {
    fn compile(keys: &Keys, names: &Names, _: &mut Report) -> Option<Self> {
        // What is wrong with the names has been told by the first of the two.
        let limits = of_route(keys, names, &mut Report::default(), true);
        (!limits.is_empty()).then(|| Self(limits.into()))
    }

    fn request(&self, call: &mut Call) -> Verdict {
        count(&self.0, 0, false, call)
    }

    fn rule(&self, refused: &Refused) -> Option<Rule> {
        rule(&self.0, refused)
    }
}

/// The limit that refused a request, if one did.
pub fn refusing(findings: &Findings) -> Option<&Limit> {
    let mut counted = findings.counted.iter();
    let refusing = counted.find(|counted| counted.refuses());
    let refusing = refusing.map(Counted::limit);
    refusing.or(findings.lacking.as_deref())
}

/// Adds `RateLimit` and `RateLimit-Policy` of every limit that looked at the request and says so.
pub fn tell(findings: &Findings, response: &mut HeaderMap) {
    let told = findings.counted.iter();
    let mut told = told.filter_map(|counted| Some((counted.names()?, counted.decision())));
    let Some((names, decision)) = told.next() else {
        return;
    };
    let mut state = Field::new();
    names.add_state(&mut state, decision);
    let policy = names.policy(told.clone().map(|(names, _)| names));
    for (names, decision) in told {
        names.add_state(&mut state, decision);
    }
    // Invariant: it is made of printable ASCII.
    if let Ok(state) = HeaderValue::from_bytes(&state) {
        response.insert(RATE_LIMIT_POLICY, policy);
        response.insert(RATE_LIMIT, state);
    }
}

/// The answer has this status, so long `after` the request came. Limits that count failures alone learn what this
/// was.
pub fn settle(findings: &mut Findings, status: StatusCode, after: impl Fn() -> Duration) {
    for counted in &mut findings.counted {
        counted.settle(status.as_u16() >= 400, &after);
    }
}

/// The answer is out: the request is not in flight any more.
pub fn leave(findings: &mut Findings) {
    for counted in &mut findings.counted {
        counted.leave();
    }
}

fn of_route(keys: &Keys, names: &Names, report: &mut Report, after_auth: bool) -> Vec<Used> {
    let mut limits = Vec::new();
    for item in keys.limits.iter().flatten() {
        match item {
            // Made once, by the one that asks it.
            Use::Own(config) if config.value.needs_principal() != after_auth => {}
            Use::Own(config) => {
                let own = (names.own_limit)(&config.value);
                limits.extend(own.map(|limit| Used {
                    limit,
                    place: config.place,
                    is_own: true,
                }));
            }
            Use::Named(name) => match (names.limits)(&name.value) {
                Some((limit, place)) => limits.push(Used {
                    limit,
                    place,
                    is_own: false,
                }),
                None if names.limit_names.contains(&name.value.as_str()) => {}
                None => {
                    let message = format!("no limit is named `{}`", name.value);
                    let problem = Problem::error(Code::UnknownName, name.place, message);
                    report.push(problem.suggest(&name.value, names.limit_names.iter().copied()));
                }
            },
        }
    }
    limits.retain(|used| used.limit.needs_principal() == after_auth);
    limits
}

/// Asks each limit in turn, from the one of this number. Once one has `refused`, the others are only looked at:
/// the client is told of all that it has to wait for, and no limit counts a call that another one refused.
fn count(limits: &Arc<[Used]>, from: usize, refused: bool, call: &mut Call) -> Verdict {
    let principal = call.findings.principal.as_deref();
    let parts = Parts {
        client: call.client.address,
        route: call.route,
        headers: &call.header.headers,
        caller: principal.map(|principal| principal as &dyn Caller),
    };
    let counted = &mut call.findings.counted;
    let mut refused = refused;
    for (number, Used { limit, .. }) in limits.iter().enumerate().skip(from) {
        if refused && limit.is_shadow() {
            continue;
        }
        let outcome = match limit.ask(&parts, refused, call.now_millis) {
            Asked::Told(outcome) => outcome,
            Asked::Far(question) => {
                let limits = limits.clone();
                return Verdict::Wait(Box::pin(async move {
                    let outcome = question.answer().await;
                    let then: Then = Box::new(move |call| {
                        match note(outcome, refused, &mut call.findings.counted) {
                            Ok(refused) => count(&limits, number + 1, refused, call),
                            Err(verdict) => verdict,
                        }
                    });
                    then
                }));
            }
        };
        match note(outcome, refused, counted) {
            Ok(now) => refused = now,
            Err(verdict) => {
                call.findings.lacking = Some(limit.clone());
                return verdict;
            }
        }
    }
    match refused {
        false => Verdict::Continue,
        true => refuse(counted),
    }
}

/// Keeps what a limit said: is the call refused by now? `Err` ends it at once.
fn note(outcome: Outcome, refused: bool, counted: &mut Rulings) -> Result<bool, Verdict> {
    match outcome {
        Outcome::Decided(decided) => {
            let refuses = decided.refuses();
            counted.push(decided);
            Ok(refused || refuses)
        }
        Outcome::Skipped => Ok(refused),
        Outcome::Denied if refused => Ok(true),
        Outcome::Denied => {
            let reply = Reply::refuse(Refusal::Forbidden).reason("limit_key_missing");
            Err(Verdict::refuse(reply))
        }
    }
}

fn refuse(counted: &mut Rulings) -> Verdict {
    counted.iter_mut().for_each(Counted::give_back);
    let refusing = counted.iter().filter(|counted| counted.refuses());
    let longest = refusing
        .map(|counted| counted.decision().retry_after_millis)
        .max();
    let retry_after = limit::headers::retry_after(longest.unwrap_or_default());
    let reply = Reply::refuse(Refusal::RateLimited).reason("limit");
    Verdict::refuse(reply.header(header::RETRY_AFTER, HeaderValue::from(retry_after)))
}

/// The line of the limit that refused, where it is one of these.
fn rule(limits: &[Used], refused: &Refused) -> Option<Rule> {
    if !matches!(refused.reason, "limit" | "limit_key_missing") {
        return None;
    }
    let refusing = refusing(refused.findings)?;
    let mut used = limits.iter();
    let used = used.find(|used| std::ptr::eq(&*used.limit, refusing))?;
    let rule = match used.is_own {
        true => Rule::new("limits", used.place),
        false => Rule::new(format!("limits.{}", used.limit.name()), used.place),
    };
    Some(rule)
}

impl Caller for Principal {
    fn user(&self) -> User<'_> {
        User {
            id: &self.user,
            issuer: &self.issuer,
        }
    }

    fn api_key(&self) -> Option<&str> {
        self.api_key()
    }

    fn has_role(&self, role: &str) -> bool {
        self.has_role(role)
    }

    fn hash_claim(&self, name: &str, mut hasher: &mut dyn Hasher) -> bool {
        let claim = self.claims.find(name);
        claim.inspect(|claim| claim.hash(&mut hasher)).is_some()
    }
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

#[cfg(test)]
mod tests;
