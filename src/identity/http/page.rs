//! The query of a list: `cursor` and `limit`, and what else the list knows.

use utoipa::IntoParams;

use super::answer::Failure;

/// What every list takes, for the API's description.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is read is read by `Asked`")]
pub(super) struct Paging {
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

pub(super) struct Asked<'a> {
    pub(super) cursor: Option<&'a str>,
    pub(super) limit: u32,
    parameters: &'a [(String, String)],
}

impl<'a> Asked<'a> {
    /// Refuses parameters that are neither of the two nor in `known`: a misspelt one must not be ignored.
    pub(super) fn of(parameters: &'a [(String, String)], known: &[&str]) -> Result<Self, Failure> {
        let other = |name: &str| name != "cursor" && name != "limit" && !known.contains(&name);
        if let Some((name, _)) = parameters.iter().find(|(name, _)| other(name)) {
            let name: String = name.chars().take(64).collect();
            let failure = Failure::new(422, "unknown_field", "A field is not known");
            return Err(failure.detail(format!("`{name}` is not a parameter of this list")));
        }
        let mut asked = Self {
            cursor: None,
            limit: USUAL,
            parameters,
        };
        asked.cursor = asked.find("cursor");
        if let Some(limit) = asked.find("limit") {
            let limit = limit
                .parse()
                .ok()
                .filter(|limit| (1..=MOST).contains(limit));
            let wrong = || Failure::invalid_field(format!("`limit` must be from 1 to {MOST}"));
            asked.limit = limit.ok_or_else(wrong)?;
        }
        Ok(asked)
    }

    pub(super) fn find(&self, name: &str) -> Option<&'a str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

const USUAL: u32 = 50;
const MOST: u32 = 200;
