//! From a refusal to the line of the configuration behind it. Each policy keeps its own lines and says which of
//! them refused; what no policy knows, such as a route's upstream, is `plan/rule.rs`'s.

use std::borrow::Cow;

use super::Findings;
use crate::base::reply::Refusal;
use crate::base::yaml::Place;

/// A key of the configuration that decides, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// As operators know it: `deny`, `auth.roles`, `limits.per_client`, `upstreams.flights`.
    pub name: Cow<'static, str>,
    /// "Nowhere" (line 0) where a default holds that no file has.
    pub place: Place,
}

/// A refusal, as far as it tells what refused.
#[derive(Clone, Copy)]
pub struct Refused<'a> {
    pub refusal: Refusal,
    /// The reply's, as log and metrics have it.
    pub reason: &'static str,
    pub findings: &'a Findings,
}

impl Rule {
    pub fn new(name: impl Into<Cow<'static, str>>, place: Place) -> Self {
        Self {
            name: name.into(),
            place,
        }
    }
}
