//! A request decided on without a connection, an upstream or the time of day: the very functions that serve
//! traffic, on a request made of words and on a clock that is told the time. Where the way of a request needs
//! an answer of its upstream, the caller says what it would be.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pingora::http::{RequestHeader, ResponseHeader};

use super::answer;
use super::context::Context;
use super::forward::{self, Connection};
use super::rare::Rare;
use super::traffic::Traffic;
use super::{arrival, decision, head, intake};
use crate::base::clock::Clock;
use crate::base::net::Client;
use crate::base::reply::{Refusal, Reply};
use crate::base::units::Rate;
use crate::limit::{self, Decision};
use crate::plan::Plan;
use crate::policy::{Refused, Rule, Verdict, Watch, limits};
use crate::token::Principal;

/// A plan that decides on requests, and counts them as if it served.
pub struct Rehearsal {
    plan: Arc<Plan>,
    clock: Clock,
    traffic: Traffic,
}

/// A request, as a client of HTTP/1.1 would write it.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query, or whatever else a client may put there.
    pub target: String,
    pub host: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The other end of the connection.
    pub peer: IpAddr,
    pub tls: bool,
}

/// Nothing that HTTP could carry.
#[derive(Debug, thiserror::Error)]
#[error("no client can send this: {0}")]
pub struct NoRequest(String);

/// A request that was decided on, and has had no answer yet: what it holds of limits is held.
pub struct Begun {
    request: RequestHeader,
    peer: IpAddr,
    tls: bool,
    context: Context,
    steps: Vec<Step>,
    asked: Option<Asked>,
    reply: Option<Reply>,
}

/// A policy's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its name in the table of the pipeline.
    pub policy: &'static str,
    /// Did it answer, and so end the pipeline?
    pub answered: bool,
}

/// What the router was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub host: String,
    /// Normalised.
    pub path: String,
    pub query: String,
}

/// What became of a request.
pub struct Course {
    pub client: Client,
    /// `None`: it was refused before a route was looked for.
    pub asked: Option<Asked>,
    pub route: Option<u32>,
    pub steps: Vec<Step>,
    pub principal: Option<Arc<Principal>>,
    /// Each limit that was asked, in order.
    pub limits: Vec<Limited>,
    pub refused: Option<Told>,
    pub forward: Option<Forward>,
    /// The answer that the client gets; of a forwarded request with what the upstream was said to answer.
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A limit's word.
#[derive(Debug, Clone)]
pub struct Limited {
    pub name: Arc<str>,
    /// Whose calls are counted together.
    pub key: Vec<limit::Told>,
    /// What the caller is allowed; `None` for calls at the same time.
    pub rate: Option<Rate>,
    pub decision: Decision,
    pub refuses: bool,
    /// It is asked after `auth`.
    pub needs_caller: bool,
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Told {
    pub refusal: Refusal,
    /// For log and metrics; clients don't see it.
    pub reason: &'static str,
    pub detail: Option<String>,
    pub rule: Option<Rule>,
    /// The limit that refused.
    pub limit: Option<String>,
}

/// What an upstream gets.
#[derive(Debug, Clone)]
pub struct Forward {
    pub upstream: Arc<str>,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    /// The headers as the client sent them.
    pub sent: HeaderMap,
}

impl Rehearsal {
    /// `plan` must be one that serves nobody: what is decided here, it counts. All servers are there and well.
    pub fn new(plan: Arc<Plan>, clock: Clock) -> Self {
        for cluster in &plan.clusters {
            cluster.assume_resolved();
        }
        Self {
            plan,
            clock,
            traffic: Traffic::default(),
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Decides on a request. Errors: no client could send it.
    pub fn begin(&self, request: &Request) -> Result<Begun, NoRequest> {
        let header = request.header()?;
        let mut context = Context::new(self.plan.clone(), self.traffic.enter());
        arrival::note_head(request.peer, &header, &mut context);
        let asked = intake::read(&header, Rare::ANY, &self.plan.edge).ok();
        let asked = asked.map(|asked| Asked {
            host: asked.host.into_owned(),
            path: asked.path.into_owned(),
            query: asked.query.unwrap_or_default().to_owned(),
        });
        let mut steps = Steps(Vec::new());
        let deciding = decision::decide(&self.clock, &header, None, &mut context, &mut steps);
        let reply = ready(deciding).unwrap_or_else(|| {
            // Invariant: a plan without a store has no policy that waits.
            Err(Reply::refuse(Refusal::Internal).reason("waits"))
        });
        Ok(Begun {
            request: header,
            peer: request.peer,
            tls: request.tls,
            context,
            steps: steps.0,
            asked,
            reply: reply.err(),
        })
    }
}

impl Request {
    fn header(&self) -> Result<RequestHeader, NoRequest> {
        let wrong = |what: &str| NoRequest(what.to_owned());
        let target = self.target.as_bytes();
        let unsendable = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
        if target.is_empty() || target.iter().any(unsendable) {
            return Err(wrong(
                "the path is empty, or holds blanks or control characters",
            ));
        }
        let mut header = RequestHeader::build(self.method.as_bytes(), target, None)
            .map_err(|error| NoRequest(format!("its first line is none of HTTP ({error})")))?;
        let own_host = self.headers.iter().any(|(name, _)| name == header::HOST);
        if let Some(host) = self.host.as_ref().filter(|_| !own_host) {
            let host = HeaderValue::from_str(host);
            let host = host.map_err(|_| wrong("the host holds control characters"))?;
            let added = header.append_header(header::HOST, host);
            added.map_err(|error| NoRequest(error.to_string()))?;
        }
        for (name, value) in &self.headers {
            let added = header.append_header(name.clone(), value.clone());
            added.map_err(|error| NoRequest(error.to_string()))?;
        }
        Ok(header)
    }
}

impl Begun {
    /// The request's answer: our own, or this status from the upstream.
    pub fn finish(mut self, upstream_status: StatusCode) -> Result<Course, NoRequest> {
        let failed = |error: Box<pingora::Error>| NoRequest(error.to_string());
        let context = &mut self.context;
        let (mut refused, mut forward) = (None, None);
        let (head, body) = match self.reply {
            Some(reply) => {
                refused = reply.refusal.map(|refusal| Told {
                    refusal,
                    reason: reply.reason,
                    detail: reply.detail.as_deref().map(str::to_owned),
                    rule: rule(context, refusal, reply.reason),
                    limit: limits::refusing(&context.findings)
                        .map(|limit| limit.name().to_string()),
                });
                let answer = answer::make(&self.request, context, reply).map_err(failed)?;
                (answer.head, answer.body)
            }
            None => {
                let connection = Connection {
                    peer: Some(self.peer),
                    tls: self.tls,
                    version: http::Version::HTTP_11,
                    certificate: None,
                };
                let mut upstream = self.request.clone();
                forward::write(&mut upstream, &connection, context).map_err(failed)?;
                forward = context.cluster.as_ref().map(|cluster| Forward {
                    upstream: cluster.name.clone(),
                    target: String::from_utf8_lossy(upstream.raw_path()).into_owned(),
                    headers: upstream.headers.clone(),
                    sent: self.request.headers.clone(),
                });
                let mut head = ResponseHeader::build(upstream_status, None).map_err(failed)?;
                head::change_response(&mut head, |headers| {
                    answer::finish_head(upstream_status, headers, context);
                });
                (head, Bytes::new())
            }
        };
        Ok(Course {
            client: context.client,
            asked: self.asked,
            route: context.route,
            steps: self.steps,
            principal: context.findings.principal.clone(),
            limits: limited(&self.request, context),
            refused,
            forward,
            status: head.status,
            headers: head.headers.clone(),
            body,
        })
    }
}

/// Takes down what policies say.
struct Steps(Vec<Step>);

impl Watch for Steps {
    fn saw(&mut self, policy: &'static str, verdict: &Verdict) {
        self.0.push(Step {
            policy,
            answered: matches!(verdict, Verdict::Answer(_)),
        });
    }
}

fn rule(context: &Context, refusal: Refusal, reason: &'static str) -> Option<Rule> {
    let refused = Refused {
        refusal,
        reason,
        findings: &context.findings,
    };
    let upstream = context.cluster.as_ref().map(|cluster| &*cluster.name);
    context.plan.rule(context.route, upstream, &refused)
}

fn limited(request: &RequestHeader, context: &Context) -> Vec<Limited> {
    let findings = &context.findings;
    let principal = findings.principal.as_deref();
    let parts = limit::Parts {
        client: context.client.address,
        route: context.route().map_or(0, |route| route.identity),
        headers: &request.headers,
        caller: principal.map(|principal| principal as &dyn limit::Caller),
    };
    let counted = findings.counted.iter();
    counted
        .map(|counted| Limited {
            name: counted.limit().name().clone(),
            key: counted.limit().tell_key(&parts),
            rate: counted.rate(),
            decision: *counted.decision(),
            refuses: counted.refuses(),
            needs_caller: counted.limit().needs_principal(),
        })
        .collect()
}

/// What a future brings that has nothing to wait for.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}
