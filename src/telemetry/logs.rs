//! The program's own log: `log` records with their key-values, as text or as lines of JSON, to
//! standard error. Requests are the access log's.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use env_logger::{Builder, Logger, WriteStyle, fmt::Formatter};
use log::kv::{Error, Key, Value, VisitSource};
use log::{LevelFilter, Metadata, Record, SetLoggerError};

use super::config::{Format, Log};
use super::timestamp;

/// Installs the process's logger. `RUST_LOG` replaces the configured level where it is set, and
/// colour is for terminals without `NO_COLOR` only. Pingora speaks from `warn` up: at `info` it logs
/// what a gateway's operator can't act on. Errors: there is a logger already.
pub fn install(config: &Log) -> Result<(), SetLoggerError> {
    log::set_logger(&Live)?;
    adjust(config);
    Ok(())
}

/// Puts another level or format in place, as a reload does.
pub fn adjust(config: &Log) {
    let logger = logger(config);
    let level = logger.filter();
    let current = CURRENT.get_or_init(|| ArcSwap::from_pointee(logger_off()));
    current.store(logger.into());
    log::set_max_level(level);
}

/// The process's logger: whatever is in place at the moment.
struct Live;

impl log::Log for Live {
    fn enabled(&self, metadata: &Metadata) -> bool {
        let current = CURRENT.get();
        current.is_some_and(|current| current.load().enabled(metadata))
    }

    fn log(&self, record: &Record) {
        if let Some(current) = CURRENT.get() {
            current.load().log(record);
        }
    }

    fn flush(&self) {
        if let Some(current) = CURRENT.get() {
            current.load().flush();
        }
    }
}

static CURRENT: OnceLock<ArcSwap<Logger>> = OnceLock::new();

/// What is there until the first configuration is.
fn logger_off() -> Logger {
    Builder::new().filter_level(LevelFilter::Off).build()
}

fn logger(config: &Log) -> Logger {
    let mut builder = Builder::new();
    match std::env::var("RUST_LOG") {
        Ok(filters) if !filters.is_empty() => builder.parse_filters(&filters),
        _ => {
            let level = LevelFilter::from(config.level);
            builder
                .filter_level(level)
                .filter_module("pingora", level.min(LevelFilter::Warn))
                .filter_module("refinery_core", level.min(LevelFilter::Warn))
        }
    };
    match config.format {
        Format::Text => builder.format(|out, record| {
            let style = out.default_level_style(record.level());
            let level = format!("{style}{:<5}{style:#}", record.level());
            text(out, now(), &level, record)
        }),
        Format::Json => builder
            .write_style(WriteStyle::Never)
            .format(|out: &mut Formatter, record| json(out, now(), record)),
    };
    builder.build()
}

/// `2026-01-02T03:04:05.678Z INFO  airside::server message key=value`. What may come from outside
/// can't forge a line or drive the terminal: control characters are escaped.
fn text(out: &mut impl Write, millis: u64, level: &str, record: &Record) -> io::Result<()> {
    let mut line = record.args().to_string();
    let mut pairs = Pairs(|key: &str, value: Value| {
        let _ = write!(line, " {key}={value}");
    });
    let _ = record.key_values().visit(&mut pairs);
    write!(out, "{} {level} {} ", timestamp(millis), record.target())?;
    for c in line.chars() {
        match c.is_control() {
            true => write!(out, "{}", c.escape_default())?,
            false => write!(out, "{c}")?,
        }
    }
    out.write_all(b"\n")
}

/// `{"ts":…,"level":"info","target":…,"message":…,"key":value}`; values keep their types.
fn json(out: &mut impl Write, millis: u64, record: &Record) -> io::Result<()> {
    let mut line = serde_json::Map::new();
    let mut pairs = Pairs(|key: &str, value: Value| {
        line.insert(key.to_owned(), plain(&value));
    });
    let _ = record.key_values().visit(&mut pairs);
    let level = record.level().as_str().to_ascii_lowercase();
    // After the pairs, so that no pair takes the place of one of these.
    line.insert("ts".to_owned(), timestamp(millis).to_string().into());
    line.insert("level".to_owned(), level.into());
    line.insert("target".to_owned(), record.target().into());
    line.insert("message".to_owned(), record.args().to_string().into());
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

fn plain(value: &Value) -> serde_json::Value {
    if let Some(value) = value.to_bool() {
        return value.into();
    }
    if let Some(value) = value.to_u64() {
        return value.into();
    }
    if let Some(value) = value.to_i64() {
        return value.into();
    }
    if let Some(value) = value.to_f64() {
        return value.into();
    }
    value.to_string().into()
}

/// Visits each key-value pair with a function.
struct Pairs<F>(F);

impl<'kvs, F: FnMut(&str, Value)> VisitSource<'kvs> for Pairs<F> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        (self.0)(key.as_str(), value);
        Ok(())
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_767_268_800_042;

    fn with_record(check: impl FnOnce(&Record)) {
        let pairs: [(&str, Value); 3] = [
            ("port", Value::from(3001)),
            ("why", Value::from("a\n\"b\"")),
            ("level", Value::from("forged")),
        ];
        check(
            &Record::builder()
                .level(log::Level::Info)
                .target("airside::server")
                .key_values(&pairs)
                .args(format_args!("listening\u{1b}[31m"))
                .build(),
        );
    }

    #[test]
    fn text_is_one_line_without_control_characters() {
        with_record(|record| {
            let mut out = Vec::new();
            text(&mut out, NOON, "INFO ", record).unwrap();
            assert_eq!(
                String::from_utf8(out).unwrap(),
                "2026-01-01T12:00:00.042Z INFO  airside::server \
                 listening\\u{1b}[31m port=3001 why=a\\n\"b\" level=forged\n"
            );
        });
    }

    #[test]
    fn json_keeps_types_and_its_own_keys() {
        with_record(|record| {
            let mut out = Vec::new();
            json(&mut out, NOON, record).unwrap();
            let line: serde_json::Value = serde_json::from_slice(&out).unwrap();
            let expected = serde_json::json!({
                "ts": "2026-01-01T12:00:00.042Z",
                "level": "info",
                "target": "airside::server",
                "message": "listening\u{1b}[31m",
                "port": 3001,
                "why": "a\n\"b\"",
            });
            assert_eq!(line, expected);
            assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
        });
    }
}
