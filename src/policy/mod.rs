//! May a request pass, and how is it changed? One file a policy; this table fixes their order, the same
//! for every route.

use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use pingora::http::RequestHeader;
use smallvec::SmallVec;

use crate::base::net::Client;
use crate::base::reply::Reply;
use crate::base::report::Report;
use crate::base::template::{Captures, Expanded};
use crate::base::yaml::Place;
use crate::limit::{Counted, Limit};
use crate::route::method::MethodSet;
use crate::token::{ApiKeys, Issuer, Principal, TokenCache};

pub mod access;
pub mod auth;
pub mod compress;
pub mod cors;
pub mod headers;
pub mod limits;
pub mod max_body;
pub mod rewrite;
pub mod roles;

mod keys;
mod rule;

pub use keys::Keys;
pub use rule::{Refused, Rule};

/// One step of the pipeline, compiled for one route. A policy implements the moments that it needs.
pub trait Policy: Sized {
    /// The policy for a route with these keys, or `None` where they don't ask for it.
    fn compile(keys: &Keys, names: &Names, report: &mut Report) -> Option<Self>;

    /// The request's head is known, nothing is forwarded yet.
    fn request(&self, _call: &mut Call) -> Verdict {
        Verdict::Continue
    }

    /// The header fields that the upstream gets, a fresh copy at each attempt.
    fn forward(&self, _upstream: &mut HeaderMap) {}

    /// The header fields of the answer, from the upstream or our own.
    fn response(&self, _findings: &Findings, _response: &mut HeaderMap) {}

    /// The key that refused, where it was one of this policy's.
    fn rule(&self, _refused: &Refused) -> Option<Rule> {
        None
    }
}

/// What a policy says of a request.
pub enum Verdict {
    Continue,
    /// Answered here; the pipeline ends.
    Answer(Box<Reply>),
    /// Something outside of this process must be asked first. The others' requests pay nothing for it: only
    /// who waits has a future.
    Wait(Wait),
}

/// What a policy waits for; its own, so that nothing of the request is borrowed meanwhile.
pub type Wait = Pin<Box<dyn Future<Output = Then> + Send>>;

/// What the policy says once it knows.
pub type Then = Box<dyn for<'a, 'b> FnOnce(&'a mut Call<'b>) -> Verdict + Send>;

/// How far a request came.
pub enum Progress {
    Passed,
    Answered(Box<Reply>),
    /// The policy of this number waits.
    Waiting(usize, Wait),
}

/// Looks on while a request goes through its pipeline, such as to explain it afterwards.
pub trait Watch: Send {
    /// A policy, by its name in the table, has said this.
    fn saw(&mut self, _policy: &'static str, _verdict: &Verdict) {}
}

/// Nobody looks on: what serves traffic, and costs it nothing.
pub struct Unwatched;

impl Watch for Unwatched {}

/// A request on its way through the pipeline.
pub struct Call<'a> {
    pub header: &'a RequestHeader,
    pub client: Client,
    /// Normalised.
    pub path: &'a str,
    pub captures: &'a Captures,
    /// What tells the route from others, also after a reload: it counts apart what `by: route` counts.
    pub route: u64,
    /// Monotonic, in milliseconds.
    pub now_millis: u64,
    /// Since 1970, in seconds.
    pub unix_seconds: u64,
    pub findings: &'a mut Findings,
}

/// What the pipeline learnt of a request, for what comes after it.
#[derive(Debug, Default)]
pub struct Findings {
    pub principal: Option<Arc<Principal>>,
    /// Each limit that was asked, in the pipeline's order; what they hold ends with the request.
    pub counted: Rulings,
    /// The limit that refused for a part of its key that the request lacks.
    pub lacking: Option<Arc<Limit>>,
    /// The largest body, in bytes.
    pub max_body: Option<u64>,
    /// The upstream's path where it is not the client's, without the query.
    pub path: Option<Expanded>,
    /// What `Access-Control-Allow-Origin` says, where a browser's script may read the answer.
    pub origin: Option<HeaderValue>,
    /// What a preflight is granted.
    pub grant: Option<cors::Grant>,
    /// Where the route compresses: the coding that the client takes.
    pub coding: Option<compress::Agreed>,
}

/// The words of a request's limits. Few routes have more than four, which then take memory of their own.
pub type Rulings = SmallVec<[Counted; 4]>;

/// A limit, and the line that defines it.
pub type Defined = (Arc<Limit>, Place);

/// What the names in a route's keys stand for.
pub struct Names<'a> {
    /// The parameters of the route's path.
    pub parameters: &'a [&'a str],
    pub limits: &'a dyn Fn(&str) -> Option<Defined>,
    pub limit_names: &'a [&'a str],
    /// Makes a limit that is written in the route.
    pub own_limit: &'a dyn Fn(&crate::limit::config::Limit) -> Option<Arc<Limit>>,
    /// The methods that the route matches.
    pub methods: MethodSet,
    /// The API keys of the identity service, where there is one.
    pub api_keys: Option<&'a ApiKeys>,
    pub issuers: &'a [(&'a str, Issuer)],
    /// Tokens that were verified a moment ago, on any route.
    pub tokens: &'a Arc<TokenCache>,
}

macro_rules! pipeline {
    ($($policy:ident: $type:ty,)*) => {
        /// A route's policies.
        #[derive(Debug)]
        pub struct Pipeline {
            $(pub $policy: Option<$type>,)*
        }

        impl Pipeline {
            /// The policies in their order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($policy)),*];

            pub fn compile(keys: &Keys, names: &Names, report: &mut Report) -> Self {
                Self { $($policy: <$type as Policy>::compile(keys, names, report),)* }
            }

            /// Runs the policies in their order, from the one of this number, until one answers or waits.
            pub fn request(&self, from: usize, call: &mut Call, watch: &mut impl Watch) -> Progress {
                let mut number = 0;
                $(
                    if number >= from && let Some(policy) = &self.$policy {
                        let verdict = policy.request(call);
                        watch.saw(stringify!($policy), &verdict);
                        match verdict {
                            Verdict::Continue => {}
                            Verdict::Answer(reply) => return Progress::Answered(reply),
                            Verdict::Wait(wait) => return Progress::Waiting(number, wait),
                        }
                    }
                    number += 1;
                )*
                let _ = number;
                Progress::Passed
            }

            /// Waits for the policy of this number, and runs those after it; `Err` is the answer.
            pub async fn resume(
                &self,
                mut number: usize,
                mut wait: Wait,
                call: &mut Call<'_>,
                watch: &mut impl Watch,
            ) -> Result<(), Box<Reply>> {
                loop {
                    let then = wait.await;
                    let verdict = then(call);
                    watch.saw(Self::NAMES.get(number).copied().unwrap_or_default(), &verdict);
                    match verdict {
                        Verdict::Answer(reply) => return Err(reply),
                        Verdict::Wait(again) => wait = again,
                        Verdict::Continue => match self.request(number + 1, call, watch) {
                            Progress::Passed => return Ok(()),
                            Progress::Answered(reply) => return Err(reply),
                            Progress::Waiting(next, its) => (number, wait) = (next, its),
                        },
                    }
                }
            }

            pub fn forward(&self, upstream: &mut HeaderMap) {
                $(if let Some(policy) = &self.$policy { policy.forward(upstream); })*
            }

            pub fn response(&self, findings: &Findings, response: &mut HeaderMap) {
                $(if let Some(policy) = &self.$policy { policy.response(findings, response); })*
            }

            /// The key that refused.
            pub fn rule(&self, refused: &Refused) -> Option<Rule> {
                $(
                    if let Some(policy) = &self.$policy
                        && let Some(rule) = policy.rule(refused)
                    {
                        return Some(rule);
                    }
                )*
                None
            }
        }
    };
}

pipeline! {
    // Before `access`: its refusals are read by scripts too.
    sharing: cors::Sharing,
    access: access::Access,
    preflight: cors::Preflight,
    limits_before_auth: limits::BeforeAuth,
    auth: auth::Auth,
    roles: roles::Roles,
    limits_after_auth: limits::AfterAuth,
    max_body: max_body::MaxBody,
    rewrite: rewrite::Rewrite,
    request_headers: headers::RequestHeaders,
    compress: compress::Compress,
    response_headers: headers::ResponseHeaders,
}

impl Verdict {
    fn refuse(reply: Reply) -> Self {
        Self::Answer(Box::new(reply))
    }
}

#[cfg(test)]
mod tests;
