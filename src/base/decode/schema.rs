//! What the JSON Schema says beyond a type: documentation, defaults, bounds, and where `${…}` may stand.

use schemars::{Schema, json_schema};
use serde_json::{Map, Value, json};

/// The schema of a key: what its type takes, with the key's documentation and its default (null: none).
pub fn property(mut schema: Schema, doc: &str, default: Value) -> Schema {
    if !doc.is_empty() {
        let expected = schema.get("description").and_then(Value::as_str);
        let described = match expected {
            Some(expected) => format!("{doc}\n\nTakes {expected}."),
            None => doc.to_owned(),
        };
        schema.insert("description".into(), described.into());
    }
    if !default.is_null() {
        schema.insert("default".into(), default);
    }
    schema
}

/// A key that is known and refused until its feature is there.
pub fn unbuilt(mut schema: Schema) -> Schema {
    let doc = schema.get("description").and_then(Value::as_str);
    let doc = format!("{}\n\nNot built yet: refused.", doc.unwrap_or_default());
    schema.insert("description".into(), doc.trim().into());
    schema.insert("not".into(), json!({}));
    schema
}

/// The schema of a mapping with these properties; each with whether it is needed.
pub fn object(properties: Vec<(&'static str, Schema, bool)>) -> Schema {
    let needed = properties.iter().filter(|(_, _, needed)| *needed);
    let required: Vec<_> = needed.map(|(name, _, _)| *name).collect();
    let properties: Map<_, _> = properties
        .into_iter()
        .map(|(name, schema, _)| (name.to_owned(), schema.to_value()))
        .collect();
    let mut schema = json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema.insert("required".into(), required.into());
    }
    schema
}

/// Adds to what a mapping's schema says of one of its keys.
pub fn narrow(mut schema: Schema, key: &str, more: Value) -> Schema {
    let properties = schema.get_mut("properties");
    let property = properties.and_then(|properties| properties.get_mut(key));
    if let (Some(Value::Object(property)), Value::Object(more)) = (property, more) {
        property.extend(more);
    }
    schema
}

/// Of these keys, a mapping has exactly one.
pub fn exactly_one(mut schema: Schema, keys: &[&str]) -> Schema {
    let each = keys.iter().map(|key| json!({ "required": [key] }));
    schema.insert("oneOf".into(), each.collect());
    schema
}

/// A whole number from `low` to `high`, or a reference that brings one.
pub fn whole_number(low: u64, high: u64) -> Schema {
    json_schema!({
        "type": ["integer", "string"],
        "minimum": low,
        "maximum": high,
        "pattern": REFERENCE,
    })
}

/// One of these words, or a reference that brings one. A word of digits may be written as a number.
pub fn words(words: &[&str]) -> Schema {
    let numbers = words.iter().filter_map(|word| word.parse::<u64>().ok());
    let numbers = numbers.map(Value::from);
    let all = words.iter().map(|word| Value::from(*word)).chain(numbers);
    let all: Vec<_> = all.collect();
    json_schema!({ "anyOf": [{ "enum": all }, { "type": "string", "pattern": REFERENCE }] })
}

/// What is written as one string, in a grammar: `pattern`, where there is one.
pub fn text(expected: &str, pattern: &str, fits: impl Fn(&str) -> bool) -> Schema {
    let kinds = match fits("1") {
        // A bare number is taken as its digits.
        true => json!(["string", "integer"]),
        false => json!("string"),
    };
    let mut schema = json_schema!({ "type": kinds, "description": expected });
    if !pattern.is_empty() {
        // What `${…}` brings is checked when it is known.
        let pattern = format!(r"^(?:{pattern})$|{REFERENCE}");
        schema.insert("pattern".into(), pattern.into());
    }
    // Between backticks stand examples, where they are no placeholders.
    let examples = expected.split('`').skip(1).step_by(2);
    let examples: Vec<_> = examples.filter(|example| fits(example)).collect();
    if !examples.is_empty() {
        schema.insert("examples".into(), examples.into());
    }
    schema
}

/// `${env:…}` or `${file:…}` stands in it.
pub const REFERENCE: &str = r"\$\{";
