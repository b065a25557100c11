//! One limit as it is written in the configuration, under `limits:` or in a route.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::base::decode::{self, Decode, FromText, Table, Within, keys, words};
use crate::base::report::{Code, Problem, Report, choices};
use crate::base::units::Rate;
use crate::base::yaml::{At, Node};

keys! {
    /// Exactly one of `rate` and `concurrent` is given.
    pub struct Limit {
        /// How many calls in what time, such as `20/2m`.
        pub rate: Option<Rate>,
        /// How many calls at the same time.
        pub concurrent: Option<u32>; unbuilt,
        /// What calls are counted together: one of these or a list of them.
        pub by: By = By(vec![Part::Ip]),
        /// How calls are counted over time.
        pub algorithm: Algorithm = Algorithm::SlidingWindow,
        /// How many calls may come at once; for `token_bucket`.
        pub burst: Option<u32>; unbuilt,
        /// Higher rates for the holders of a role.
        pub per_role: Table<Rate>; unbuilt,
        /// Counts only these answers; all where it is left out.
        pub count: Option<Count>,
        /// What happens to a call that lacks a part of the key, such as the user.
        pub on_missing: OnMissing = OnMissing::Share,
        /// Whether a refusal is carried out or only reported.
        pub mode: Mode = Mode::Enforce,
        /// Where it is counted: on this node alone, or for all in Redis.
        pub scope: Scope = Scope::Node,
        /// What happens while Redis is away.
        pub on_store_error: OnStoreError = OnStoreError::Local; unbuilt,
        /// How many keys are remembered, from 1 to 16000000; 16 bytes each.
        pub max_keys: Within<1, 16_000_000> = Within(100_000),
        /// IPv6 clients count together when this many first bits are equal, from 1 to 128.
        pub ipv6_prefix: Within<1, 128> = Within(64),
    }
}

words! {
    pub enum Algorithm {
        SlidingWindow = "sliding_window",
        TokenBucket = "token_bucket"; unbuilt,
    }

    pub enum Count {
        /// Answers of status 400 and above.
        Failures = "failures"; unbuilt,
    }

    /// What a call without the user counts as.
    pub enum OnMissing {
        /// All calls without it share one count.
        Share = "share",
        /// They are refused.
        Deny = "deny",
        /// They are not counted.
        Skip = "skip",
    }

    pub enum Mode {
        Enforce = "enforce",
        Shadow = "shadow"; unbuilt,
    }

    pub enum Scope {
        Node = "node",
        Cluster = "cluster"; unbuilt,
    }

    pub enum OnStoreError {
        Local = "local",
        Allow = "allow",
        Deny = "deny",
    }
}

/// The parts of the key; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By(pub Vec<Part>);

/// One thing that tells one caller from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Ip,
    User,
    ApiKey,
    Route,
    /// A request header, in lower case.
    Header(String),
    /// A claim of the token.
    Claim(String),
    /// Nothing: all calls count together.
    Global,
}

impl Decode for Limit {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let limit = decode::mapping(node, report);
        exactly_one_quota(node, report);
        limit
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        decode::object(<Self as decode::Keys>::properties(generator))
    }
}

impl Decode for By {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let items = match &node.value {
            Node::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() {
            let message = "`by` needs at least one part; `global` counts all calls together";
            report.push(Problem::error(Code::InvalidValue, node.place, message));
        }
        let parts = items.iter().filter_map(|item| {
            let part = Part::decode(item, report)?;
            if let Some(what) = part.unbuilt() {
                report.push(decode::not_built(item.place, &format!("`{what}`")));
            }
            Some(part)
        });
        let parts: Vec<_> = parts.collect();
        (!parts.is_empty()).then_some(Self(parts))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let part = Part::schema(generator);
        let list = json_schema!({ "type": "array", "minItems": 1, "items": part });
        json_schema!({ "anyOf": [part, list] })
    }
}

impl FromText for Part {
    const EXPECTED: &'static str = "something to count by, such as `ip` or `user`";
    const PATTERN: &'static str = "ip|user|api_key|route|global|(header|claim):.+";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("header", name)) => http::HeaderName::try_from(name)
                .map(|name| Self::Header(name.as_str().to_owned()))
                .map_err(|_| "after `header:` comes the name of a header".to_owned()),
            Some(("claim", name)) if !name.is_empty() => Ok(Self::Claim(name.to_owned())),
            _ => match text {
                "ip" => Ok(Self::Ip),
                "user" => Ok(Self::User),
                "api_key" => Ok(Self::ApiKey),
                "route" => Ok(Self::Route),
                "global" => Ok(Self::Global),
                _ => Err(format!("not one of {}", choices(PARTS))),
            },
        }
    }
}

impl Part {
    fn unbuilt(&self) -> Option<&'static str> {
        match self {
            Self::ApiKey => Some("api_key"),
            Self::Header(_) => Some("header:NAME"),
            Self::Claim(_) => Some("claim:NAME"),
            Self::Ip | Self::User | Self::Route | Self::Global => None,
        }
    }
}

fn exactly_one_quota(node: &At<Node>, report: &mut Report) {
    let Node::Map(entries) = &node.value else {
        return;
    };
    let given = |name: &str| entries.iter().any(|(key, _)| key.value == name);
    let problem = match (given("rate"), given("concurrent")) {
        (true, false) | (false, true) => return,
        (false, false) => (Code::MissingKey, "a limit needs `rate` or `concurrent`"),
        (true, true) => (
            Code::Conflict,
            "a limit has `rate` or `concurrent`, never both",
        ),
    };
    report.push(Problem::error(problem.0, node.place, problem.1));
}

const PARTS: [&str; 7] = [
    "ip",
    "user",
    "api_key",
    "route",
    "header:NAME",
    "claim:NAME",
    "global",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::yaml;

    fn read(source: &str) -> (Option<Limit>, Vec<String>) {
        let mut report = Report::default();
        let limit = Limit::decode(&yaml::read(source).unwrap(), &mut report);
        let report = report.sorted();
        let show = |problem: &Problem| {
            let yaml::Place { line, column } = problem.place;
            format!("{line}:{column} {}", problem.message)
        };
        (limit, report.problems().iter().map(show).collect())
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let (limit, problems) = read("rate: 20/2m");
        assert!(problems.is_empty(), "{problems:?}");
        let limit = limit.unwrap();
        assert_eq!(limit.by, By(vec![Part::Ip]));
        assert_eq!(limit.algorithm, Algorithm::SlidingWindow);
        assert_eq!(limit.on_missing, OnMissing::Share);
        assert_eq!((limit.max_keys.0, limit.ipv6_prefix.0), (100_000, 64));
    }

    #[test]
    fn what_is_counted_by_is_one_part_or_a_list() {
        let by = |source| read(source).0.unwrap().by.0;
        assert_eq!(by("{rate: 1/1s, by: user}"), [Part::User]);
        let list = by("{rate: 1/1s, by: [ip, route, global]}");
        assert_eq!(list, [Part::Ip, Part::Route, Part::Global]);
        let header = by("{rate: 1/1s, by: 'header:X-Tenant'}");
        assert_eq!(header, [Part::Header("x-tenant".into())]);
    }

    #[test]
    fn a_limit_has_exactly_one_quota() {
        assert_eq!(
            read("by: ip").1,
            ["1:1 a limit needs `rate` or `concurrent`"]
        );
        let (_, problems) = read("rate: 1/1s\nconcurrent: 3");
        assert_eq!(
            problems,
            [
                "1:1 a limit has `rate` or `concurrent`, never both",
                "2:1 `concurrent` is not built yet"
            ]
        );
        // A rate that can't be read is one problem and not two.
        assert_eq!(read("rate: 20").1.len(), 1);
    }

    #[test]
    fn numbers_out_of_range_are_told_at_their_line() {
        let (_, problems) = read("rate: 1/1s\nmax_keys: 0\nipv6_prefix: 129\nby: []");
        assert_eq!(
            problems,
            [
                "2:11 0 is out of range: 1 to 16000000",
                "3:14 129 is out of range: 1 to 128",
                "4:5 `by` needs at least one part; `global` counts all calls together"
            ]
        );
    }

    #[test]
    fn what_is_not_built_is_refused_and_not_ignored() {
        for unbuilt in [
            "burst: 5",
            "algorithm: token_bucket",
            "per_role: { gold: 10/1s }",
            "count: failures",
            "mode: shadow",
            "scope: cluster",
            "on_store_error: deny",
            "by: api_key",
            "by: [ip, 'header:x-a']",
            "by: 'claim:sub'",
        ] {
            let (_, problems) = read(&format!("rate: 1/1s\n{unbuilt}"));
            assert_eq!(problems.len(), 1, "{unbuilt}: {problems:?}");
            assert!(problems[0].contains("is not built yet"), "{problems:?}");
        }
    }
}
