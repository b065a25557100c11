//! What became of one request, put together with the lines of the configuration: all that is told of it, in whichever
//! form. Nothing that `${…}` brought, and no credential, leaves here.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, header};

use crate::base::yaml::Place;
use crate::config::{Config, Route};
use crate::policy::{Keys, cors};
use crate::proxy::rehearsal::{Course, Request};
use crate::route::method::Method;
use crate::route::predicate::Asked;
use crate::route::router::{Found, Matcher, Router};
use crate::route::why::Miss;

/// One request's story.
pub struct Story<'a> {
    pub file: String,
    pub request: &'a Request,
    pub course: &'a Course,
    /// In the file's order.
    pub routes: Vec<Considered>,
    pub steps: Vec<Told>,
    pub upstream: Option<Upstream>,
    /// Headers of the answer.
    pub answer: Headers,
    pub notes: Vec<String>,
}

/// A route, and what came of it.
pub struct Considered {
    pub name: String,
    /// What it matches, in one line.
    pub matches: String,
    pub place: Place,
    /// `None`: it got the request.
    pub miss: Option<Miss>,
    /// The same for people.
    pub because: Option<String>,
}

/// A policy's word, and its line.
pub struct Told {
    pub policy: &'static str,
    /// "Nowhere" where no single line holds it.
    pub place: Place,
    pub answered: bool,
}

/// Where it goes, and with what.
pub struct Upstream {
    pub name: String,
    /// All upstreams of the route with their weights, where there are several.
    pub shares: Vec<(String, u32)>,
    pub target: String,
    pub headers: Headers,
    /// Those that the client did not send, or sent otherwise.
    pub added: Headers,
    pub removed: Vec<String>,
}

/// By name; several lines of one name with commas between them.
pub type Headers = BTreeMap<String, String>;

impl<'a> Story<'a> {
    pub fn new(
        config: &Config,
        file: String,
        request: &'a Request,
        course: &'a Course,
        notes: Vec<String>,
        secrets: &[String],
    ) -> Self {
        let route = course
            .route
            .and_then(|index| config.routes().get(index as usize));
        Self {
            routes: considered(config, request, course, secrets),
            steps: steps(config, route, course),
            upstream: upstream(route, course, secrets),
            answer: shown(&course.headers, secrets),
            file,
            request,
            course,
            notes,
        }
    }

    /// The route that got it.
    pub fn route(&self) -> Option<&Considered> {
        self.routes.iter().find(|route| route.miss.is_none())
    }

    /// `FILE:LINE`.
    pub fn at(&self, place: Place) -> String {
        format!("{}:{}", self.file, place.line)
    }
}

/// Headers as they may be shown.
pub fn shown(headers: &HeaderMap, secrets: &[String]) -> Headers {
    let mut shown = Headers::new();
    for name in headers.keys() {
        let lines = headers.get_all(name).iter();
        let lines: Vec<_> = lines
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let value = match is_credential(name.as_str()) {
            true => HIDDEN.to_owned(),
            false => masked(&lines.join(", "), secrets),
        };
        shown.insert(name.to_string(), value);
    }
    shown
}

/// Does this header open doors? Names are compared in any case.
pub fn is_credential(name: &str) -> bool {
    let same = |known: &HeaderName| known.as_str().eq_ignore_ascii_case(name);
    CREDENTIALS.iter().any(same)
}

/// A text without what `${…}` brought to the configuration.
pub fn masked(text: &str, secrets: &[String]) -> String {
    let mut masked = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        // A short one would stand in many a text by chance.
        if *secret == masked {
            return HIDDEN.to_owned();
        }
        if secret.len() >= 6 {
            masked = masked.replace(secret, HIDDEN);
        }
    }
    masked
}

fn considered(
    config: &Config,
    request: &Request,
    course: &Course,
    secrets: &[String],
) -> Vec<Considered> {
    let report = &mut Default::default();
    let routes = config.routes().iter();
    let matchers: Vec<Option<Matcher>> =
        routes.map(|route| route.matches.compile(report)).collect();
    let won = course.route.map(|index| index as usize);
    let winner = won.and_then(|index| matchers.get(index)?.as_ref());
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        headers.append(name, value.clone());
    }
    let known = course.asked.as_ref();
    let considered = config.routes().iter().zip(&matchers).enumerate();
    let told = considered.filter_map(|(index, (route, matcher))| {
        let (matcher, known) = (matcher.as_ref()?, known?);
        let mut asked = Asked {
            method: Method::from_http(&request.method.parse().ok()?)?,
            headers: &headers,
            query: &known.query,
        };
        if let Some(method) = preflight(winner, known, asked, request, &headers) {
            asked.method = method;
        }
        let miss = || Miss::of(matcher, winner, &known.host, &known.path, asked);
        let miss = (won != Some(index)).then(miss);
        let because = miss.as_ref().map(ToString::to_string);
        Some(Considered {
            name: route.name(),
            matches: masked(&route.matches.text(), secrets),
            place: route.place,
            because: because.map(|because| masked(&because, secrets)),
            miss,
        })
    });
    told.collect()
}

/// The method that a preflight asked about, where that is what found the route.
fn preflight(
    winner: Option<&Matcher>,
    known: &crate::proxy::rehearsal::Asked,
    asked: Asked,
    request: &Request,
    headers: &HeaderMap,
) -> Option<Method> {
    let found = Router::new([winner?]).find(&known.host, &known.path, asked);
    let by_itself = matches!(found, Found::Route { .. });
    let method = cors::asked_method(&request.method.parse().ok()?, headers)?;
    (!by_itself).then_some(method)
}

fn steps(config: &Config, route: Option<&Route>, course: &Course) -> Vec<Told> {
    let keys = route.map(|route| config.policies(route));
    let steps = course.steps.iter();
    let told = steps.map(|step| Told {
        policy: step.policy,
        place: keys
            .as_ref()
            .map(|keys| place(keys, step.policy))
            .unwrap_or_default(),
        answered: step.answered,
    });
    told.collect()
}

/// The line of a policy's key, where it has one.
fn place(keys: &Keys, policy: &str) -> Place {
    let place = match policy {
        "access" => {
            let lists = keys.allow.iter().chain(&keys.deny);
            lists.map(|list| list.place).min()
        }
        "auth" | "roles" => keys.auth.as_ref().map(|auth| auth.place),
        "max_body" => keys.max_body.map(|size| size.place),
        "rewrite" => keys.rewrite.as_ref().map(|rewrite| rewrite.place),
        _ => None,
    };
    place.unwrap_or_default()
}

fn upstream(route: Option<&Route>, course: &Course, secrets: &[String]) -> Option<Upstream> {
    let forward = course.forward.as_ref()?;
    let mut headers = shown(&forward.headers, secrets);
    // Another one in each request, so that two stories of one request are the same.
    for name in ["x-request-id", "traceparent"] {
        if !forward.sent.contains_key(name) {
            headers.insert(name.to_owned(), "(made for each request)".to_owned());
        }
    }
    let is_new = |(name, _): &(&String, &String)| {
        let sent = forward.sent.get_all(name.as_str()).iter();
        !sent.eq(forward.headers.get_all(name.as_str()).iter())
    };
    let added = headers.iter().filter(is_new);
    let added = added.map(|(name, value)| (name.clone(), value.clone()));
    let removed = forward.sent.keys();
    let removed = removed.filter(|name| !forward.headers.contains_key(*name));
    let split = route.and_then(|route| route.targets.upstream.as_ref());
    let split = split.map(|split| split.value.0.as_slice());
    let shares = split.filter(|split| split.len() > 1).unwrap_or_default();
    Some(Upstream {
        name: forward.upstream.to_string(),
        shares: shares
            .iter()
            .map(|(name, weight)| (name.value.clone(), *weight))
            .collect(),
        target: masked(&forward.target, secrets),
        added: added.collect(),
        removed: removed.map(HeaderName::to_string).collect(),
        headers,
    })
}

/// In place of what is not shown.
pub const HIDDEN: &str = "***";
const CREDENTIALS: [HeaderName; 5] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    crate::token::X_API_KEY,
    HeaderName::from_static("x-access-token"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_references_brought_is_not_shown() {
        let secrets = ["hunter2".to_owned(), "1".to_owned(), String::new()];
        assert_eq!(masked("hunter2", &secrets), "***");
        assert_eq!(masked("key hunter2!", &secrets), "key ***!");
        assert_eq!(masked("1", &secrets), "***");
        assert_eq!(masked("10.0.0.1", &secrets), "10.0.0.1");
    }

    #[test]
    fn no_credential_is_shown() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Bearer x".parse().unwrap());
        headers.append("accept", "a".parse().unwrap());
        headers.append("accept", "b".parse().unwrap());
        let shown = shown(&headers, &[]);
        assert_eq!(
            (shown["authorization"].as_str(), shown["accept"].as_str()),
            ("***", "a, b")
        );
    }
}
