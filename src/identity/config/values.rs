//! The values of `identity:` that have a grammar of their own.

use std::path::PathBuf;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::mysql::Mysql;
use crate::base::decode::{Decode, Within, text, whole_number};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node};

/// Where users are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreAddress {
    /// A file; a relative path is relative to the configuration's folder.
    SqliteFile(PathBuf),
    /// Gone with the process.
    SqliteMemory,
    Mysql(Mysql),
}

/// How many threads hash passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// Half of the processor's cores, so that a flood of sign-ins leaves the other half to the proxy.
    Auto,
    Threads(usize),
}

impl Workers {
    pub fn count(self) -> usize {
        match self {
            Self::Auto => std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2),
            Self::Threads(count) => count,
        }
        .max(1)
    }
}

impl Decode for StoreAddress {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let address = text(node, STORES, report)?.value;
        if let Some(rest) = address.strip_prefix("mysql://") {
            let mysql = Mysql::parse(rest, node.place);
            return mysql
                .map_err(|problem| report.push(problem))
                .ok()
                .map(Self::Mysql);
        }
        match address.strip_prefix("sqlite:") {
            Some(":memory:") => Some(Self::SqliteMemory),
            Some(path) if !path.is_empty() => Some(Self::SqliteFile(path.into())),
            _ => {
                // Never with the value: a misspelt scheme may be followed by a password.
                let message = format!("expected {STORES}");
                report.push(Problem::error(Code::InvalidValue, node.place, message));
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": STORES,
            "pattern": r"^(sqlite:.+|mysql://[^/]+/.+)$|\$\{",
            "examples": ["sqlite:data/airside.db", "mysql://airside:${env:DB_PASSWORD}@db.internal/airside?require_ssl=true"],
        })
    }

    /// Of MySQL nothing is told: an address may hold a password.
    fn show(&self) -> serde_json::Value {
        match self {
            Self::SqliteFile(path) => format!("sqlite:{}", path.display()).into(),
            Self::SqliteMemory => "sqlite::memory:".into(),
            Self::Mysql(_) => serde_json::Value::Null,
        }
    }
}

impl Decode for Workers {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        if matches!(&node.value, Node::Text(text) if text.value == "auto") {
            return Some(Self::Auto);
        }
        let Within(count) = Within::<1, 256>::decode(node, report)?;
        usize::try_from(count).ok().map(Self::Threads)
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "auto" }, whole_number(1, 256)] })
    }

    fn show(&self) -> serde_json::Value {
        match self {
            Self::Auto => "auto".into(),
            Self::Threads(count) => (*count).into(),
        }
    }
}

const STORES: &str = "`sqlite:PATH`, `sqlite::memory:` or `mysql://…`";
