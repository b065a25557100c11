//! What a test expected against what came.

use http::HeaderMap;

use crate::base::yaml::{At, Place};
use crate::cli::explain::story::{HIDDEN, Story, is_credential, masked};
use crate::config::cases::Expect;

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// The key below `expect`.
    pub key: String,
    pub place: Place,
    pub expected: String,
    pub found: String,
}

/// All that was not met, in the order of the keys. Values are compared as they are, and told as they may be.
pub fn unmet(expect: &Expect, story: &Story, secrets: &[String]) -> Vec<Unmet> {
    let course = story.course;
    let mut unmet = Vec::new();
    let mut compare = |key: &str, expected: Option<At<String>>, found: Option<String>| {
        let Some(expected) = expected.filter(|expected| Some(&expected.value) != found.as_ref())
        else {
            return;
        };
        unmet.push(Unmet {
            key: key.to_owned(),
            place: expected.place,
            expected: masked(&expected.value, secrets),
            found: found.map_or_else(|| NONE.to_owned(), |found| masked(&found, secrets)),
        });
    };
    let status = expect
        .status
        .map(|status| status.map(|status| status.0.as_u16().to_string()));
    compare("status", status, Some(course.status.as_u16().to_string()));
    let refused = course.refused.as_ref();
    let code = refused.map(|refused| refused.refusal.code().to_owned());
    compare("code", expect.code.clone(), code);
    let route = story.route().map(|route| route.name.clone());
    compare("route", expect.route.clone(), route);
    let forward = course.forward.as_ref();
    let upstream = forward.map(|forward| forward.upstream.to_string());
    compare("upstream", expect.upstream.clone(), upstream);
    compare(
        "path",
        expect.path.clone(),
        forward.map(|forward| forward.target.clone()),
    );
    let limit = refused.and_then(|refused| refused.limit.clone());
    compare("limit", expect.limit.clone(), limit);
    compare(
        "location",
        expect.location.clone(),
        line(&course.headers, "location"),
    );
    let none = HeaderMap::new();
    let sent = forward.map_or(&none, |forward| &forward.headers);
    for (key, expect, found) in [
        ("headers", &expect.headers, sent),
        (
            "response_headers",
            &expect.response_headers,
            &course.headers,
        ),
    ] {
        for (name, wanted) in &expect.0 {
            let found = line(found, &name.value);
            if wanted.value.0 == found {
                continue;
            }
            let shown = |value: Option<&str>| match value {
                Some(_) if is_credential(&name.value) => HIDDEN.to_owned(),
                Some(value) => masked(value, secrets),
                None => NONE.to_owned(),
            };
            unmet.push(Unmet {
                key: format!("{key}.{}", name.value),
                place: wanted.place,
                expected: shown(wanted.value.0.as_deref()),
                found: shown(found.as_deref()),
            });
        }
    }
    unmet
}

/// A header's lines, with commas between them.
fn line(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(name).iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

const NONE: &str = "none";
