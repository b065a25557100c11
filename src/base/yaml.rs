//! Reading YAML into nodes that know their line and column, and writing it. The only file that names
//! the YAML crates; types are read from nodes by `decode`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::report::{Code, Problem};

/// A value and where it stands in the file. Two are equal where the values are: a definition that only
/// moved is the same one.
#[derive(Debug, Clone, Copy, Default)]
pub struct At<T> {
    pub value: T,
    pub place: Place,
}

/// A line and a column, both from 1; the default is "nowhere", for values that no file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Place {
    pub line: u32,
    pub column: u32,
}

/// A YAML value before it has a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(Text),
    List(Vec<At<Node>>),
    /// In the file's order; the reader has refused duplicate keys.
    Map(Vec<(At<String>, At<Node>)>),
}

/// A string, and whether part of it came from `${env:…}` or `${file:…}`: then it is never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub value: String,
    pub secret: bool,
}

/// Reads one document. Errors: the text is not YAML, a key stands twice, or it breaks a bound
/// (nesting, aliases, size) that keeps a hostile file from taking the process down.
pub fn read(source: &str) -> Result<At<Node>, Problem> {
    if source.len() > MAX_BYTES {
        let message = format!(
            "the file has {} bytes; at most {MAX_BYTES} are read",
            source.len()
        );
        return Err(Problem::error(
            Code::Syntax,
            Place { line: 1, column: 1 },
            message,
        ));
    }
    serde_saphyr::from_str::<Spanned<Node>>(source)
        .map(At::from)
        .map_err(|error| {
            let place = error
                .location()
                .map(Place::from)
                .unwrap_or(Place { line: 1, column: 1 });
            let text = error.without_snippet().to_string();
            // The library ends its messages with a position that the report prints already.
            let text = text.split(" at line ").next().unwrap_or_default();
            // Nor has a user of the program its options.
            let text = text
                .split(", set DuplicateKeyPolicy")
                .next()
                .unwrap_or_default();
            Problem::error(Code::Syntax, place, format!("not valid YAML: {text}"))
        })
}

/// Where the value behind some keys stands, or as much of the way to it as there is: a key that was taken
/// away is missed where it would be.
pub fn place_of(source: &str, path: &[&str]) -> Place {
    let mut place = Place { line: 1, column: 1 };
    let Ok(root) = read(source) else {
        return place;
    };
    let mut node = &root;
    for key in path {
        let Node::Map(entries) = &node.value else {
            break;
        };
        let Some((name, value)) = entries.iter().find(|(name, _)| name.value == *key) else {
            break;
        };
        (place, node) = (name.place, value);
    }
    place
}

/// Writes a value as YAML.
pub fn write<T: serde::Serialize>(value: &T) -> Result<String, serde_yaml::Error> {
    serde_yaml::to_string(value)
}

impl<T> At<T> {
    pub fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> At<U> {
        At::new(f(self.value), self.place)
    }
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for At<T> {}

impl Node {
    /// What kind of value it is, in the words of a configuration's author.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        }
    }
}

impl<T> From<Spanned<T>> for At<T> {
    fn from(spanned: Spanned<T>) -> Self {
        Self::new(spanned.value, spanned.referenced.into())
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Node, E> {
        i64::try_from(value)
            .map(Node::Integer)
            .map_err(|_| E::custom("a number above 9223372036854775807"))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(Text {
            value: value.to_owned(),
            secret: false,
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Node>>()? {
            items.push(item.into());
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Node>>()? {
            entries.push((key.into(), value.into()));
        }
        Ok(Node::Map(entries))
    }
}

/// A gateway with 10,000 routes needs some 2 MB.
const MAX_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_line_and_column() {
        let node = read("a: 1\nb:\n  - {c: x}\n  - \"y\"\n").unwrap();
        let Node::Map(entries) = &node.value else {
            panic!("{node:?}")
        };
        assert_eq!(
            entries[0].1,
            At::new(Node::Integer(1), Place { line: 1, column: 4 })
        );
        assert_eq!(entries[1].0.place, Place { line: 2, column: 1 });
        let Node::List(items) = &entries[1].1.value else {
            panic!("{node:?}")
        };
        let Node::Map(inner) = &items[0].value else {
            panic!("{node:?}")
        };
        assert_eq!(inner[0].0.place, Place { line: 3, column: 6 });
        assert_eq!(inner[0].1.place, Place { line: 3, column: 9 });
        assert_eq!(items[1].place, Place { line: 4, column: 5 });
    }

    #[test]
    fn a_key_that_stands_twice_is_refused() {
        let problem = read("a: 1\na: 2\n").unwrap_err();
        assert_eq!(problem.place.line, 2);
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..10 {
            let last = level - 1;
            let list = [format!("*a{last}"); 1].concat();
            let list = vec![list; 10].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert_eq!(read(&bomb).unwrap_err().code, Code::Syntax);
    }
}
