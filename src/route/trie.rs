//! A tree of path segments that yields candidates from the most specific to the least.

use std::collections::HashMap;

use super::method::MethodSet;
use super::pattern::{PathPattern, Segment};
use super::predicate::{Asked, Predicates};
use crate::base::template::Captures;

/// The routes of one host.
#[derive(Debug, Default)]
pub struct Trie {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<str>, Node, foldhash::fast::RandomState>,
    param: Option<Box<Node>>,
    /// Routes whose pattern ends here.
    end: Vec<Leaf>,
    /// Routes whose pattern takes what remains from here.
    rest: Vec<Leaf>,
}

/// A route at its place in the tree.
#[derive(Debug)]
struct Leaf {
    route: u32,
    priority: u32,
    predicates: Predicates,
}

/// One search: the request, and what was learnt on the way.
pub struct Search<'a> {
    pub path: &'a str,
    pub asked: Asked<'a>,
    pub captures: Captures,
    /// Methods of routes that fit but for the method.
    pub allowed: MethodSet,
}

impl Trie {
    pub fn insert(
        &mut self,
        pattern: &PathPattern,
        route: u32,
        priority: u32,
        predicates: Predicates,
    ) {
        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.as_str().into()).or_default(),
                Segment::Param(_) => node.param.get_or_insert_default(),
            };
        }
        let leaves = match pattern.rest {
            Some(_) => &mut node.rest,
            None => &mut node.end,
        };
        leaves.push(Leaf {
            route,
            priority,
            predicates,
        });
        let rank = |leaf: &Leaf| (leaf.predicates.count(), leaf.priority);
        leaves.sort_by_key(|leaf| std::cmp::Reverse(rank(leaf)));
    }

    /// The most specific route that fits. Each node is visited at most once, so the cost is bounded by
    /// the path's length where patterns don't branch, and by the tree's size whatever is asked.
    pub fn find(&self, search: &mut Search) -> Option<u32> {
        self.root.find(search, 0)
    }
}

impl Node {
    /// `at` is where the slash before the next segment stands; the path's length means "no more".
    fn find(&self, search: &mut Search, at: usize) -> Option<u32> {
        let path = search.path;
        if at >= path.len() {
            // Under `/a/*`, `/a` has an empty remainder.
            return pick(&self.end, search).or_else(|| self.find_rest(search, path.len()));
        }
        let start = at + 1;
        let tail = path.get(start..).unwrap_or_default();
        let segment = tail.split('/').next().unwrap_or_default();
        let end = start + segment.len();
        if let Some(child) = self.literals.get(segment)
            && let Some(route) = child.find(search, end)
        {
            return Some(route);
        }
        if let Some(child) = self.param.as_ref().filter(|_| !segment.is_empty()) {
            search.captures.push(start, end);
            if let Some(route) = child.find(search, end) {
                return Some(route);
            }
            search.captures.pop();
        }
        self.find_rest(search, start)
    }

    fn find_rest(&self, search: &mut Search, start: usize) -> Option<u32> {
        if self.rest.is_empty() {
            return None;
        }
        search.captures.push(start, search.path.len());
        let found = pick(&self.rest, search);
        if found.is_none() {
            search.captures.pop();
        }
        found
    }
}

fn pick(leaves: &[Leaf], search: &mut Search) -> Option<u32> {
    for leaf in leaves
        .iter()
        .filter(|leaf| leaf.predicates.fit(&search.asked))
    {
        if leaf.predicates.allows(search.asked.method) {
            return Some(leaf.route);
        }
        let methods = leaf.predicates.methods.unwrap_or_default();
        search.allowed = search.allowed.union(methods);
    }
    None
}
