//! `request_headers` and `response_headers`: remove some, set and add others.

use http::{HeaderMap, HeaderName, HeaderValue};
use schemars::{Schema, SchemaGenerator};
use serde_json::json;

use super::auth::is_identity_header;
use super::{Findings, Keys, Names, Policy};
use crate::base::decode::{self, Decode, Pairs, keys};
use crate::base::report::{Code, Problem, Report};
use crate::base::units::Word;
use crate::base::yaml::{At, Node, Place};
use crate::tls::client::is_certificate_header;

keys! {
    /// What to do with a message's headers: first `remove`, then `set`, then `add`.
    pub struct Edit {
        /// Replaces whatever stands under these names.
        pub set: Pairs<At<String>> = Pairs::default(),
        /// One more line under these names, beside those that are there.
        pub add: Pairs<At<String>> = Pairs::default(),
        /// Takes away whatever stands under these names.
        pub remove: Vec<At<Word>> = Vec::new(),
    }
}

impl Decode for Edit {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        decode::mapping(node, report)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = decode::object(<Self as decode::Keys>::properties(generator));
        let names = json!({ "pattern": NAME, "not": { "pattern": not_to_be_changed() } });
        for key in ["set", "add"] {
            schema = decode::narrow(schema, key, json!({ "propertyNames": names.clone() }));
        }
        schema
    }
}

impl Edit {
    /// The names whose present lines are lost, and where that is written.
    pub fn replaced(&self) -> impl Iterator<Item = (&str, Place)> {
        let set = self.set.0.iter();
        let set = set.map(|(name, _)| (name.value.as_str(), name.place));
        let removed = self.remove.iter();
        set.chain(removed.map(|name| (name.value.0.as_str(), name.place)))
    }

    /// The names that get one more line.
    pub fn added(&self) -> impl Iterator<Item = (&str, Place)> {
        let add = self.add.0.iter();
        add.map(|(name, _)| (name.value.as_str(), name.place))
    }
}

/// Changes the head that the upstream gets.
#[derive(Debug)]
pub struct RequestHeaders(Changes);

/// Changes the head of every answer.
#[derive(Debug)]
pub struct ResponseHeaders(Changes);

#[derive(Debug)]
struct Changes {
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
    remove: Vec<HeaderName>,
}

impl Policy for RequestHeaders {
    fn compile(keys: &Keys, _: &Names, report: &mut Report) -> Option<Self> {
        let edit = keys.request_headers.as_ref()?;
        Some(Self(Changes::compile(edit, "a request", report)))
    }

    fn forward(&self, upstream: &mut HeaderMap) {
        self.0.apply(upstream);
    }
}

impl Policy for ResponseHeaders {
    fn compile(keys: &Keys, _: &Names, report: &mut Report) -> Option<Self> {
        let edit = keys.response_headers.as_ref()?;
        Some(Self(Changes::compile(edit, "an answer", report)))
    }

    fn response(&self, _: &Findings, response: &mut HeaderMap) {
        self.0.apply(response);
    }
}

impl Changes {
    fn compile(edit: &Edit, of: &str, report: &mut Report) -> Self {
        let names = edit.remove.iter();
        let remove = names.filter_map(|name| header_name(&name.value.0, name.place, of, report));
        Self {
            remove: remove.collect(),
            set: lines(&edit.set, of, report),
            add: lines(&edit.add, of, report),
        }
    }

    fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

fn lines(
    pairs: &Pairs<At<String>>,
    of: &str,
    report: &mut Report,
) -> Vec<(HeaderName, HeaderValue)> {
    let mut lines = Vec::new();
    for (key, value) in &pairs.0 {
        let name = header_name(&key.value, key.place, of, report);
        match HeaderValue::from_str(&value.value) {
            Ok(content) => lines.extend(name.map(|name| (name, content))),
            Err(_) => {
                let message = "a header's value has no control characters";
                report.push(Problem::error(Code::InvalidValue, value.place, message));
            }
        }
    }
    lines
}

/// A header that a configuration may change: not those that carry identity or frame the message.
fn header_name(text: &str, place: Place, of: &str, report: &mut Report) -> Option<HeaderName> {
    let refuse = |message: String| Problem::error(Code::InvalidValue, place, message);
    let Ok(name) = text.parse::<HeaderName>() else {
        report.push(refuse(format!(
            "`{}` is not a header's name",
            text.escape_debug()
        )));
        return None;
    };
    if is_identity_header(name.as_str()) || is_certificate_header(name.as_str()) {
        let problem = refuse(format!(
            "`{text}` is Airside's to set: it tells upstreams who calls"
        ));
        report.push(problem);
        return None;
    }
    if FRAMING.contains(&name.as_str()) {
        report.push(refuse(format!(
            "`{text}` frames {of} on its connection and can't be changed"
        )));
        return None;
    }
    Some(name)
}

/// The names that `header_name` refuses, as a pattern for editors; those know no names without case.
fn not_to_be_changed() -> String {
    let anycase = |c: char| match c {
        'a'..='z' => format!("[{c}{}]", c.to_ascii_uppercase()),
        other => other.to_string(),
    };
    let name = |name: &str| name.chars().map(anycase).collect::<String>();
    let framing: Vec<_> = FRAMING.iter().map(|framing| name(framing)).collect();
    let (x, auth) = (name("x"), name("auth"));
    format!("^(?:{}|{x}[-_]{auth}[-_].*)$", framing.join("|"))
}

/// RFC 9110 §5.1.
const NAME: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";
/// RFC 9110 §7.6.1 and RFC 9112 §6.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
