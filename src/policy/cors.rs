//! `cors`: which other origins' scripts a browser lets call, and read the answers (Fetch standard §3.2).
//! It guards the readers of answers, never the upstream: who may call is said by `auth`.

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, StatusCode};
use pingora::http::RequestHeader;

use super::{Call, Findings, Keys, Names, Policy, Verdict};
use crate::base::reply::Reply;
use crate::base::report::{Code, Problem, Report};
use crate::route::method::{Method, MethodSet};

mod config;
mod origin;

pub use config::Cors;
pub use origin::Origin;

/// Notes whose script asks, and tells the browser on every answer of the route, refusals too: else a
/// script could not tell a 401 from a broken network.
#[derive(Debug)]
pub struct Sharing {
    /// `None`: any.
    origins: Option<Vec<Origin>>,
    credentials: bool,
    expose: Option<HeaderValue>,
}

/// Answers preflights. They bring no credentials, so they are asked neither for a token nor for a limit.
#[derive(Debug)]
pub struct Preflight {
    methods: HeaderValue,
    /// `None`: those that the browser asks for.
    headers: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// What a preflight is granted.
#[derive(Debug)]
pub struct Grant {
    headers: Option<HeaderValue>,
}

/// The method that a preflight asks for: `OPTIONS` with an origin and this method (Fetch standard §3.2.2).
/// `None` where the request is none, or asks for what no route can have.
pub fn asked_for(header: &RequestHeader) -> Option<Method> {
    asked_method(&header.method, &header.headers)
}

/// The same of a request in parts.
pub fn asked_method(method: &http::Method, headers: &HeaderMap) -> Option<Method> {
    if method != http::Method::OPTIONS || !headers.contains_key(ORIGIN) {
        return None;
    }
    let asked = headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    Method::from_http(&http::Method::from_bytes(asked.as_bytes()).ok()?)
}

impl Sharing {
    /// Notes the origin if its scripts may read the answer.
    pub fn note(&self, headers: &HeaderMap, findings: &mut Findings) {
        findings.origin = self.reader(headers);
    }

    /// What `Access-Control-Allow-Origin` says to this request.
    fn reader(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let Some(origins) = &self.origins else {
            return Some(ANY);
        };
        let mut lines = headers.get_all(ORIGIN).iter();
        let origin = lines.next().filter(|_| lines.next().is_none())?;
        let fits = origins.iter().any(|known| known.fits(origin.as_bytes()));
        fits.then(|| origin.clone())
    }
}

impl Policy for Sharing {
    fn compile(keys: &Keys, _: &Names, report: &mut Report) -> Option<Self> {
        let cors = keys.cors.as_ref()?;
        no_rivals(keys, report);
        let origins = cors.origins.value.iter().map(|origin| &origin.value);
        let any = origins.clone().any(|origin| *origin == Origin::Any);
        Some(Self {
            origins: (!any).then(|| origins.cloned().collect()),
            credentials: cors.credentials.value,
            expose: config::list(&cors.expose),
        })
    }

    fn request(&self, call: &mut Call) -> Verdict {
        self.note(&call.header.headers, call.findings);
        Verdict::Continue
    }

    fn response(&self, findings: &Findings, response: &mut HeaderMap) {
        remove_what_the_upstream_says(response);
        if self.origins.is_some() {
            // Where no origin is allowed too: a cache must not give that answer to one that is.
            vary_by_origin(response);
        }
        let Some(origin) = &findings.origin else {
            return;
        };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
        if let Some(expose) = &self.expose {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
    }
}

impl Policy for Preflight {
    fn compile(keys: &Keys, names: &Names, _: &mut Report) -> Option<Self> {
        let cors = keys.cors.as_ref()?;
        let own = cors.methods.as_ref();
        let methods = own.map_or(names.methods, |own| MethodSet::of(own.iter().copied()));
        Some(Self {
            methods: HeaderValue::try_from(methods.to_string()).ok()?,
            headers: config::list(&cors.headers),
            max_age: cors.max_age.map(|age| HeaderValue::from(age.as_secs())),
        })
    }

    fn request(&self, call: &mut Call) -> Verdict {
        if asked_for(call.header).is_none() {
            return Verdict::Continue;
        }
        // An origin that may not read gets the same answer without the headers: that is the protocol's no.
        if call.findings.origin.is_some() {
            let asked = || {
                call.header
                    .headers
                    .get(ACCESS_CONTROL_REQUEST_HEADERS)
                    .cloned()
            };
            let headers = self.headers.clone().or_else(asked);
            call.findings.grant = Some(Grant { headers });
        }
        let reply = Reply::with(StatusCode::NO_CONTENT, Bytes::new());
        Verdict::refuse(reply)
    }

    fn response(&self, findings: &Findings, response: &mut HeaderMap) {
        let Some(grant) = &findings.grant else {
            return;
        };
        response.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
        if let Some(headers) = &grant.headers {
            response.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        if let Some(age) = &self.max_age {
            response.insert(ACCESS_CONTROL_MAX_AGE, age.clone());
        }
    }
}

/// On a route with `cors` the gateway alone says who may read: a second voice would make browsers refuse.
fn remove_what_the_upstream_says(response: &mut HeaderMap) {
    let theirs = |response: &HeaderMap| {
        let mut names = response.keys();
        names.find(|name| is_cors(name.as_str())).cloned()
    };
    while let Some(name) = theirs(response) {
        response.remove(name);
    }
}

/// Adds `Origin` to `Vary`, unless it is there (RFC 9110 §12.5.5).
fn vary_by_origin(response: &mut HeaderMap) {
    let lines = response.get_all(VARY).iter();
    let mut names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let says = |name: &[u8]| {
        let name = name.trim_ascii();
        name == b"*" || name.eq_ignore_ascii_case(b"origin")
    };
    if !names.any(says) {
        response.append(VARY, BY_ORIGIN);
    }
}

/// `response_headers` can't say what `cors` says.
fn no_rivals(keys: &Keys, report: &mut Report) {
    let Some(edit) = &keys.response_headers else {
        return;
    };
    for (name, place) in edit.replaced().chain(edit.added()) {
        if is_cors(&name.to_ascii_lowercase()) {
            let message = format!("`{name}` is said by this route's `cors`");
            report.push(Problem::error(Code::Conflict, place, message));
        }
    }
    for (name, place) in edit.replaced() {
        if name.eq_ignore_ascii_case("vary") {
            let message = "this route's `cors` needs `Vary`: caches would mix origins up";
            let problem = Problem::error(Code::Conflict, place, message);
            report.push(problem.help("`add` one more line to it instead"));
        }
    }
}

fn is_cors(name: &str) -> bool {
    name.starts_with("access-control-")
}

const ANY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
