//! Why a request is not a route's: for people who look at a request and the file. Each question is put to a router
//! of this one route, so that nothing is decided here in another way than for traffic.

use std::fmt;

use super::Found;
use super::host::HostPattern;
use super::method::MethodSet;
use super::predicate::{Asked, Predicates};
use super::router::{Matcher, Router};

/// What keeps a request from a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    Path,
    Host(HostPattern),
    /// A header must have this value.
    Header(String, String),
    /// A query parameter must have this value.
    Query(String, String),
    /// The methods that the route takes.
    Method(MethodSet),
    /// It fits, and another route does more exactly.
    LessSpecific(Less),
}

/// In what another route is more exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Less {
    Host,
    Path,
    Predicates,
    Priority,
}

impl Miss {
    /// One word, for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Host(_) => "host",
            Self::Header(..) => "header",
            Self::Query(..) => "query",
            Self::Method(_) => "method",
            Self::LessSpecific(_) => "less_specific",
        }
    }

    /// Why this route did not get the request that `winner` got, if any did.
    pub fn of(
        matcher: &Matcher,
        winner: Option<&Matcher>,
        host: &str,
        path: &str,
        asked: Asked,
    ) -> Self {
        let fits = |part: &Matcher| !matches!(found(part, host, path, asked), Found::Nothing);
        let bare = Matcher {
            host: None,
            predicates: Predicates::default(),
            ..matcher.clone()
        };
        if !fits(&bare) {
            return Self::Path;
        }
        if let Some(pattern) = &matcher.host
            && !fits(&Matcher {
                host: Some(pattern.clone()),
                ..bare.clone()
            })
        {
            return Self::Host(pattern.clone());
        }
        let predicates = &matcher.predicates;
        let with = |predicates| Matcher {
            predicates,
            ..bare.clone()
        };
        for (name, value) in &predicates.headers {
            let mut one = Predicates::default();
            one.headers.push((name.clone(), value.clone()));
            if !fits(&with(one)) {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                return Self::Header(name.to_string(), value);
            }
        }
        for (name, value) in &predicates.query {
            let mut one = Predicates::default();
            one.query.push((name.clone(), value.clone()));
            if !fits(&with(one)) {
                return Self::Query(name.clone(), value.clone());
            }
        }
        if let Found::MethodNotAllowed(methods) = found(matcher, host, path, asked) {
            return Self::Method(methods);
        }
        Self::LessSpecific(winner.map_or(Less::Path, |winner| Less::than(winner, matcher)))
    }
}

impl Less {
    /// The router's order: host, then path, then predicates, then priority.
    fn than(winner: &Matcher, loser: &Matcher) -> Self {
        if winner.host != loser.host {
            Self::Host
        } else if !winner.path.same_shape(&loser.path) {
            Self::Path
        } else if winner.predicates.count() != loser.predicates.count() {
            Self::Predicates
        } else {
            Self::Priority
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Path => f.write_str("another path"),
            Self::Host(host) => write!(f, "only at {host}"),
            Self::Header(name, value) => write!(f, "needs the header {name}: {value}"),
            Self::Query(name, value) => write!(f, "needs ?{name}={value}"),
            Self::Method(methods) => write!(f, "only {methods}"),
            Self::LessSpecific(less) => write!(
                f,
                "fits, and {}",
                match less {
                    Less::Host => "is less specific: its host",
                    Less::Path => "is less specific: its path",
                    Less::Predicates => "is less specific: it asks for less",
                    Less::Priority => "has a lower priority",
                }
            ),
        }
    }
}

fn found(matcher: &Matcher, host: &str, path: &str, asked: Asked) -> Found {
    Router::new([matcher]).find(host, path, asked)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::*;
    use crate::base::decode::FromText;
    use crate::route::method::Method;
    use crate::route::pattern::PathPattern;

    fn matcher(host: Option<&str>, path: &str) -> Matcher {
        Matcher {
            host: host.map(|host| HostPattern::from_text(host).unwrap()),
            path: PathPattern::from_text(path).unwrap(),
            predicates: Predicates::default(),
            priority: 0,
        }
    }

    fn miss(matcher: &Matcher, winner: Option<&Matcher>) -> String {
        let headers = HeaderMap::new();
        let asked = Asked {
            method: Method::Get,
            headers: &headers,
            query: "a=1",
        };
        Miss::of(matcher, winner, "a.test", "/x/y", asked).to_string()
    }

    #[test]
    fn the_first_thing_that_does_not_fit_is_told() {
        assert_eq!(miss(&matcher(None, "/z/*"), None), "another path");
        assert_eq!(
            miss(&matcher(Some("*.b.test"), "/x/*"), None),
            "only at *.b.test"
        );
        let mut wants = matcher(Some("a.test"), "/x/*");
        wants.predicates.query.push(("a".into(), "2".into()));
        assert_eq!(miss(&wants, None), "needs ?a=2");
        let header = HeaderName::from_static("x-beta");
        let value = HeaderValue::from_static("1");
        wants.predicates.headers.push((header, value));
        assert_eq!(miss(&wants, None), "needs the header x-beta: 1");
        let mut writes = matcher(None, "/x/y");
        writes.predicates.methods = Some(MethodSet::of([Method::Post]));
        assert_eq!(miss(&writes, None), "only POST");
    }

    #[test]
    fn what_fits_is_less_specific_and_in_what() {
        let mut winner = matcher(Some("a.test"), "/x/y");
        winner.priority = 1;
        let less = |host, path| miss(&matcher(host, path), Some(&winner));
        assert!(less(None, "/x/y").ends_with("its host"));
        assert!(less(Some("a.test"), "/x/*").ends_with("its path"));
        assert!(less(Some("a.test"), "/x/y").ends_with("a lower priority"));
    }
}
