//! `telemetry:` as it is written in the configuration.

use std::path::PathBuf;

use http::HeaderName;
use log::LevelFilter;
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::base::decode::{Decode, FromText, keys, mappings, words};
use crate::base::report::Report;
use crate::base::units::Share;
use crate::base::yaml::{At, Node};
use crate::telemetry::tracing::config::Tracing;

keys! {
    #[derive(Default)]
    pub struct Telemetry {
        /// The program's own log, to standard error.
        pub log: Log = Log::default(),
        /// One line of JSON a request.
        pub access_log: AccessLog = AccessLog::default(),
        /// Spans for an OpenTelemetry collector.
        pub tracing: Option<Tracing>,
    }

    pub struct Log {
        /// The least severe messages that are written; `RUST_LOG` overrides it.
        pub level: Level = Log::default().level,
        /// For people, or one JSON object a line.
        pub format: Format = Log::default().format,
    }

    pub struct AccessLog {
        /// `stdout`, `off`, or the path of a file.
        pub to: Destination = AccessLog::default().to,
        /// The part of the requests that is logged, chosen by the request's id.
        pub sample: Share = AccessLog::default().sample,
        /// Request headers whose values are logged too.
        pub fields: Vec<FieldName> = AccessLog::default().fields,
    }
}
mappings!(Telemetry, Log, AccessLog);

words! {
    pub enum Level {
        Error = "error",
        Warn = "warn",
        Info = "info",
        Debug = "debug",
        Trace = "trace",
    }

    pub enum Format {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    /// Relative to the configuration's folder.
    File(PathBuf),
    Off,
}

/// The name of a header that may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName(pub HeaderName);

impl Default for Log {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: Format::Text,
        }
    }
}

impl Default for AccessLog {
    fn default() -> Self {
        Self {
            to: Destination::Stdout,
            sample: Share(1.0),
            fields: Vec::new(),
        }
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

impl Decode for Destination {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        // To some YAML readers a bare `off` is a boolean.
        if node.value == Node::Bool(false) {
            return Some(Self::Off);
        }
        String::decode(node, report).map(|text| match text.as_str() {
            "stdout" => Self::Stdout,
            "off" => Self::Off,
            path => Self::File(path.into()),
        })
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        // A bare `off` is a boolean to some editors as well.
        json_schema!({
            "anyOf": [{ "enum": ["stdout", "off", false] }, { "type": "string", "minLength": 1 }],
        })
    }

    fn show(&self) -> serde_json::Value {
        match self {
            Self::Stdout => "stdout".into(),
            Self::File(path) => path.display().to_string().into(),
            Self::Off => "off".into(),
        }
    }
}

impl FromText for FieldName {
    const EXPECTED: &'static str = "a header that may be logged";
    const PATTERN: &'static str = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+";

    fn from_text(text: &str) -> Result<Self, String> {
        let name = HeaderName::try_from(text).map_err(|_| "not a header's name".to_owned())?;
        match CREDENTIALS.contains(&name.as_str()) {
            true => Err("it carries credentials, which are never logged".to_owned()),
            false => Ok(Self(name)),
        }
    }
}

const CREDENTIALS: [&str; 6] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-access-token",
    "x-api-key",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::yaml;

    fn read(source: &str) -> (Option<Telemetry>, Vec<String>) {
        let mut report = Report::default();
        let telemetry = Telemetry::decode(&yaml::read(source).unwrap(), &mut report);
        let problems = report.problems().iter();
        (
            telemetry,
            problems.map(|problem| problem.message.clone()).collect(),
        )
    }

    fn destination(source: &str) -> Destination {
        read(source).0.unwrap().access_log.to
    }

    #[test]
    fn every_key_is_read() {
        let source = "
log: { level: debug, format: json }
access_log: { to: logs/access.json, sample: 10%, fields: [X-Tenant] }";
        let (telemetry, problems) = read(source);
        assert!(problems.is_empty(), "{problems:?}");
        let Telemetry {
            log, access_log, ..
        } = telemetry.unwrap();
        assert_eq!((log.level, log.format), (Level::Debug, Format::Json));
        assert_eq!(access_log.to, Destination::File("logs/access.json".into()));
        assert_eq!(access_log.sample, Share(0.1));
        assert_eq!(access_log.fields[0].0, "x-tenant");
    }

    #[test]
    fn the_access_log_goes_to_stdout_unless_told_otherwise() {
        assert_eq!(destination("{}"), Destination::Stdout);
        assert_eq!(destination("access_log: {}"), Destination::Stdout);
        assert_eq!(destination("access_log: { to: off }"), Destination::Off);
        assert_eq!(destination("access_log: { to: 'off' }"), Destination::Off);
    }

    #[test]
    fn headers_with_credentials_are_never_logged() {
        for name in CREDENTIALS {
            let (_, problems) = read(&format!("access_log: {{ fields: [{name}] }}"));
            assert!(problems[0].contains("never logged"), "{problems:?}");
        }
        assert_eq!(read("access_log: { fields: ['a b'] }").1.len(), 1);
    }
}
