//! One limit as it is written in the configuration, under `limits:` or in a route.

use http::HeaderName;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{bucket, tier};
use crate::base::decode::{self, Decode, FromText, Table, Within, keys, words};
use crate::base::report::{Code, Problem, Report, choices};
use crate::base::units::Rate;
use crate::base::yaml::{At, Node, Place};

keys! {
    /// Exactly one of `rate` and `concurrent` is given.
    pub struct Limit {
        /// How many calls in what time, such as `20/2m`.
        pub rate: Option<Rate>,
        /// How many calls at the same time.
        pub concurrent: Option<Within<1, 16_777_215>>,
        /// What calls are counted together: one of these or a list of them.
        pub by: By = By(vec![Part::Ip]),
        /// How calls are counted over time.
        pub algorithm: Algorithm = Algorithm::SlidingWindow,
        /// How many calls may come at once; for `token_bucket`, and as many as `rate` has if left out.
        pub burst: Option<Within<1, 16_777_215>>,
        /// Higher rates for the holders of a role.
        pub per_role: Table<Rate>,
        /// Counts only these answers; all where it is left out.
        pub count: Option<Counting>,
        /// What happens to a call that lacks a part of the key, such as the user.
        pub on_missing: OnMissing = OnMissing::Share,
        /// Whether a refusal is carried out or only reported.
        pub mode: Mode = Mode::Enforce,
        /// Where it is counted: on this node alone, or for all in Redis.
        pub scope: Scope = Scope::Node,
        /// What happens while Redis is away.
        pub on_store_error: OnStoreError = OnStoreError::Local,
        /// How many keys are remembered, from 1 to 16000000; 16 bytes each.
        pub max_keys: Within<1, 16_000_000> = Within(100_000),
        /// IPv6 clients count together when this many first bits are equal, from 1 to 128.
        pub ipv6_prefix: Within<1, 128> = Within(64),
    }
}

words! {
    pub enum Algorithm {
        SlidingWindow = "sliding_window",
        TokenBucket = "token_bucket",
    }

    pub enum Counting {
        /// Answers of status 400 and above.
        Failures = "failures",
    }

    /// What becomes of a call that lacks a part of the key.
    pub enum OnMissing {
        /// All calls that lack it share one count.
        Share = "share",
        /// They are refused.
        Deny = "deny",
        /// They are not counted.
        Skip = "skip",
    }

    pub enum Mode {
        Enforce = "enforce",
        Shadow = "shadow",
    }

    pub enum Scope {
        Node = "node",
        Cluster = "cluster",
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
    /// A request header.
    Header(HeaderName),
    /// A claim of the token, at its top level.
    Claim(String),
    /// Nothing: all calls count together.
    Global,
}

impl Decode for Limit {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let limit = decode::mapping(node, report);
        exactly_one_quota(node, report);
        let limit: Self = limit?;
        limit.fits_together(node, report);
        Some(limit)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(<Self as decode::Keys>::properties(generator));
        decode::exactly_one(schema, &["rate", "concurrent"])
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
        let parts = items.iter().filter_map(|item| Part::decode(item, report));
        let parts: Vec<_> = parts.collect();
        (!parts.is_empty()).then_some(Self(parts))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let part = Part::schema(generator);
        let list = json_schema!({ "type": "array", "minItems": 1, "items": part });
        json_schema!({ "anyOf": [part, list] })
    }

    fn show(&self) -> serde_json::Value {
        match self.0.as_slice() {
            [only] => only.show(),
            several => several.iter().map(Part::show).collect(),
        }
    }
}

impl FromText for Part {
    const EXPECTED: &'static str = "something to count by, such as `ip` or `user`";
    const PATTERN: &'static str = "ip|user|api_key|route|global|(header|claim):.+";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("header", name)) => HeaderName::try_from(name)
                .map(Self::Header)
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

    fn to_text(&self) -> Option<String> {
        Some(match self {
            Self::Ip => "ip".to_owned(),
            Self::User => "user".to_owned(),
            Self::ApiKey => "api_key".to_owned(),
            Self::Route => "route".to_owned(),
            Self::Header(name) => format!("header:{name}"),
            Self::Claim(name) => format!("claim:{name}"),
            Self::Global => "global".to_owned(),
        })
    }
}

impl Part {
    /// Does only authentication bring it?
    pub fn needs_caller(&self) -> bool {
        match self {
            Self::User | Self::ApiKey | Self::Claim(_) => true,
            Self::Ip | Self::Route | Self::Header(_) | Self::Global => false,
        }
    }
}

impl Limit {
    /// Is it decided after authentication only?
    pub fn needs_principal(&self) -> bool {
        self.by.0.iter().any(Part::needs_caller) || self.per_role.iter().next().is_some()
    }

    /// Tells what has no meaning beside the rest, each at its own line.
    fn fits_together(&self, node: &At<Node>, report: &mut Report) {
        let mut conflict = |key: &str, message: &str| {
            if let Some(place) = place_of(node, key) {
                report.push(Problem::error(Code::Conflict, place, message));
            }
        };
        if self.concurrent.is_some() {
            conflict(
                "algorithm",
                "`algorithm` counts calls over time, and `concurrent` does not",
            );
            conflict(
                "per_role",
                "`per_role` raises a `rate`, and this limit has `concurrent`",
            );
            conflict(
                "count",
                "`count` is of answers, and `concurrent` counts calls without one",
            );
        }
        if self.concurrent.is_some() && self.scope == Scope::Cluster {
            conflict(
                "scope",
                "`concurrent` is counted on one node: a gateway that dies would never give its places back",
            );
        }
        if self.scope != Scope::Cluster {
            conflict("on_store_error", "`on_store_error` needs `scope: cluster`");
        }
        if self.algorithm != Algorithm::TokenBucket {
            conflict("burst", "`burst` needs `algorithm: token_bucket`");
        }
        let Some(rate) = self.rate else {
            return;
        };
        for (role, higher) in self.per_role.iter() {
            if !tier::is_higher(*higher, rate) {
                let message = format!("the rate of `{}` is not higher than everyone's", role.value);
                let problem = Problem::error(Code::InvalidValue, role.place, message);
                report.push(problem.help("a role can only raise a limit"));
            }
        }
        let burst = self.burst.map_or(rate.count, |burst| burst.0);
        if bucket::fill_millis(rate, burst) > LONGEST_FILL_MILLIS
            && let Some(place) = place_of(node, "burst")
        {
            let message = "a bucket that takes more than ten years to fill";
            report.push(Problem::error(Code::InvalidValue, place, message));
        }
    }
}

fn place_of(node: &At<Node>, key: &str) -> Option<Place> {
    let Node::Map(entries) = &node.value else {
        return None;
    };
    let mut entries = entries.iter();
    entries
        .find(|(name, _)| name.value == key)
        .map(|(name, _)| name.place)
}

fn exactly_one_quota(node: &At<Node>, report: &mut Report) {
    if !matches!(node.value, Node::Map(_)) {
        return;
    }
    let given = |key| place_of(node, key).is_some();
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

/// Ten years, as for any duration.
const LONGEST_FILL_MILLIS: u128 = 3_660 * 86_400_000;

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
mod tests;
