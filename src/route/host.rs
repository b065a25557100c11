//! A route's host: exact or `*.example.com`.

use std::fmt;

use crate::base::decode::FromText;
use crate::base::host;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostPattern {
    Exact(String),
    /// The name behind `*.`; matches every name below it, at any depth, and not the name itself.
    Below(String),
}

impl FromText for HostPattern {
    const EXPECTED: &'static str =
        "a host such as `api.example.com` or `*.example.com`, without a port";
    const PATTERN: &'static str = r"(\*\.)?[^*:/\s]+|\[[0-9A-Fa-f:.]+\]";

    fn from_text(text: &str) -> Result<Self, String> {
        let (wild, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err("`*` may stand only as the first label".to_owned());
        }
        let has_port = match name.strip_prefix('[') {
            Some(_) => !name.ends_with(']'),
            None => name.contains(':'),
        };
        if has_port {
            return Err("the port is not part of it".to_owned());
        }
        let name = host::normalise(name)
            .map_err(|error| error.to_string())?
            .into_owned();
        Ok(match wild {
            true => Self::Below(name),
            false => Self::Exact(name),
        })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(name) => write!(f, "*.{name}"),
        }
    }
}
