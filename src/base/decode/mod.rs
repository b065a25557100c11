//! From nodes to types: strict, and all problems at once. `keys!` declares a mapping's keys together
//! with their types, defaults and documentation; the reader and the JSON Schema both come from it.

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::base::report::{Code, Problem, Report, choices};
use crate::base::yaml::{At, Node, Place, Text};

mod collections;
mod macros;
mod scalars;
mod schema;
mod within;

pub use collections::{Entries, Pairs, Section, Table};
pub(crate) use macros::{keys, mappings, words};
pub use schema::{
    REFERENCE, exactly_one, narrow, object, property, unbuilt, whole_number, words as words_of,
};
pub use within::Within;

/// A type that the configuration can hold.
pub trait Decode: Sized {
    /// Reads a value; what is wrong with it goes to the report.
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self>;

    /// The value where the key is left out; `None` means that the key is needed.
    fn absent() -> Option<Self> {
        None
    }

    /// The JSON Schema of what `decode` takes.
    fn schema(generator: &mut SchemaGenerator) -> Schema;

    /// The value as it would be written, for defaults in the schema; null where it is not told.
    fn show(&self) -> Value {
        Value::Null
    }
}

/// A type that is written as one string, such as `10s` or `10.0.0.0/8`.
pub trait FromText: Sized {
    /// What is expected, for messages: "a duration such as `10s`".
    const EXPECTED: &'static str;
    /// A regular expression for editors; empty where there is none.
    const PATTERN: &'static str = "";

    /// Errors: a clause that completes "… is not a duration: ".
    fn from_text(text: &str) -> Result<Self, String>;

    /// The text that `from_text` makes this of, for defaults in the schema.
    fn to_text(&self) -> Option<String> {
        None
    }
}

/// A group of keys in a mapping: a whole one, or one of several that a mapping is made of.
pub trait Keys: Sized {
    const NAMES: &'static [&'static str];

    /// Takes this group's keys out of the mapping.
    fn take(fields: &mut Fields, report: &mut Report) -> Option<Self>;

    /// Name, schema and "needed" of each key.
    fn properties(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema, bool)>;

    /// The mapping as it would be written, for defaults in the schema.
    fn shown(&self) -> Value;
}

/// The entries of a mapping whose keys are being taken.
pub struct Fields<'a> {
    place: Place,
    entries: &'a [(At<String>, At<Node>)],
    lenient: bool,
    has_unknown: bool,
}

impl<'a> Fields<'a> {
    /// Opens a mapping. What is not one, and each key outside of `known`, is reported.
    pub fn open(node: &'a At<Node>, known: &[&[&str]], report: &mut Report) -> Option<Self> {
        let entries = match &node.value {
            Node::Map(entries) => entries.as_slice(),
            other => {
                report.push(wrong_type(node.place, "a mapping", other));
                return None;
            }
        };
        let names = || known.iter().flat_map(|names| names.iter().copied());
        let mut has_unknown = false;
        for (key, _) in entries {
            if !names().any(|name| name == key.value) {
                let message = format!("unknown key `{}`", key.value);
                let problem = Problem::error(Code::UnknownKey, key.place, message);
                report.push(problem.suggest(&key.value, names()));
                has_unknown = true;
            }
        }
        Some(Self {
            place: node.place,
            entries,
            lenient: false,
            has_unknown,
        })
    }

    /// A key whose value is wrong takes its default, so that the rest of the mapping is still looked at.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Did the mapping have a key that is not known? It may stand for one that seems to be missing.
    pub fn has_unknown(&self) -> bool {
        self.has_unknown
    }

    /// Where the mapping stands.
    pub fn place(&self) -> Place {
        self.place
    }

    pub fn find(&self, name: &str) -> Option<&'a (At<String>, At<Node>)> {
        self.entries.iter().find(|(key, _)| key.value == name)
    }

    /// The value of a key. `None` means that it is missing without a default, or wrong and without
    /// one; both are reported.
    pub fn field<T: Decode>(
        &self,
        name: &str,
        default: impl FnOnce() -> Option<T>,
        report: &mut Report,
    ) -> Option<T> {
        match self.find(name) {
            Some((_, node)) => {
                T::decode(node, report).or_else(|| default().filter(|_| self.lenient))
            }
            None => {
                let value = default();
                if value.is_none() {
                    let message = format!("missing key `{name}`");
                    report.push(Problem::error(Code::MissingKey, self.place, message));
                }
                value
            }
        }
    }

    /// Refuses a key whose feature does not exist yet: it must never be accepted and ignored.
    pub fn refuse_unbuilt(&self, name: &str, report: &mut Report) {
        if let Some((key, _)) = self.find(name) {
            report.push(not_built(key.place, &format!("`{name}`")));
        }
    }
}

/// Reads a whole mapping made of one group of keys.
pub fn mapping<T: Keys>(node: &At<Node>, report: &mut Report) -> Option<T> {
    let mut fields = Fields::open(node, &[T::NAMES], report)?;
    T::take(&mut fields, report)
}

/// "`x` is not built yet": part of the grammar whose feature this version does not have.
pub fn not_built(place: Place, what: &str) -> Problem {
    let message = format!("{what} is not built yet");
    Problem::error(Code::NotBuilt, place, message)
        .help("this version knows the key and refuses it, so that nothing is silently ignored")
}

pub fn wrong_type(place: Place, expected: &str, found: &Node) -> Problem {
    let message = format!("expected {expected}, found {}", found.kind());
    Problem::error(Code::WrongType, place, message)
}

/// A word out of a fixed set.
pub fn unknown_word(node: &At<Node>, text: &Text, known: &[&str]) -> Problem {
    let message = format!("{} is not one of {}", text.quoted(), choices(known));
    Problem::error(Code::InvalidValue, node.place, message)
        .suggest(&text.value, known.iter().copied())
}

/// The string at a node. A bare number is taken as its digits.
pub fn text(node: &At<Node>, expected: &str, report: &mut Report) -> Option<Text> {
    match &node.value {
        Node::Text(text) => Some(text.clone()),
        Node::Integer(number) => Some(Text {
            value: number.to_string(),
            secret: false,
        }),
        other => {
            let mut problem = wrong_type(node.place, expected, other);
            if matches!(other, Node::Float(_) | Node::Bool(_)) {
                problem = problem.help("put it into quotes");
            }
            report.push(problem);
            None
        }
    }
}

impl Text {
    /// The value in backticks, or stars where it came from the environment or a file.
    pub fn quoted(&self) -> String {
        match self.secret {
            true => "`***`".to_owned(),
            false => format!("`{}`", self.value.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests;
