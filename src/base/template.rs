//! Paths built from what a route's pattern captured: `rewrite` and `redirect` use them.

use std::ops::Deref;

use smallvec::SmallVec;

/// Where the captured parts of a normalised path begin and end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Captures {
    ranges: [(u32, u32); Captures::MAX],
    len: u8,
}

/// A path that was built for one request. One of usual length stays on the stack: it is made with every call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expanded(SmallVec<[u8; 128]>);

/// Literal text with captures in it, such as `/api/v1/flights/{rest}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Capture(usize),
}

impl Captures {
    /// A pattern has at most this many parameters.
    pub const MAX: usize = 8;

    /// Adds a capture; a pattern with too many was refused when it was parsed.
    pub fn push(&mut self, start: usize, end: usize) {
        if let Some(range) = self.ranges.get_mut(usize::from(self.len)) {
            *range = (start as u32, end as u32);
            self.len += 1;
        }
    }

    pub fn pop(&mut self) {
        self.len = self.len.saturating_sub(1);
    }

    /// The captured text; `path` is the one that was matched.
    pub fn of<'p>(&self, path: &'p str, index: usize) -> &'p str {
        let range = self
            .ranges
            .get(index)
            .filter(|_| index < usize::from(self.len));
        let (start, end) = range.copied().unwrap_or_default();
        path.get(start as usize..end as usize).unwrap_or_default()
    }
}

impl Template {
    /// Reads a template; `names` are the pattern's parameters in their order.
    /// Errors: a clause for people.
    pub fn compile(text: &str, names: &[&str]) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, tail) = after.split_once('}').ok_or("a `{` has no `}`")?;
            let index =
                names
                    .iter()
                    .position(|known| *known == name)
                    .ok_or_else(|| match names {
                        [] => format!("the path has no parameter, so there is no `{{{name}}}`"),
                        names => format!(
                            "the path has no parameter `{name}`, only {}",
                            super::report::choices(names)
                        ),
                    })?;
            if !before.is_empty() {
                parts.push(Part::Literal(before.to_owned()));
            }
            parts.push(Part::Capture(index));
            rest = tail;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Fills the captures in. Where a remainder is missing altogether (`/flights` under `/flights/*`),
    /// the slash before it is left out too: `/api/v1/flights`.
    pub fn expand(&self, path: &str, captures: &Captures) -> Expanded {
        let mut out = Expanded::default();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Capture(index) => {
                    let text = captures.of(path, *index);
                    if text.is_empty()
                        && !path.ends_with('/')
                        && out.len() > 1
                        && out.ends_with('/')
                    {
                        out.0.pop();
                    }
                    out.push_str(text);
                }
            }
        }
        out
    }
}

impl Expanded {
    pub fn push_str(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }
}

impl Deref for Expanded {
    type Target = str;

    fn deref(&self) -> &str {
        // Invariant: it was put together from texts, and only a slash was ever taken away.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(path: &str, at: usize) -> Expanded {
        let mut captures = Captures::default();
        captures.push(at.min(path.len()), path.len());
        let template = Template::compile("/api/v1/flights/{rest}", &["rest"]).unwrap();
        template.expand(path, &captures)
    }

    #[test]
    fn what_remains_is_kept_as_it_was() {
        let long = format!("/flights/{}", "é".repeat(200));
        for (path, expanded) in [
            ("/flights/7/seats", "/api/v1/flights/7/seats"),
            ("/flights/", "/api/v1/flights/"),
            ("/flights", "/api/v1/flights"),
            (&long, &format!("/api/v1{long}")),
        ] {
            assert_eq!(&*expand(path, 9), expanded);
        }
    }

    #[test]
    fn a_name_that_the_path_does_not_capture_is_an_error() {
        assert!(
            Template::compile("/x/{id}", &["rest"])
                .unwrap_err()
                .contains("only `rest`")
        );
        assert!(Template::compile("/x/{id", &["id"]).is_err());
        assert!(Template::compile("/x/{id}", &[]).is_err());
    }
}
