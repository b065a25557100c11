//! A route's path: literal segments, `{name}` for one segment, `{*rest}` or `*` for what remains.

use std::fmt;

use crate::base::decode::FromText;
use crate::base::path;
use crate::base::template::Captures;

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    pub segments: Vec<Segment>,
    /// The name under which the remainder is captured, where the pattern ends in one.
    pub rest: Option<String>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// In the encoding of a normalised path.
    Literal(String),
    Param(String),
}

impl PathPattern {
    /// The parameters' names, in the order of their captures.
    pub fn names(&self) -> Vec<&str> {
        let params = self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(name) => Some(name.as_str()),
            Segment::Literal(_) => None,
        });
        params.chain(self.rest.as_deref()).collect()
    }

    /// Do both match exactly the same paths?
    pub fn same_shape(&self, other: &Self) -> bool {
        let alike = |(one, other): (&Segment, &Segment)| match (one, other) {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            (Segment::Param(_), Segment::Param(_)) => true,
            _ => false,
        };
        self.segments.len() == other.segments.len()
            && self.rest.is_some() == other.rest.is_some()
            && self.segments.iter().zip(&other.segments).all(alike)
    }
}

impl Segment {
    /// The text that a path must have here; `None` for a parameter.
    pub fn literal(&self) -> Option<&str> {
        match self {
            Self::Literal(text) => Some(text),
            Self::Param(_) => None,
        }
    }
}

impl FromText for PathPattern {
    const EXPECTED: &'static str = "a path such as `/flights/*`, `/flights/{id}` or `/ping`";
    const PATTERN: &'static str = r"(/([^/{}*;]|[^/{};][^/{};]+|\{[A-Za-z0-9_]{1,32}\}))*/?|(/([^/{}*;]|[^/{};][^/{};]+|\{[A-Za-z0-9_]{1,32}\}))*/(\*|\{\*[A-Za-z0-9_]{1,32}\})";

    fn from_text(text: &str) -> Result<Self, String> {
        let inner = text.strip_prefix('/').ok_or("it does not begin with `/`")?;
        let mut raw: Vec<&str> = inner.split('/').collect();
        let rest = match raw.last() {
            Some(&"*") => Some("rest".to_owned()),
            Some(last) => last
                .strip_prefix("{*")
                .and_then(|name| name.strip_suffix('}'))
                .map(param_name)
                .transpose()?,
            None => None,
        };
        if rest.is_some() {
            raw.pop();
        }
        let last = raw.len().wrapping_sub(1);
        let mut segments = Vec::with_capacity(raw.len());
        for (index, part) in raw.iter().enumerate() {
            if part.is_empty() && (index != last || rest.is_some()) {
                return Err("it has an empty segment (`//`)".to_owned());
            }
            segments.push(segment(part)?);
        }
        let pattern = Self {
            segments,
            rest,
            text: text.to_owned(),
        };
        let mut names = pattern.names();
        if names.len() > Captures::MAX {
            return Err(format!("it has more than {} parameters", Captures::MAX));
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair.first() == pair.last()) {
            Some(pair) => Err(format!(
                "the parameter {} stands twice",
                crate::base::report::choices(pair.first())
            )),
            None => Ok(pattern),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn segment(part: &str) -> Result<Segment, String> {
    if let Some(name) = part
        .strip_prefix('{')
        .and_then(|name| name.strip_suffix('}'))
    {
        if name.starts_with('*') {
            return Err(format!("`{part}` must be the last segment"));
        }
        return param_name(name).map(Segment::Param);
    }
    if part.contains(['{', '}']) {
        return Err(format!("`{part}`: a parameter takes a whole segment"));
    }
    if part == "*" {
        return Err("`*` must be the last segment".to_owned());
    }
    if part.contains(';') || part == "." || part == ".." {
        return Err(format!(
            "`{part}` never stands in a normalised path, so nothing would match"
        ));
    }
    let whole = format!("/{part}");
    let normal = path::normalise(&whole).map_err(|error| error.to_string())?;
    Ok(Segment::Literal(
        normal.get(1..).unwrap_or_default().to_owned(),
    ))
}

fn param_name(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !name.is_empty() && name.len() <= 32 && name.chars().all(fits) {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "`{name}` is not a parameter's name: letters, digits and `_`"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read() {
        let pattern = PathPattern::from_text("/reports/{year}/{*file}").unwrap();
        assert_eq!(pattern.names(), ["year", "file"]);
        let star = PathPattern::from_text("/a/*").unwrap();
        assert!(star.same_shape(&PathPattern::from_text("/a/{*x}").unwrap()));
        assert_eq!(PathPattern::from_text("/").unwrap().segments.len(), 1);
        assert!(PathPattern::from_text("/*").unwrap().segments.is_empty());
        let encoded = PathPattern::from_text("/caf\u{e9}").unwrap();
        assert_eq!(encoded.segments, [Segment::Literal("caf%C3%A9".into())]);
    }

    #[test]
    fn what_could_never_match_is_refused() {
        for wrong in [
            "",
            "a",
            "/a//b",
            "/*/a",
            "/{*r}/a",
            "/a{b}",
            "/{}",
            "/{a-b}",
            "/{a}/{a}",
            "/../a",
            "/a;b",
            "/a%2fb",
            "//*",
            "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}",
        ] {
            assert!(PathPattern::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
