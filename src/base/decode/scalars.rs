//! How strings, numbers, lists and the standard library's types are read.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use super::schema::{self, REFERENCE};
use super::{Decode, FromText, text, wrong_type};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};

impl<T: FromText> Decode for T {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let text = text(node, T::EXPECTED, report)?;
        T::from_text(&text.value)
            .map_err(|why| {
                let message = format!("{} is not {}: {why}", text.quoted(), T::EXPECTED);
                let message = match text.secret {
                    // The reason may repeat a part of the value.
                    true => format!("{} is not {}", text.quoted(), T::EXPECTED),
                    false => message,
                };
                report.push(Problem::error(Code::InvalidValue, node.place, message));
            })
            .ok()
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        let fits = |text: &str| T::from_text(text).is_ok();
        schema::text(T::EXPECTED, T::PATTERN, fits)
    }

    fn show(&self) -> Value {
        self.to_text().into()
    }
}

impl Decode for String {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        text(node, "a string", report).map(|text| text.value)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }

    fn show(&self) -> Value {
        self.as_str().into()
    }
}

impl Decode for bool {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        match &node.value {
            Node::Bool(value) => Some(*value),
            Node::Text(text) if text.secret && text.value == "true" => Some(true),
            Node::Text(text) if text.secret && text.value == "false" => Some(false),
            other => {
                report.push(wrong_type(node.place, "`true` or `false`", other));
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "pattern": REFERENCE })
    }

    fn show(&self) -> Value {
        (*self).into()
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Decode for $number {
            fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
                let number = match &node.value {
                    Node::Integer(number) => Some(*number),
                    Node::Text(text) if text.secret => text.value.parse().ok(),
                    _ => None,
                };
                let Some(number) = number else {
                    report.push(wrong_type(node.place, "a whole number", &node.value));
                    return None;
                };
                Self::try_from(number).map_err(|_| {
                    let message = format!("{number} is out of range: 0 to {}", Self::MAX);
                    report.push(Problem::error(Code::InvalidValue, node.place, message));
                }).ok()
            }

            fn schema(_: &mut SchemaGenerator) -> Schema {
                let most = u64::try_from(Self::MAX).unwrap_or(u64::MAX);
                schema::whole_number(0, most.min(i64::MAX as u64))
            }

            fn show(&self) -> Value {
                (*self).into()
            }
        }
    )*};
}

numbers!(u16, u32, u64, usize);

impl<T: Decode> Decode for At<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        T::decode(node, report).map(|value| At::new(value, node.place))
    }

    fn absent() -> Option<Self> {
        T::absent().map(|value| At::new(value, Place::default()))
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }

    fn show(&self) -> Value {
        self.value.show()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        T::decode(node, report).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        T::schema(generator)
    }

    fn show(&self) -> Value {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

/// A list; one wrong item makes it a wrong list, after all of them were looked at.
impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        match &node.value {
            Node::List(items) => {
                let read: Vec<_> = items.iter().map(|item| T::decode(item, report)).collect();
                read.into_iter().collect()
            }
            other => {
                report.push(wrong_type(node.place, "a list", other));
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "array", "items": T::schema(generator) })
    }

    fn show(&self) -> Value {
        self.iter().map(T::show).collect()
    }
}

impl FromText for Duration {
    const EXPECTED: &'static str = "a duration such as `250ms`, `10s` or `2m`";
    const PATTERN: &'static str = r"[0-9]+(ms|s|m|h|d)";

    fn from_text(text: &str) -> Result<Self, String> {
        crate::base::units::duration(text)
    }

    fn to_text(&self) -> Option<String> {
        Some(crate::base::units::show_duration(*self))
    }
}

impl FromText for std::net::SocketAddr {
    const EXPECTED: &'static str =
        "an address with a port, such as `127.0.0.1:3001` or `[::1]:3001`";
    const PATTERN: &'static str =
        r"([0-9]{1,3}\.){3}[0-9]{1,3}:[0-9]{1,5}|\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "it is not an IP address and a port".to_owned())
    }

    fn to_text(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl FromText for ipnet::IpNet {
    const EXPECTED: &'static str = "a network such as `10.0.0.0/8` or an address";
    const PATTERN: &'static str = r"([0-9]{1,3}\.){3}[0-9]{1,3}(/([0-9]|[12][0-9]|3[0-2]))?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(/[0-9]{1,3})?";

    fn from_text(text: &str) -> Result<Self, String> {
        let address = text.parse::<std::net::IpAddr>().map(Self::from);
        address
            .or_else(|_| text.parse())
            .map_err(|_| "it is not in CIDR notation".to_owned())
    }
}
