//! The keys of a route that say what it matches.

use http::{HeaderName, HeaderValue};

use super::host::HostPattern;
use super::method::{Method, MethodSet};
use super::pattern::PathPattern;
use super::predicate::Predicates;
use super::router::Matcher;
use crate::base::decode::{FromText, Pairs, keys, mappings};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::At;

keys! {
    /// What a route matches.
    pub struct Matches {
        /// The route's name in logs, metrics and messages; its path where it is left out.
        pub name: Option<At<Name>>,
        /// The path: `/a/b`, `{name}` for one segment, `{*rest}` or `*` for what remains.
        pub path: At<PathPattern>,
        /// The host: exact or `*.example.com`. Left out: any.
        pub host: Option<At<HostPattern>>,
        /// The methods. Left out: any.
        pub methods: Option<At<Vec<Method>>>,
        /// Headers and query parameters that the request must have.
        pub when: Option<When>,
        /// Settles which of two equally specific routes wins: more goes first.
        pub priority: u32 = 0,
    }

    pub struct When {
        /// Header names and the exact value that one of their lines must have.
        pub headers: Pairs<At<String>> = Pairs::default(),
        /// Query parameters and their value.
        pub query: Pairs<At<String>> = Pairs::default(),
    }
}
mappings!(When);

/// A route's name: printable, bounded; it becomes a metric label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub String);

impl FromText for Name {
    const EXPECTED: &'static str = "a name of 1 to 64 printable characters";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "it is empty, too long or not printable".to_owned())
    }
}

impl Matches {
    /// The methods that are matched.
    pub fn methods(&self) -> MethodSet {
        let named = self.methods.as_ref();
        named.map_or(MethodSet::ANY, |named| {
            MethodSet::of(named.value.iter().copied())
        })
    }

    pub fn compile(&self, report: &mut Report) -> Option<Matcher> {
        Some(Matcher {
            host: self.host.as_ref().map(|host| host.value.clone()),
            path: self.path.value.clone(),
            predicates: self.predicates(report)?,
            priority: self.priority,
        })
    }

    fn predicates(&self, report: &mut Report) -> Option<Predicates> {
        let mut predicates = Predicates::default();
        if let Some(methods) = &self.methods {
            let set = self.methods();
            if set.is_empty() {
                let message = "`methods` is empty, so the route can never match";
                report.push(Problem::error(Code::InvalidValue, methods.place, message));
            }
            predicates.methods = Some(set);
        }
        let Some(when) = &self.when else {
            return Some(predicates);
        };
        for (name, value) in &when.headers.0 {
            let pair = (
                name.value.parse::<HeaderName>(),
                HeaderValue::from_str(&value.value),
            );
            match pair {
                (Ok(header), Ok(content)) => predicates.headers.push((header, content)),
                (Err(_), _) => {
                    let message = format!("`{}` is not a header's name", name.value);
                    report.push(Problem::error(Code::InvalidValue, name.place, message));
                }
                (_, Err(_)) => {
                    let message = "a header's value has no control characters";
                    report.push(Problem::error(Code::InvalidValue, value.place, message));
                }
            }
        }
        let query = when.query.0.iter();
        predicates.query = query
            .map(|(name, value)| (name.value.clone(), value.value.clone()))
            .collect();
        Some(predicates)
    }
}
