//! The configuration that is in place, for an operator's eyes: the file with its defaults filled in, and
//! without anything secret. References stand as they are written; what they bring is not looked at here.

use serde_json::{Map, Value};

use crate::base::yaml::{self, At, Node};

/// The configuration of this text. `None` where it is no YAML.
pub fn effective(source: &str) -> Option<Value> {
    let node = yaml::read(source).ok()?;
    let mut config = redacted(&node, "");
    fill(&mut config, &super::schema());
    inherit(&mut config);
    Some(config)
}

/// What a route does not say, `defaults` says for it.
fn inherit(config: &mut Value) {
    let defaults = config.get("defaults").and_then(Value::as_object).cloned();
    let routes = config.get_mut("routes").and_then(Value::as_array_mut);
    for route in routes.into_iter().flatten() {
        let (Some(route), Some(defaults)) = (route.as_object_mut(), &defaults) else {
            continue;
        };
        for (key, value) in defaults {
            route.entry(key).or_insert_with(|| value.clone());
        }
    }
}

/// Puts in the defaults that the schema tells.
fn fill(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(entries) => {
            let Some(schema) = of_mapping(schema) else {
                return;
            };
            let properties = schema.get("properties").and_then(Value::as_object);
            for (key, property) in properties.into_iter().flatten() {
                if let Some(default) = property.get("default") {
                    entries.entry(key).or_insert_with(|| default.clone());
                }
            }
            for (key, value) in entries {
                let property = properties.and_then(|properties| properties.get(key));
                if let Some(schema) = property.or(schema.get("additionalProperties")) {
                    fill(value, schema);
                }
            }
        }
        Value::Array(items) => {
            let schema = alternatives(schema).find_map(|schema| schema.get("items"));
            if let Some(schema) = schema {
                items.iter_mut().for_each(|item| fill(item, schema));
            }
        }
        _ => {}
    }
}

/// Of what a key may hold, the mapping.
fn of_mapping(schema: &Value) -> Option<&Value> {
    let is_mapping = |schema: &&Value| {
        let more = schema.get("additionalProperties");
        schema.get("properties").is_some() || more.is_some_and(Value::is_object)
    };
    alternatives(schema).find(is_mapping)
}

fn alternatives(schema: &Value) -> impl Iterator<Item = &Value> {
    let several = ["oneOf", "anyOf"].into_iter();
    let several = several.filter_map(|name| schema.get(name)?.as_array());
    std::iter::once(schema).chain(several.flatten())
}

/// The value of a key, without what is secret by its key or by where it stands.
fn redacted(node: &At<Node>, key: &str) -> Value {
    match &node.value {
        Node::Null => Value::Null,
        Node::Bool(value) => (*value).into(),
        Node::Integer(_) | Node::Float(_) if is_secret(key) => HIDDEN.into(),
        Node::Integer(value) => (*value).into(),
        Node::Float(value) => (*value).into(),
        Node::Text(text) => shown(&text.value, key).into(),
        Node::List(items) => items.iter().map(|item| redacted(item, key)).collect(),
        Node::Map(entries) => {
            let entries = entries.iter().map(|(name, value)| {
                let name = &name.value;
                // A collector's headers let somebody in, whatever their names are.
                let value = match (key, name.as_str(), &value.value) {
                    ("tracing", "headers", Node::Map(headers)) => headers
                        .iter()
                        .map(|(name, value)| (name.value.clone(), redacted(value, SECRET[0])))
                        .collect(),
                    _ => redacted(value, name),
                };
                (name.clone(), value)
            });
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// A text as it may be shown: a whole secret as stars, a reference without its default, a URL without what
/// stands before its host, and without the values of its query that are secret by their names.
fn shown(text: &str, key: &str) -> String {
    let (plain, references) = set_aside(text);
    let is_reference = |c: char| MARKS.contains(&u32::from(c));
    // That a secret comes from elsewhere may be told.
    let plain =
        match is_secret(key) && !(plain.chars().count() == 1 && plain.chars().all(is_reference)) {
            true => HIDDEN.to_owned(),
            false => without_credentials(&plain),
        };
    let mut out = String::with_capacity(text.len());
    for c in plain.chars() {
        let index = u32::from(c).checked_sub(MARKS.start);
        match index.and_then(|index| references.get(index as usize)) {
            Some(reference) => out.push_str(reference),
            None => out.push(c),
        }
    }
    out
}

/// The text with a mark in place of each reference, and the references without their defaults.
fn set_aside(text: &str) -> (String, Vec<String>) {
    let (mut plain, mut references) = (String::new(), Vec::new());
    // A mark of the text's own would be taken for one of these.
    let own = |text: &str| text.replace(|c| MARKS.contains(&u32::from(c)), "");
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (reference, tail) = after.split_once('}').unwrap_or((after, ""));
        let shown = match reference.split_once(":-") {
            Some((name, _)) => format!("${{{name}:-{HIDDEN}}}"),
            None => format!("${{{reference}}}"),
        };
        plain.push_str(&own(before));
        let mark = MARKS.start.checked_add(references.len() as u32);
        plain.extend(mark.and_then(char::from_u32));
        references.push(shown);
        rest = tail;
    }
    plain.push_str(&own(rest));
    (plain, references)
}

fn without_credentials(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (rest, query) = match rest.split_once('?') {
        // A password with a question mark in it, perhaps.
        Some((_, query)) if query.contains('@') => return format!("{scheme}://{HIDDEN}"),
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    // The last one: a password that holds an `@` is not to be shown in part.
    let mut out = match rest.rsplit_once('@') {
        Some((credentials, host)) => match credentials.split_once(':') {
            Some((user, _)) if !user.is_empty() => format!("{scheme}://{user}:{HIDDEN}@{host}"),
            _ => format!("{scheme}://{HIDDEN}@{host}"),
        },
        None => format!("{scheme}://{rest}"),
    };
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}"),
            _ => pair.to_owned(),
        });
        out.push('?');
        out.push_str(&pairs.collect::<Vec<_>>().join("&"));
    }
    out
}

/// Does what stands under this name let somebody in?
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('_', "-");
    SECRET.iter().any(|part| key.contains(part)) || key.ends_with("-key")
}

const SECRET: [&str; 8] = [
    "secret",
    "token",
    "passw",
    "authorization",
    "cookie",
    "credential",
    "api-key",
    "apikey",
];
const HIDDEN: &str = "***";
/// Each stands for a reference; of a private use area, so that no text means anything by them.
const MARKS: std::ops::Range<u32> = 0xf_0000..0xf_fffe;

#[cfg(test)]
mod tests;
