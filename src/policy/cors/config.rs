//! The keys of `cors`, and what browsers would refuse of them.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use schemars::{Schema, SchemaGenerator};
use serde_json::json;

use super::Origin;
use crate::base::decode::{self, Decode, FromText, keys};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};
use crate::route::method::Method;

keys! {
    /// The Fetch standard's CORS protocol for one route.
    pub struct Cors {
        /// Origins such as `https://app.example.com` or `https://*.example.com`, or `*` for any.
        pub origins: At<Vec<At<Origin>>>,
        /// The methods that scripts may use. Left out: those of the route.
        pub methods: Option<Vec<Method>>,
        /// The headers that scripts may send. Left out: those that they ask for.
        pub headers: Option<Vec<At<Field>>>,
        /// The answer's headers that scripts may read, besides those that browsers always let them.
        pub expose: Option<Vec<At<Field>>>,
        /// Browsers may send cookies and other credentials along.
        pub credentials: At<bool> = At::new(false, Place::default()),
        /// How long browsers may remember a preflight's answer; whole seconds.
        pub max_age: Option<Duration>,
    }
}

/// The name of a header, or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(pub String);

impl Decode for Cors {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let cors: Self = decode::mapping(node, report)?;
        cors.review(report);
        Some(cors)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(<Self as decode::Keys>::properties(generator));
        let mut schema = decode::narrow(schema, "origins", json!({ "minItems": 1 }));
        let credentials = json!({ "properties": { "credentials": { "const": true } }, "required": ["credentials"] });
        let named =
            json!({ "properties": { "origins": { "not": { "contains": { "const": "*" } } } } });
        schema.insert("if".into(), credentials);
        schema.insert("then".into(), named);
        schema
    }
}

impl Cors {
    fn review(&self, report: &mut Report) {
        let origins = &self.origins.value;
        if origins.is_empty() {
            let message = "an empty list: no script could ever read an answer";
            report.push(Problem::error(
                Code::InvalidValue,
                self.origins.place,
                message,
            ));
        }
        let any = origins.iter().find(|origin| origin.value == Origin::Any);
        if let Some(any) = any {
            for origin in origins.iter().filter(|origin| origin.value != Origin::Any) {
                let message = "`*` holds this origin already";
                let problem = Problem::warning(Code::Unused, origin.place, message);
                report.push(problem.related(any.place, "any origin"));
            }
        }
        if !self.credentials.value {
            return;
        }
        // Fetch standard §3.2.5: with credentials, `*` is no wildcard but a name that nothing has.
        if let Some(any) = any {
            let message = "`credentials` with the origin `*`: browsers refuse such answers";
            let problem = Problem::error(Code::Conflict, self.credentials.place, message);
            let problem = problem.related(any.place, "any origin");
            report.push(
                problem.help("name the origins whose scripts may act for the signed-in user"),
            );
        }
        for (fields, help) in [
            (
                &self.headers,
                "leave `headers` out: then scripts may send what they ask for",
            ),
            (&self.expose, "name the headers"),
        ] {
            let wild = fields.iter().flatten().find(|field| field.value.0 == "*");
            if let Some(wild) = wild {
                let message = "with `credentials`, browsers take `*` for a header's name";
                let problem = Problem::error(Code::Conflict, wild.place, message);
                let problem = problem.related(self.credentials.place, "credentials");
                report.push(problem.help(help));
            }
        }
    }
}

impl FromText for Field {
    const EXPECTED: &'static str = "a header's name or `*`";
    const PATTERN: &'static str = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        HeaderName::try_from(text)
            .map(|_| Self(text.to_owned()))
            .map_err(|_| "it holds a sign that no header's name has".to_owned())
    }
}

/// The names as a header lists them; `None` where there is none.
pub fn list(fields: &Option<Vec<At<Field>>>) -> Option<HeaderValue> {
    let names = fields.as_ref()?.iter().map(|field| field.value.0.as_str());
    let names: Vec<_> = names.collect();
    // Invariant: names of headers, commas and spaces.
    HeaderValue::try_from(names.join(", ")).ok()
}
