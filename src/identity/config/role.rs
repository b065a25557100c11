//! A role's name: safe in a header, a path, a log and a command line, so that nobody has to quote it.

use std::fmt;

use crate::base::decode::FromText;

/// Letters, digits, `_`, `-` and `.`, from 1 to 64.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);

impl RoleName {
    /// The role that may change roles. It always exists.
    pub fn admin() -> Self {
        Self(ADMIN.to_owned())
    }

    /// The role of whoever signs up, where the configuration names no other.
    pub fn customer() -> Self {
        Self("customer".to_owned())
    }

    pub fn is_admin(&self) -> bool {
        self.0 == ADMIN
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromText for RoleName {
    const EXPECTED: &'static str = "a role's name: letters, digits, `_`, `-` and `.`, at most 64";
    const PATTERN: &'static str = "[A-Za-z0-9_.-]{1,64}";

    fn from_text(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        match text.chars().find(|c| !fits(*c)) {
            Some(other) => Err(format!("`{}` is not allowed", other.escape_debug())),
            None if text.is_empty() => Err("it is empty".to_owned()),
            None if text.len() > 64 => Err("it is too long".to_owned()),
            None => Ok(Self(text.to_owned())),
        }
    }

    fn to_text(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const ADMIN: &str = "admin";
