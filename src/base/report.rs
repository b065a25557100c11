//! Problems of a configuration: many at once, each with its line, a caret and a suggestion, as text
//! or as JSON. What the problems are is decided by those who report them.

use std::fmt::Display;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use super::yaml::Place;

/// Everything that is wrong with one source text.
#[derive(Debug, Default)]
pub struct Report {
    /// At most `MOST_TOLD`.
    problems: Vec<Problem>,
    /// Problems beyond that, and whether an error is among them.
    left_out: usize,
    left_out_error: bool,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub code: Code,
    pub message: String,
    pub place: Place,
    /// What stands at the place, in a few words.
    pub label: String,
    /// Other lines that belong to the problem, such as the first of two routes that tie.
    pub related: Vec<(Place, String)>,
    pub help: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// The kind of a problem, for scripts that read the JSON form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The text is not YAML, or breaks a bound of the reader.
    Syntax,
    UnknownKey,
    MissingKey,
    WrongType,
    InvalidValue,
    /// A name that nothing in the file defines.
    UnknownName,
    /// Two things that exclude each other.
    Conflict,
    /// `${env:…}` or `${file:…}` that brings nothing.
    Unresolved,
    /// Part of the grammar whose feature this version does not have.
    NotBuilt,
    /// A change that a running gateway can't make.
    NeedsRestart,
    /// Something that has no effect: nothing uses it, or something else has the same effect.
    Unused,
    /// A route that no request gets.
    Unreachable,
    /// Sound, and hardly what is meant.
    Unlikely,
}

impl Problem {
    pub fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            place,
            label: String::new(),
            related: Vec::new(),
            help: None,
        }
    }

    pub fn warning(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, place, message)
        }
    }

    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }

    /// Adds "did you mean …?" where one of `known` is near enough to `word`.
    pub fn suggest<'a>(self, word: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(word, known) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl Report {
    /// Adds a problem, unless the place holds a reference that brought nothing: then there is no value that
    /// could be wrong. What stands in `defaults` may be found wrong once a route; it is told once. Nobody reads
    /// more than some: the rest is only counted, so that a file of nothing else is refused in time.
    pub fn push(&mut self, problem: Problem) {
        if self.problems.len() >= MOST_TOLD {
            self.left_out += 1;
            self.left_out_error |= problem.severity == Severity::Error;
            return;
        }
        let unresolved =
            |known: &Problem| known.code == Code::Unresolved && known.place == problem.place;
        let told = |known: &Problem| unresolved(known) || *known == problem;
        if self.problems.iter().any(told) {
            return;
        }
        self.problems.push(problem);
    }

    pub fn has_errors(&self) -> bool {
        self.left_out_error || self.count(Severity::Error) > 0
    }

    /// All problems, in the order of their lines.
    pub fn sorted(mut self) -> Self {
        self.problems
            .sort_by_key(|problem| (problem.place.line, problem.place.column));
        self
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The report for people: rustc's layout. `file` is the name to print, `source` its text.
    pub fn text(&self, file: &str, source: &str, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for problem in &self.problems {
            out.push_str(&render(problem, file, source, &renderer));
            out.push_str("\n\n");
        }
        let errors = self.count(Severity::Error);
        let warnings = self.count(Severity::Warning);
        let plural = |count: usize, noun: &str| match count {
            1 => format!("1 {noun}"),
            more => format!("{more} {noun}s"),
        };
        let summary = match (errors, warnings) {
            (0, 0) => return out,
            (errors, 0) => plural(errors, "error"),
            (0, warnings) => plural(warnings, "warning"),
            (errors, warnings) => {
                format!(
                    "{}, {}",
                    plural(errors, "error"),
                    plural(warnings, "warning")
                )
            }
        };
        let more = match self.left_out {
            0 => String::new(),
            more => format!(", and {more} more that are not shown"),
        };
        out.push_str(&format!("{file}: {summary}{more}\n"));
        out
    }

    /// The report for editors and CI: one object a problem, lines and columns from 1.
    pub fn json(&self, file: &str, source: &str) -> serde_json::Value {
        let lines: Vec<&str> = source.lines().collect();
        let problems: Vec<_> = self
            .problems
            .iter()
            .map(|problem| {
                serde_json::json!({
                    "file": file,
                    "line": problem.place.line,
                    "column": problem.place.column,
                    "severity": problem.severity,
                    "code": problem.code,
                    "message": problem.message,
                    "source": problem.place.line.checked_sub(1)
                        .and_then(|index| lines.get(index as usize)),
                    "help": problem.help,
                    "related": problem.related.iter().map(|(place, label)| serde_json::json!({
                        "line": place.line, "column": place.column, "message": label,
                    })).collect::<Vec<_>>(),
                })
            })
            .collect();
        let mut report = serde_json::json!({ "sound": !self.has_errors(), "problems": problems });
        if let Some(report) = report.as_object_mut().filter(|_| self.left_out > 0) {
            report.insert("left_out".to_owned(), self.left_out.into());
        }
        report
    }

    fn count(&self, severity: Severity) -> usize {
        let is = |problem: &&Problem| problem.severity == severity;
        self.problems.iter().filter(is).count()
    }
}

/// The one of `known` that is nearest to `word`, if it is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, candidate)| candidate)
}

/// `a`, `a or b`, `a, b or c`, each in backticks.
pub fn choices<T: Display>(words: impl IntoIterator<Item = T>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn render(problem: &Problem, file: &str, source: &str, renderer: &Renderer) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut snippet = Snippet::source(source).path(file);
    let mut primary = AnnotationKind::Primary.span(span(source, problem.place));
    if !problem.label.is_empty() {
        primary = primary.label(problem.label.as_str());
    }
    snippet = snippet.annotation(primary);
    for (place, label) in &problem.related {
        let annotation = AnnotationKind::Context.span(span(source, *place));
        snippet = snippet.annotation(annotation.label(label.as_str()));
    }
    let mut group = level
        .primary_title(problem.message.as_str())
        .element(snippet);
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// The bytes that a place points at: the word, or the quoted string, that starts there.
fn span(source: &str, place: Place) -> Range<usize> {
    let mut start = 0;
    for (index, line) in source.split_inclusive('\n').enumerate() {
        if index as u32 + 1 < place.line {
            start += line.len();
            continue;
        }
        let skip = place.column.saturating_sub(1) as usize;
        let column = line
            .char_indices()
            .nth(skip)
            .map_or(line.len(), |(at, _)| at);
        let rest = line.get(column..).unwrap_or_default();
        return start + column..start + column + word_length(rest).max(1).min(rest.len());
    }
    source.len()..source.len()
}

fn word_length(rest: &str) -> usize {
    let quote = rest
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''));
    match quote {
        Some(quote) => rest
            .get(1..)
            .and_then(|tail| tail.find(quote))
            .map_or(1, |end| end + 2),
        None => rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}'))
            .unwrap_or(rest.len())
            // A key is marked without its colon.
            .saturating_sub(usize::from(
                rest.split_whitespace()
                    .next()
                    .is_some_and(|word| word.ends_with(':')),
            )),
    }
}

/// Problems that are told of one text.
const MOST_TOLD: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_all_wrong_is_refused_with_its_first_problems_and_the_number_of_the_others() {
        let place = |line| Place { line, column: 1 };
        let mut report = Report::default();
        for line in 1..=MOST_TOLD as u32 {
            report.push(Problem::warning(Code::Unused, place(line), "unused"));
        }
        assert!(!report.has_errors());
        report.push(Problem::error(Code::Syntax, place(1_000), "wrong"));
        report.push(Problem::error(Code::Syntax, place(1_001), "wrong"));
        assert!(report.has_errors());
        assert_eq!(report.problems().len(), MOST_TOLD);
        let text = report.text("a.yaml", "", false);
        let end = "a.yaml: 200 warnings, and 2 more that are not shown\n";
        assert!(text.ends_with(end), "{text}");
        let json = report.json("a.yaml", "");
        assert_eq!(json["left_out"], 2);
        assert_eq!(json["sound"], false);
    }
}
