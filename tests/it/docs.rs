//! The pages against the program: configurations that they show are sound, keys that they list exist,
//! links lead somewhere, and the tour is the one that the demo prints.
//!
//! Blocks of YAML say what they are: `yaml whole` must pass `airside check`, `yaml wrong` must fail with
//! the `text` block that follows it, `yaml fragment` must be YAML.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use airside::config::{self, Config};
use airside::demo::tour::tour;
use airside::route::method::Method;
use airside::route::predicate::Asked;
use airside::route::{Found, Router};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

const CONFIGURATION: &str = "docs/CONFIGURATION.md";
const NOT_BUILT: &str = "Known and not built yet";

#[test]
fn configurations_are_what_the_pages_say() {
    let (mut whole, mut wrong, mut fragments) = (0, 0, 0);
    for (name, text) in pages() {
        let blocks = blocks(&text);
        for (index, block) in blocks.iter().enumerate() {
            let at = format!("{name}:{}", block.line);
            match block.info.as_str() {
                "yaml whole" => {
                    whole += 1;
                    let output = check(&block.text);
                    assert!(output.status.success(), "{at}\n{}", stderr(&output));
                }
                "yaml wrong" => {
                    wrong += 1;
                    let output = check(&block.text);
                    assert_eq!(output.status.code(), Some(1), "{at}");
                    let said = blocks.get(index + 1).filter(|next| next.info == "text");
                    let said = said.unwrap_or_else(|| panic!("{at}: what does `check` say?"));
                    assert_eq!(stderr(&output), said.text, "{at}");
                }
                "yaml fragment" => {
                    fragments += 1;
                    let read = airside::base::yaml::read(&block.text);
                    assert!(read.is_ok(), "{at}: {read:?}");
                }
                info => assert!(!info.starts_with("yaml"), "{at}: whole, wrong or fragment?"),
            }
        }
    }
    assert!(
        whole >= 3 && wrong >= 1 && fragments >= 2,
        "{whole} {wrong} {fragments}"
    );
}

#[test]
fn each_key_of_the_schema_is_on_the_page_of_keys() {
    let page = page(CONFIGURATION);
    let not_built = words(not_built(&page));
    let schema = config::schema();
    let mut looked_at = 0;
    for (part, schema) in schema["properties"].as_object().unwrap() {
        let mut known = not_built.clone();
        match part.as_str() {
            "defaults" => known.extend(words(section(&page, "Routes"))),
            _ => known.extend(words(section(&page, &capitalised(part)))),
        }
        // `access_token.ttl` tells of both.
        let known: BTreeSet<&str> = known.iter().flat_map(|word| word.split('.')).collect();
        let mut schema = schema.clone();
        if matches!(part.as_str(), "routes" | "defaults") {
            // A limit that is written in a route has the keys of a limit.
            for place in ["/properties/limits", "/items/properties/limits"] {
                schema.pointer_mut(place).map(Value::take);
            }
        }
        let mut keys = BTreeSet::from([part.clone()]);
        collect_keys(&schema, &mut keys);
        assert!(keys.len() > 1, "`{part}` has no key");
        looked_at += keys.len();
        let missing: Vec<_> = keys
            .iter()
            .filter(|key| !known.contains(key.as_str()))
            .collect();
        assert!(missing.is_empty(), "`{part}`: {missing:?}");
    }
    assert!(looked_at > 100, "only {looked_at} keys");
}

#[test]
fn what_is_not_built_is_what_the_source_says() {
    let page = page(CONFIGURATION);
    let rows = table(not_built(&page));
    let told: BTreeSet<_> = rows.iter().flat_map(|row| words(&row[1])).collect();

    let mut truth = BTreeSet::new();
    for file in files("src", "rs") {
        let text = fs::read_to_string(&file).unwrap();
        // The macro's own tests have keys of their own.
        if file.ends_with("base/decode/tests.rs") {
            continue;
        }
        for line in text.lines().filter(|line| line.ends_with("; unbuilt,")) {
            let word = match line.split_once(" = \"") {
                Some((_, word)) => word.split('"').next(),
                None => line
                    .split_once("pub ")
                    .and_then(|(_, key)| key.split(':').next()),
            };
            truth.insert(word.unwrap().trim_start_matches("r#").to_owned());
        }
    }
    let left_out: Vec<_> = truth.difference(&told).collect();
    assert!(left_out.is_empty(), "not on the page: {left_out:?}");
    let built: Vec<_> = told.difference(&truth).collect();
    assert!(built.is_empty(), "built by now: {built:?}");
}

#[test]
fn the_worked_table_of_routes_is_what_the_router_does() {
    let page = page(CONFIGURATION);
    let part = section(&page, "Routes");
    let blocks = blocks(part);
    let whole = blocks.iter().find(|block| block.info == "yaml whole");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("airside.yaml");
    fs::write(&file, &whole.unwrap().text).unwrap();
    let mut loaded = config::load(&file).unwrap();
    let config: Config = loaded.config.unwrap();
    let routes = config.routes().iter();
    let matchers: Vec<_> = routes
        .map(|route| route.matches.compile(&mut loaded.report).unwrap())
        .collect();
    let router = Router::new(&matchers);

    let mut looked_at = 0;
    for row in table(part) {
        // `GET /flights/7` with `X-Beta: 1`, or at `api.example.com`.
        let mut request = row[0].split('`').filter(|text| !text.trim().is_empty());
        let Some((method, target)) = request.next().and_then(|text| text.split_once(' ')) else {
            continue;
        };
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            _ => continue,
        };
        let (mut host, mut headers) = ("", HeaderMap::new());
        match (request.next().map(str::trim), request.next()) {
            (Some("at"), Some(name)) => host = name,
            (Some("with"), Some(header)) => {
                let (name, value) = header.split_once(": ").unwrap();
                let name: HeaderName = name.parse().unwrap();
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
            _ => {}
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let asked = Asked {
            method,
            headers: &headers,
            query,
        };
        let found = match router.find(host, path, asked) {
            Found::Route { route, .. } => format!("`{}`", config.routes()[route as usize].name()),
            Found::MethodNotAllowed(_) => "405".to_owned(),
            Found::Nothing => "404".to_owned(),
        };
        assert_eq!(found, row[1], "{}", row[0]);
        looked_at += 1;
    }
    assert!(looked_at >= 12, "only {looked_at} requests");
}

#[test]
fn links_lead_somewhere() {
    let root = root();
    let mut looked_at = 0;
    for (name, text) in pages() {
        for link in links(&text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            looked_at += 1;
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => root.join(&name),
                _ => root.join(&name).parent().unwrap().join(path),
            };
            assert!(target.exists(), "{name}: {link}");
            if !anchor.is_empty() {
                let headings = anchors(&fs::read_to_string(&target).unwrap());
                assert!(headings.contains(anchor), "{name}: {link}: {headings:?}");
            }
        }
    }
    assert!(looked_at > 15, "only {looked_at} links");
}

#[test]
fn the_readme_shows_the_tour_that_the_demo_prints() {
    let readme = page("README.md");
    let steps = tour("http://127.0.0.1:3001", "admin@airside.example", "PASSWORD");
    assert!(steps.len() >= 10);
    let mut rest = readme.as_str();
    for (index, step) in steps.iter().enumerate() {
        let (number, title) = (index + 1, &step.title);
        let expected = format!("# {number}. {title}\n{}\n#> ", step.command);
        let (_, after) = rest
            .split_once(&expected)
            .unwrap_or_else(|| panic!("not in README.md, or not in this order:\n{expected}"));
        let (answer, after) = after.split_once('\n').unwrap();
        // The form that the step's own expectation reads: the body, then the status.
        let (status, body) = answer.split_once(' ').unwrap_or((answer, ""));
        assert!(
            step.expect.met_by(&format!("{body}\n{status}\n")),
            "{answer}"
        );
        rest = after;
    }
}

/// A fenced block: what stands behind its fence, and its lines.
struct Block {
    line: usize,
    info: String,
    text: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                open = Some(Block {
                    line: index + 1,
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block without its end");
    blocks
}

/// `airside check` on a file of its own that is named `airside.yaml`.
fn check(config: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("airside.yaml"), config).unwrap();
    Command::new(env!("CARGO_BIN_EXE_airside"))
        .args(["check", "-c", "airside.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The names of all keys in a schema, at any depth.
fn collect_keys(schema: &Value, keys: &mut BTreeSet<String>) {
    match schema {
        Value::Object(entries) => {
            for (name, value) in entries {
                if let ("properties", Value::Object(properties)) = (name.as_str(), value) {
                    keys.extend(properties.keys().cloned());
                    properties
                        .values()
                        .for_each(|value| collect_keys(value, keys));
                } else {
                    collect_keys(value, keys);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_keys(item, keys)),
        _ => {}
    }
}

/// What stands below a heading of the second level, down to the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let begin = format!("\n## {heading}\n");
    let (_, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no heading `{heading}`"));
    rest.split("\n## ").next().unwrap()
}

/// What is told of that is not built. Where all is built, there is no such part of the page.
fn not_built(page: &str) -> &str {
    match page.contains(&format!("\n## {NOT_BUILT}\n")) {
        true => section(page, NOT_BUILT),
        false => "",
    }
}

/// What stands in backticks outside blocks.
fn words(text: &str) -> BTreeSet<String> {
    let prose = text.split("```").step_by(2);
    let quoted = prose.flat_map(|part| part.split('`').skip(1).step_by(2));
    quoted.map(str::to_owned).collect()
}

/// The cells of each table row but the lines below headings.
fn table(text: &str) -> Vec<Vec<String>> {
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("|--"));
    rows.map(|row| {
        row.split('|')
            .skip(1)
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

fn links(page: &str) -> Vec<String> {
    let prose: String = page.split("```").step_by(2).collect();
    let targets = prose.split("](").skip(1);
    targets
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect()
}

/// The anchors that headings have where Markdown is shown: lower-case, without signs, `-` for spaces.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        title
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(anchor).collect()
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Name and text of every page.
fn pages() -> Vec<(String, String)> {
    let mut names: Vec<_> = ["README.md", "CHANGELOG.md", "SECURITY.md"]
        .map(str::to_owned)
        .into();
    let docs = files("docs", "md");
    names.extend(docs.iter().map(|file| {
        let name = file.strip_prefix(root()).unwrap();
        name.display().to_string()
    }));
    assert!(names.len() >= 7, "{names:?}");
    names
        .into_iter()
        .map(|name| {
            let text = page(&name);
            (name, text)
        })
        .collect()
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
