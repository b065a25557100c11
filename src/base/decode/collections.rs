//! Collections that differ in what they do about a wrong part.

use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Decode, wrong_type};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node};

/// Named values in the file's order. A name stays known where its value is wrong, so that one mistake
/// does not bring a second message at each use of the name.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T> {
    entries: Vec<(At<String>, Option<T>)>,
}

impl<T> Table<T> {
    pub fn find(&self, name: &str) -> Option<&T> {
        self.iter()
            .find(|(key, _)| key.value == name)
            .map(|(_, value)| value)
    }

    pub fn knows(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.value.as_str())
    }

    /// The values that could be read.
    pub fn iter(&self) -> impl Iterator<Item = (&At<String>, &T)> {
        self.entries
            .iter()
            .filter_map(|(key, value)| value.as_ref().map(|value| (key, value)))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T: Decode> Decode for Table<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let Node::Map(entries) = &node.value else {
            report.push(wrong_type(node.place, "a mapping from names", &node.value));
            return None;
        };
        let mut table = Self::default();
        for (key, value) in entries {
            if !is_name(&key.value) {
                let message = format!(
                    "`{}` is not a name: letters, digits, `_`, `-` and `.`, at most 64",
                    key.value.escape_debug()
                );
                report.push(Problem::error(Code::InvalidValue, key.place, message));
            }
            table.entries.push((key.clone(), T::decode(value, report)));
        }
        Some(table)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9_.-]{1,64}$" },
            "additionalProperties": T::schema(generator),
        })
    }
}

/// Names end up in metrics' labels, logs and headers.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

/// A mapping whose keys are anything, such as headers.
#[derive(Debug, Clone, PartialEq)]
pub struct Pairs<T>(pub Vec<(At<String>, T)>);

impl<T> Default for Pairs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Decode> Decode for Pairs<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let Node::Map(entries) = &node.value else {
            report.push(wrong_type(node.place, "a mapping", &node.value));
            return None;
        };
        let read = entries
            .iter()
            .map(|(key, value)| Some((key.clone(), T::decode(value, report)?)));
        let read: Vec<_> = read.collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "additionalProperties": T::schema(generator) })
    }
}

/// A list with something in it, whose wrong items are left out, so that the others are still looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries<T>(pub Vec<T>);

impl<T: Decode> Decode for Entries<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let Node::List(items) = &node.value else {
            report.push(wrong_type(node.place, "a list", &node.value));
            return None;
        };
        Some(Self(
            items
                .iter()
                .filter_map(|item| T::decode(item, report))
                .collect(),
        ))
    }

    /// One of these lists that is empty is wrong: nobody could come in, or nothing would be done.
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<T>::schema(generator);
        schema.insert("minItems".into(), 1.into());
        schema
    }
}

/// A part of the file that may be left out. One that is there and wrong is neither given nor absent: what
/// depends on it can't be judged.
#[derive(Debug, Clone, PartialEq)]
pub enum Section<T> {
    Absent,
    Wrong,
    Given(T),
}

impl<T> Section<T> {
    pub fn given(&self) -> Option<&T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Wrong => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub fn is_wrong(&self) -> bool {
        matches!(self, Self::Wrong)
    }
}

impl<T: Decode> Decode for Section<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        Some(T::decode(node, report).map_or(Self::Wrong, Self::Given))
    }

    fn absent() -> Option<Self> {
        Some(Self::Absent)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }
}
