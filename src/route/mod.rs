//! Which route is a request for? Patterns, predicates and the router that finds the most specific one.

pub mod config;
pub mod host;
pub mod method;
pub mod pattern;
pub mod predicate;
pub mod router;
pub mod target;
mod trie;
pub mod why;

pub use router::{Found, Router};
