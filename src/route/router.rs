//! All routes by host, and the order in which they are asked: exact host, then the longest wildcard,
//! then no host; within each, the tree decides.

use std::collections::HashMap;

use super::host::HostPattern;
use super::method::MethodSet;
use super::pattern::PathPattern;
use super::predicate::{Asked, Predicates};
use super::trie::{Search, Trie};
use crate::base::template::Captures;

/// Finds a request's route. Routes are known by their index.
#[derive(Debug, Default)]
pub struct Router {
    exact: ByName,
    below: ByName,
    any: Trie,
}

/// What a route asks of a request.
#[derive(Debug, Clone)]
pub struct Matcher {
    pub host: Option<HostPattern>,
    pub path: PathPattern,
    pub predicates: Predicates,
    /// Settles what specificity leaves open; more wins.
    pub priority: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Route {
        route: u32,
        captures: Captures,
    },
    /// Routes fit but for the method: these methods would do.
    MethodNotAllowed(MethodSet),
    Nothing,
}

type ByName = HashMap<Box<str>, Trie, foldhash::fast::RandomState>;

impl Router {
    pub fn new<'a>(matchers: impl IntoIterator<Item = &'a Matcher>) -> Self {
        let mut router = Self::default();
        for (index, matcher) in matchers.into_iter().enumerate() {
            let trie = match &matcher.host {
                Some(HostPattern::Exact(name)) => {
                    router.exact.entry(name.as_str().into()).or_default()
                }
                Some(HostPattern::Below(name)) => {
                    router.below.entry(name.as_str().into()).or_default()
                }
                None => &mut router.any,
            };
            trie.insert(
                &matcher.path,
                index as u32,
                matcher.priority,
                matcher.predicates.clone(),
            );
        }
        router
    }

    /// `host` and `path` must be normalised.
    pub fn find(&self, host: &str, path: &str, asked: Asked) -> Found {
        let mut search = Search {
            path,
            asked,
            captures: Captures::default(),
            allowed: MethodSet::default(),
        };
        let route = self
            .exact
            .get(host)
            .and_then(|trie| trie.find(&mut search))
            .or_else(|| self.find_below(host, &mut search))
            .or_else(|| self.any.find(&mut search));
        match route {
            Some(route) => Found::Route {
                route,
                captures: search.captures,
            },
            None if search.allowed.is_empty() => Found::Nothing,
            None => Found::MethodNotAllowed(search.allowed),
        }
    }

    fn find_below(&self, host: &str, search: &mut Search) -> Option<u32> {
        if self.below.is_empty() {
            return None;
        }
        let dots = host.match_indices('.');
        let mut suffixes = dots.filter_map(|(dot, _)| host.get(dot + 1..));
        suffixes.find_map(|suffix| self.below.get(suffix)?.find(search))
    }
}

impl Matcher {
    /// Can both fit one request while neither is more specific? Such a pair needs a `priority`.
    pub fn ties_with(&self, other: &Self) -> bool {
        self.host == other.host
            && self.path.same_shape(&other.path)
            && self.predicates.count() == other.predicates.count()
            && self.priority == other.priority
            && self.predicates.overlap(&other.predicates)
    }
}

#[cfg(test)]
mod tests;
