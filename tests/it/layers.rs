//! The architecture, checked on the sources themselves: imports go down the layers only, and every
//! file is short and says what it is for.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro, UseTree};

/// From the top to the bottom. A folder may import from any line below its own, and from none of its
/// neighbours. `policy` stands above what it brings together, and `tls` below what it protects.
const LAYERS: [&[&str]; 9] = [
    &["cli"],
    &["server"],
    &["proxy", "admin", "identity", "demo"],
    &["plan"],
    &["config"],
    &["policy"],
    &["route", "upstream", "identity::config", "telemetry"],
    &["limit", "token", "tls"],
    &["base"],
];

/// Identity is an upstream like any other: of what lies below it, it knows these and nothing of the
/// proxy's.
const IDENTITY_KNOWS: [&str; 6] = [
    "identity::config",
    "telemetry",
    "limit",
    "token",
    "tls",
    "base",
];

#[test]
fn imports_go_down_the_layers_only() {
    let sources = sources("src");
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for (name, text) in &sources {
        let references = references(&module_of(name), text);
        looked_at += references.len();
        let objections = references.iter().filter_map(|to| objection(name, to));
        wrong.extend(objections);
    }
    assert!(looked_at > 20, "only {looked_at} imports were found");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_file_is_short_and_says_what_it_is_for() {
    let all = ["src", "tests", "benches", "examples", "fuzz"].map(sources);
    let wrong: Vec<_> = all
        .iter()
        .flatten()
        .flat_map(|(name, text)| shape_objections(name, text))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Why the file `name` may not refer to the module or item `to`, if so.
fn objection(name: &str, to: &[String]) -> Option<String> {
    let from = module_of(name);
    // The root ties all together: it is the map.
    if from.is_empty() || to.is_empty() {
        return None;
    }
    let (from, to_layer) = (layer_of(&from), layer_of(to));
    if from == to_layer {
        return None;
    }
    let rank = |layer: &str| LAYERS.iter().position(|line| line.contains(&layer));
    let why = match (rank(&from), rank(&to_layer)) {
        (None, _) => format!("`{from}` has no place among the layers: give it one"),
        (_, None) => format!("`{to_layer}` has no place among the layers: give it one"),
        (Some(own), Some(other)) if other < own => format!("`{to_layer}` is above `{from}`"),
        (Some(own), Some(other)) if other == own => {
            format!("`{to_layer}` is a neighbour of `{from}`")
        }
        _ if from == "identity" && !IDENTITY_KNOWS.contains(&to_layer.as_str()) => {
            format!("`{to_layer}` is the proxy's, which identity knows nothing of")
        }
        _ => return None,
    };
    Some(format!("{name}: crate::{}: {why}", to.join("::")))
}

fn shape_objections(name: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let mut wrong = Vec::new();
    if lines > MAX_LINES {
        wrong.push(format!("{name}: {lines} lines, more than {MAX_LINES}"));
    }
    // A file that is still empty is for nothing yet.
    if !text.trim().is_empty() && !text.starts_with("//! ") {
        wrong.push(format!("{name}: does not open with `//!`"));
    }
    wrong
}

/// The name under which a module's layer stands in the table.
fn layer_of(module: &[String]) -> String {
    match module {
        [first, second, ..] if first == "identity" && second == "config" => {
            "identity::config".to_owned()
        }
        [first, ..] => first.clone(),
        [] => String::new(),
    }
}

/// `src/a/b.rs` and `src/a/b/mod.rs` are the module `a::b`; `main` and `lib` are the root.
fn module_of(name: &str) -> Vec<String> {
    let path = Path::new(name).with_extension("");
    let mut parts: Vec<String> = path
        .iter()
        .skip(1)
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let last = parts.last().map(String::as_str);
    if last == Some("mod") || (parts.len() == 1 && matches!(last, Some("main" | "lib"))) {
        parts.pop();
    }
    parts
}

/// Every path from the crate's root that `text`, the file of `module`, refers to: in imports, in
/// expressions and types, and inside macros; `super` is worked out.
fn references(module: &[String], text: &str) -> BTreeSet<Vec<String>> {
    let file = syn::parse_file(text).expect("sources parse");
    let mut references = References {
        module: module.to_vec(),
        found: BTreeSet::new(),
    };
    references.visit_file(&file);
    references.found
}

struct References {
    /// Where we are, inner modules included.
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
}

impl References {
    fn add(&mut self, path: &[String]) {
        let mut words = path.iter().map(String::as_str).peekable();
        let mut from_root = match words.next() {
            Some("crate") => Vec::new(),
            Some("self") => self.module.clone(),
            Some("super") => parent(&self.module),
            _ => return,
        };
        while words.next_if_eq(&"super").is_some() {
            from_root = parent(&from_root);
        }
        from_root.extend(words.map(str::to_owned));
        self.found.insert(from_root);
    }

    fn add_tree(&mut self, before: &[String], tree: &UseTree) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.add_tree(&with(path.ident.to_string()), &path.tree),
            UseTree::Name(name) if name.ident == "self" => self.add(before),
            UseTree::Name(name) => self.add(&with(name.ident.to_string())),
            UseTree::Rename(rename) => self.add(&with(rename.ident.to_string())),
            UseTree::Glob(_) => self.add(before),
            UseTree::Group(group) => group.items.iter().for_each(|t| self.add_tree(before, t)),
        }
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.add_tree(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let words: Vec<_> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.add(&words);
        visit::visit_path(self, path);
    }

    /// What a macro is given is not parsed yet: its words are enough.
    fn visit_macro(&mut self, call: &'ast Macro) {
        let tokens = call.tokens.to_string().replace(char::is_whitespace, "");
        for rest in tokens.split("crate::").skip(1) {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let path = rest[..end.unwrap_or(rest.len())].split("::");
            let words = path.filter(|word| !word.is_empty()).map(str::to_owned);
            let words: Vec<_> = std::iter::once("crate".to_owned()).chain(words).collect();
            self.add(&words);
        }
        visit::visit_macro(self, call);
    }
}

fn parent(module: &[String]) -> Vec<String> {
    let mut parent = module.to_vec();
    parent.pop();
    parent
}

/// Name and text of every Rust file below `folder`, which may be missing.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).expect("it lies below the root");
                let text = fs::read_to_string(&path).expect("a source can be read");
                found.push((name.display().to_string(), text));
            }
        }
    }
    found.sort();
    found
}

const MAX_LINES: usize = 400;

mod tests;
