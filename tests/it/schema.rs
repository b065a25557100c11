//! The schema against the program, by a validator of other people's: what an editor calls sound is what the
//! reader takes, and what is wrong with a file is seen while it is typed, as far as a schema can say it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use airside::base::yaml::{self, Node};
use serde_json::{Value, json};

use crate::support::python;

/// The wrong files that the schema takes, and why it can't know better.
const BEYOND_THE_SCHEMA: &[(&str, &[&str])] = &[
    (
        "what stands elsewhere in the file, or twice in it",
        &[
            "access-in-defaults-is-told-once",
            "conflict-addresses",
            "conflict-route-names",
            "conflict-routes-tie",
            "conflict-routes-tie-by-method",
            "conflict-upstream-named-identity",
            "cors-said-twice",
            "identity-signup-role",
            "issuer-twice",
            "limit-nobody-is-known",
            "name-api-key-without-identity",
            "name-capture",
            "name-identity-without-section",
            "name-issuer",
            "name-issuer-missing",
            "name-limit",
            "name-upstream",
            "name-upstream-in-split",
            "limit-cluster-without-redis",
            "too-many-to-hand-over",
        ],
    ),
    (
        "what a reference brings",
        &[
            "identity-secret-known",
            "identity-secret-short",
            "identity-store-mysql-shape",
            "secret-file-missing",
            "secret-not-set",
            "secret-unknown-source",
        ],
    ),
    (
        "how large one value is, or is beside another",
        &[
            "conflict-body-with-204",
            "identity-grace",
            "limit-cluster-places",
            "limit-does-not-fit",
            "redis-ca-without-tls",
            "server-no-connection",
            "upstream-warnings",
        ],
    ),
    (
        "what stands in the options of an address",
        &[
            "identity-store-mysql-in-the-clear",
            "identity-store-mysql-option",
            "identity-store-mysql-option-value",
            "redis-without-verification",
        ],
    ),
];

/// The parts whose keys' names say all.
const UNDESCRIBED: &[&str] = &["/tests/"];

const VALIDATE: &str = r#"
import json, sys
from jsonschema import Draft202012Validator

asked = json.load(sys.stdin)
Draft202012Validator.check_schema(asked["schema"])
validator = Draft202012Validator(asked["schema"])

def told(error):
    place = "/".join(str(part) for part in error.absolute_path)
    return [place, error.validator, error.message[:200]]

found = {
    name: [told(error) for error in validator.iter_errors(document)]
    for name, document in asked["documents"].items()
}
json.dump(found, sys.stdout)
"#;

/// What the validator says of each document, by name: place, keyword, message.
fn validate(documents: &BTreeMap<String, Value>) -> BTreeMap<String, Vec<[String; 3]>> {
    let asked = json!({ "schema": schema(), "documents": documents });
    serde_json::from_value(python::run(VALIDATE, &asked)).unwrap()
}

fn schema() -> Value {
    let shipped = fs::read_to_string(root().join("conf/schema.json")).unwrap();
    serde_json::from_str(&shipped).unwrap()
}

#[test]
fn each_shipped_file_is_sound_to_an_editor() {
    let mut files = files("conf");
    files.extend(self::files("dist"));
    files.extend(self::files("tests/it/warned"));
    let documents = documents(&files);
    assert!(documents.len() >= 9, "{:?}", documents.keys());
    for (name, problems) in validate(&documents) {
        assert!(problems.is_empty(), "{name}: {problems:#?}");
    }
}

/// Of the file with every key nothing is wrong but what is not built.
#[test]
fn each_key_of_the_grammar_is_in_the_schema() {
    let documents = documents(&[root().join("tests/it/full.yaml")]);
    for (place, keyword, message) in validate(&documents)
        .into_values()
        .flatten()
        .map(|[place, keyword, message]| (place, keyword, message))
    {
        assert_eq!(keyword, "not", "{place}: {message}");
    }
}

#[test]
fn each_wrong_file_is_wrong_to_an_editor_unless_no_schema_could_say_so() {
    let documents = documents(&files("tests/it/wrong"));
    assert!(documents.len() > 60);
    let beyond = BEYOND_THE_SCHEMA.iter().flat_map(|(_, names)| *names);
    let beyond: BTreeSet<_> = beyond.map(|name| (*name).to_owned()).collect();
    let taken = validate(&documents)
        .into_iter()
        .filter(|(_, problems)| problems.is_empty());
    let taken: BTreeSet<_> = taken.map(|(name, _)| name).collect();
    let missed: Vec<_> = taken.difference(&beyond).collect();
    assert!(missed.is_empty(), "taken by the schema: {missed:#?}");
    let caught: Vec<_> = beyond.difference(&taken).collect();
    assert!(caught.is_empty(), "caught by now, or gone: {caught:#?}");
}

/// What completion brings in is what the program does without it.
#[test]
fn defaults_and_examples_of_the_schema_fit_their_own_keys() {
    let mut looked_at = 0;
    let mut documents = BTreeMap::new();
    walk(&schema(), "", &mut |place, property| {
        let examples = property["examples"].as_array().into_iter().flatten();
        for value in property.get("default").into_iter().chain(examples) {
            looked_at += 1;
            let asked = json!({ "schema": property, "documents": { "value": value } });
            documents.insert(format!("{place} = {value}"), asked);
        }
    });
    assert!(looked_at > 100, "only {looked_at}");
    let script = r#"
import json, sys
from jsonschema import Draft202012Validator
asked = json.load(sys.stdin)
json.dump([
    name for name, one in asked.items()
    if "not" not in one["schema"]
    and not Draft202012Validator(one["schema"]).is_valid(one["documents"]["value"])
], sys.stdout)
"#;
    let wrong = python::run(script, &json!(documents));
    assert_eq!(wrong, json!([]));
}

#[test]
fn each_key_is_described_and_every_mapping_is_closed() {
    let mut bare = Vec::new();
    let mut open = Vec::new();
    let schema = schema();
    walk(&schema, "", &mut |place, property| {
        let exempt = UNDESCRIBED.iter().any(|part| place.starts_with(part));
        if !exempt && property["description"].as_str().is_none_or(str::is_empty) {
            bare.push(place.to_owned());
        }
        let is_mapping = property["type"] == "object" && property.get("properties").is_some();
        if is_mapping && property["additionalProperties"] != false {
            open.push(place.to_owned());
        }
    });
    assert!(open.is_empty(), "{open:#?}");
    assert!(bare.is_empty(), "{bare:#?}");
    assert_eq!(schema["additionalProperties"], false);
}

/// Editors find the schema by a line in the file.
#[test]
fn shipped_configurations_name_the_schema() {
    let mut looked_at = 0;
    for file in files("conf").into_iter().chain(files("dist")) {
        let text = fs::read_to_string(&file).unwrap();
        let line = text.lines().next().unwrap_or_default();
        let named = line.strip_prefix("# yaml-language-server: $schema=");
        let named = named.unwrap_or_else(|| panic!("{}: {line}", file.display()));
        let found = file.parent().unwrap().join(named).canonicalize().unwrap();
        assert_eq!(found, root().join("conf/schema.json"));
        looked_at += 1;
    }
    assert!(looked_at > 0);
}

/// Calls `look` with each key's place and schema.
fn walk(schema: &Value, place: &str, look: &mut impl FnMut(&str, &Value)) {
    match schema {
        Value::Object(entries) => {
            for (name, value) in entries {
                match (name.as_str(), value) {
                    ("properties", Value::Object(properties)) => {
                        for (key, property) in properties {
                            let place = format!("{place}/{key}");
                            look(&place, property);
                            walk(property, &place, look);
                        }
                    }
                    // Not a description of a value, but a condition.
                    ("if" | "then" | "else" | "not", _) => {}
                    _ => walk(value, place, look),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, place, look)),
        _ => {}
    }
}

/// Those that can be read as YAML at all, by their path; no schema is asked about the others.
fn documents(files: &[PathBuf]) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().with_extension("");
        let name = path.display().to_string();
        let name = name.trim_start_matches("tests/it/wrong/").to_owned();
        match yaml::read(&fs::read_to_string(file).unwrap()) {
            Ok(node) => drop(documents.insert(name, plain(&node.value))),
            Err(_) => assert!(name.starts_with("syntax-"), "{name}"),
        }
    }
    documents
}

pub(crate) fn plain(node: &Node) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Bool(value) => (*value).into(),
        Node::Integer(value) => (*value).into(),
        Node::Float(value) => (*value).into(),
        Node::Text(text) => text.value.clone().into(),
        Node::List(items) => items.iter().map(|item| plain(&item.value)).collect(),
        Node::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (key.value.clone(), plain(&value.value)));
            Value::Object(entries.collect())
        }
    }
}

/// The configurations in a folder and below it.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == "yaml") {
                found.push(path);
            }
        }
    }
    // Files of other programs.
    found.retain(|file| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().any(|line| line.starts_with("routes"))
            || file.starts_with(root().join("tests"))
    });
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
