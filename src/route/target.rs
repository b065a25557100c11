//! The keys of a route that say what it does: forward, redirect or answer.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::base::decode::{self, Decode, Fields, FromText, Keys as _, keys};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};

keys! {
    /// What a route does; exactly one of these.
    pub struct Targets {
        /// The upstream's name, or several with weights: `{ a: 95, b: 5 }`.
        pub upstream: Option<At<Split>>,
        /// Sends the client elsewhere.
        pub redirect: Option<Redirect>,
        /// Answers without an upstream.
        pub respond: Option<Respond>,
    }

    pub struct Redirect {
        /// A path or an http(s) address; the path's captures may stand in it.
        pub to: At<Location>,
        /// 301, 302, 303, 307 or 308.
        pub status: At<u16> = At::new(308, Place::default()),
    }

    pub struct Respond {
        /// From 200 to 599.
        pub status: At<u16> = At::new(200, Place::default()),
        /// None for 204, 205 and 304.
        pub body: String = String::new(),
        /// What the body is.
        pub content_type: At<MediaType> = At::new(MediaType("text/plain; charset=utf-8".to_owned()), Place::default()),
    }
}

/// Upstreams and their weights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split(pub Vec<(At<String>, u32)>);

/// Where a redirect leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(pub String);

impl Targets {
    /// Reports a route that does not do exactly one thing.
    pub fn check(fields: &Fields, report: &mut Report) {
        let count = Self::NAMES
            .iter()
            .filter(|name| fields.find(name).is_some())
            .count();
        let message = match count {
            0 if !fields.has_unknown() => {
                "this route does nothing: it needs one of `upstream`, `redirect` or `respond`"
            }
            0 | 1 => return,
            _ => "a route does exactly one thing: `upstream`, `redirect` or `respond`",
        };
        report.push(Problem::error(Code::Conflict, fields.place(), message));
    }
}

impl Decode for Redirect {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let redirect: Self = decode::mapping(node, report)?;
        let status = redirect.status;
        if ![301, 302, 303, 307, 308].contains(&status.value) {
            let message = format!("{} is not a redirect's status", status.value);
            let problem = Problem::error(Code::InvalidValue, status.place, message);
            report.push(problem.help("301, 302, 303, 307 and 308 are"));
        }
        Some(redirect)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(Self::properties(generator));
        let statuses = json!([{ "enum": [301, 302, 303, 307, 308] }, { "type": "string" }]);
        decode::narrow(schema, "status", json!({ "anyOf": statuses }))
    }
}

impl Decode for Respond {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let respond: Self = decode::mapping(node, report)?;
        let status = respond.status;
        if !(200..=599).contains(&status.value) {
            let message = format!("{} is not from 200 to 599", status.value);
            report.push(Problem::error(Code::InvalidValue, status.place, message));
        }
        // RFC 9110 §6.4.1: these never have content.
        if matches!(status.value, 204 | 205 | 304) && !respond.body.is_empty() {
            let message = format!("an answer with status {} has no body", status.value);
            report.push(Problem::error(Code::Conflict, status.place, message));
        }
        Some(respond)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(Self::properties(generator));
        decode::narrow(schema, "status", json!({ "minimum": 200, "maximum": 599 }))
    }
}

impl Decode for Split {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let Node::Map(entries) = &node.value else {
            let name = decode::text(node, "an upstream's name, or names with weights", report)?;
            return Some(Self(vec![(At::new(name.value, node.place), 1)]));
        };
        let mut split = Vec::new();
        for (name, weight) in entries {
            split.push((name.clone(), u32::decode(weight, report)?));
        }
        let total: u64 = split.iter().map(|(_, weight)| u64::from(*weight)).sum();
        if total == 0 || total > u64::from(u32::MAX) {
            let message = "the weights must add up to more than 0 and less than 2^32";
            report.push(Problem::error(Code::InvalidValue, node.place, message));
            return None;
        }
        Some(Self(split))
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "string" },
            { "type": "object", "additionalProperties": decode::whole_number(0, u32::MAX.into()), "minProperties": 1 },
        ] })
    }
}

impl FromText for Location {
    const EXPECTED: &'static str =
        "a path that begins with `/`, or an `http://` or `https://` address";
    const PATTERN: &'static str = "(/([^/ ].*)?|https?://.*)";

    fn from_text(text: &str) -> Result<Self, String> {
        // `//host` would be taken for another host (RFC 3986 §4.2).
        let local = text.starts_with('/') && !text.starts_with("//");
        let remote = text.starts_with("https://") || text.starts_with("http://");
        let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
        match (local || remote) && printable {
            true => Ok(Self(text.to_owned())),
            false => Err("it is neither".to_owned()),
        }
    }
}

impl FromText for MediaType {
    const EXPECTED: &'static str = "a media type such as `text/plain`";
    const PATTERN: &'static str = "[ -~]*/[ -~]*";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = text.contains('/')
            && text
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
            .ok_or_else(|| "it has no `/`, or is not ASCII".to_owned())
    }

    fn to_text(&self) -> Option<String> {
        Some(self.0.clone())
    }
}
