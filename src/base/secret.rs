//! `${env:NAME}`, `${env:NAME:-default}` and `${file:path}` in the configuration's strings. What they
//! bring is marked, so that no message ever prints it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::report::{Code, Problem, Report};
use super::yaml::{At, Node, Place, Text};

/// Where references are looked up: the process in production, a table in tests.
pub trait Source {
    fn env(&self, name: &str) -> Option<String>;
    /// Errors: why the file can't be read, for people.
    fn file(&self, path: &str) -> Result<String, String>;
}

/// The process's environment, and files relative to the configuration's folder.
pub struct Process<'a> {
    folder: &'a Path,
    /// Each file that was looked for.
    files: RefCell<Vec<PathBuf>>,
}

impl<'a> Process<'a> {
    pub fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            files: RefCell::default(),
        }
    }

    /// The files that were referred to, whether they were there or not.
    pub fn files(self) -> Vec<PathBuf> {
        self.files.into_inner()
    }
}

/// A string that must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Replaces each reference in the tree; those that bring nothing are reported.
pub fn resolve(node: &mut At<Node>, source: &dyn Source, report: &mut Report) {
    match &mut node.value {
        Node::Text(text) => match expand(text, node.place, source) {
            Ok(()) => {}
            Err(problem) => report.push(problem),
        },
        Node::List(items) => items
            .iter_mut()
            .for_each(|item| resolve(item, source, report)),
        Node::Map(entries) => entries
            .iter_mut()
            .for_each(|(_, value)| resolve(value, source, report)),
        Node::Null | Node::Bool(_) | Node::Integer(_) | Node::Float(_) => {}
    }
}

/// What references bring to a text, so that nothing prints it; none where the text is not YAML.
pub fn brought(text: &str, source: &dyn Source) -> Vec<String> {
    let mut brought = Vec::new();
    if let Ok(mut node) = super::yaml::read(text) {
        resolve(&mut node, source, &mut Report::default());
        collect(&node, &mut brought);
    }
    brought
}

fn collect(node: &At<Node>, brought: &mut Vec<String>) {
    match &node.value {
        Node::Text(text) if text.secret => brought.push(text.value.clone()),
        Node::List(items) => items.iter().for_each(|item| collect(item, brought)),
        Node::Map(entries) => entries
            .iter()
            .for_each(|(_, value)| collect(value, brought)),
        _ => {}
    }
}

impl Source for Process<'_> {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        let path = self.folder.join(path);
        self.files.borrow_mut().push(path.clone());
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        // Editors and `echo` end a file with a line break that is not part of the secret.
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

fn expand(text: &mut Text, place: Place, source: &dyn Source) -> Result<(), Problem> {
    if !text.value.contains("${") {
        return Ok(());
    }
    let unresolved = |message: String| Problem::error(Code::Unresolved, place, message);
    let mut out = String::with_capacity(text.value.len());
    let mut rest = text.value.as_str();
    while let Some((before, after)) = rest.split_once("${") {
        let (reference, tail) = after
            .split_once('}')
            .ok_or_else(|| unresolved("`${` without its `}`".to_owned()))?;
        out.push_str(before);
        rest = tail;
        let value = if let Some(variable) = reference.strip_prefix("env:") {
            let (name, default) = match variable.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (variable, None),
            };
            let value = source.env(name).or_else(|| default.map(str::to_owned));
            value.ok_or_else(|| {
                unresolved(format!("the environment variable `{name}` is not set"))
                    .help(format!("set it, or write a default: `${{env:{name}:-…}}`"))
            })?
        } else if let Some(path) = reference.strip_prefix("file:") {
            let why = |why| unresolved(format!("can't read the file of a secret: {why}"));
            source.file(path).map_err(why)?
        } else {
            let message = format!("`${{{reference}}}` is not known");
            return Err(unresolved(message)
                .help("write `${env:NAME}`, `${env:NAME:-default}` or `${file:path}`"));
        };
        out.push_str(&value);
    }
    out.push_str(rest);
    *text = Text {
        value: out,
        secret: true,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::yaml;

    struct Fixed;

    impl Source for Fixed {
        fn env(&self, name: &str) -> Option<String> {
            (name == "USER_NAME").then(|| "ann".to_owned())
        }

        fn file(&self, path: &str) -> Result<String, String> {
            match path {
                "pw" => Ok("s3cret".to_owned()),
                _ => Err("no such file".to_owned()),
            }
        }
    }

    fn resolved(source: &str) -> Result<Text, String> {
        let mut node = yaml::read(source).unwrap();
        let mut report = Report::default();
        resolve(&mut node, &Fixed, &mut report);
        match (report.problems().first(), node.value) {
            (Some(problem), _) => Err(problem.message.clone()),
            (None, Node::Text(text)) => Ok(text),
            (None, other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn references_are_replaced_and_marked() {
        let text = resolved("mysql://${env:USER_NAME}:${file:pw}@${env:HOST:-db}/x").unwrap();
        assert_eq!(text.value, "mysql://ann:s3cret@db/x");
        assert_eq!(text.quoted(), "`***`");
        assert!(!resolved("plain").unwrap().secret);
    }

    #[test]
    fn what_brings_nothing_is_an_error() {
        for wrong in ["${env:NOPE}", "${file:nope}", "${vault:x}", "a${env:X"] {
            assert!(resolved(wrong).is_err(), "{wrong}");
        }
    }
}
