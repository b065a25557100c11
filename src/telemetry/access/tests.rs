//! The log as a whole: what is queued is written, what is not is counted.

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use serde_json::{Value, json};

use super::output::Lost;
use super::*;
use crate::base::decode::FromText;
use crate::base::units::Share;
use crate::telemetry::config::FieldName;

fn record(path: &str) -> Box<Record> {
    let mut text = Text::new();
    text.set(Field::RequestId, "r1");
    text.set(Field::Method, "GET");
    text.set(Field::Host, "api.example.com");
    text.set(Field::Path, path);
    text.set(Field::Tls, "TLSv1.3");
    text.set(Field::User, "u1");
    text.set_roles(["customer", "gold"]);
    text.set(Field::TraceId, "t1");
    text.set(Field::UserAgent, "curl/8");
    text.set(Field::Route, "flights");
    text.set(Field::Upstream, "bookings");
    text.set(Field::Limit, "per_client");
    Box::new(Record {
        unix_millis: 1_767_268_800_042,
        client: "192.0.2.1".parse().unwrap(),
        status: 200,
        duration_us: 1_500,
        server: "127.0.0.1:3000".parse().ok(),
        attempts: 1,
        upstream_us: 1_200,
        bytes_in: 3,
        bytes_out: 24,
        protocol: "HTTP/1.1",
        decision: Some("admitted"),
        code: None,
        reason: None,
        not_retried: None,
        text,
    })
}

fn to_file(folder: &Path, fields: &[&str]) -> (AccessLog, PathBuf) {
    let config = config::AccessLog {
        to: Destination::File("access.json".into()),
        fields: fields
            .iter()
            .map(|name| FieldName::from_text(name).unwrap())
            .collect(),
        ..Default::default()
    };
    let log = AccessLog::start(&config, folder).unwrap();
    (log, folder.join("access.json"))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Says that it was called, then waits until it is let through.
struct Gate {
    entered: Sender<()>,
    open: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Output for Gate {
    fn write(&mut self, lines: &[u8]) -> Result<(), Lost> {
        let _ = self.entered.send(());
        let _ = self.open.recv();
        let _ = self.written.send(lines.to_vec());
        Ok(())
    }
}

#[test]
fn a_full_queue_drops_and_counts_and_never_waits() {
    let (entered, in_write) = mpsc::channel();
    let (opener, open) = mpsc::channel();
    let (written, all) = mpsc::channel();
    let gate = Gate {
        entered,
        open,
        written,
    };
    let log = AccessLog::with_output(&Default::default(), 4, Some(gate)).unwrap();
    log.log(record("/0"));
    in_write.recv().unwrap();
    for number in 1..=7 {
        log.log(record(&format!("/{number}")));
    }
    assert_eq!(log.dropped(), 3);
    drop(opener);
    log.stop();
    let written = all
        .try_iter()
        .flatten()
        .filter(|byte| *byte == b'\n')
        .count();
    assert_eq!((written, log.dropped()), (5, 3));
    log.log(record("/late"));
    assert_eq!(log.dropped(), 4);
}

#[test]
fn a_line_holds_every_field() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = to_file(folder.path(), &["X-Tenant", "X-None"]);
    assert_eq!(log.fields(), ["x-tenant", "x-none"]);
    let mut refused = record("/flights/7?q=1");
    refused.code = Some("rate_limited");
    refused.reason = Some("per_client");
    refused.text.push_header(Some(b"acme"));
    refused.text.push_header(None);
    log.log(refused);
    drop(log);
    let expected = json!({
        "ts": "2026-01-01T12:00:00.042Z", "request_id": "r1", "client": "192.0.2.1",
        "method": "GET", "host": "api.example.com", "path": "/flights/7", "route": "flights",
        "status": 200, "duration_us": 1500, "gateway_us": 300, "upstream": "bookings",
        "server": "127.0.0.1:3000", "attempts": 1, "upstream_us": 1200, "bytes_in": 3,
        "bytes_out": 24, "protocol": "HTTP/1.1", "tls": "TLSv1.3", "user": "u1",
        "roles": ["customer", "gold"], "limit": "per_client", "decision": "admitted",
        "trace_id": "t1", "user_agent": "curl/8", "code": "rate_limited", "reason": "per_client",
        "headers": { "x-tenant": "acme", "x-none": null },
    });
    assert_eq!(lines(&path), [expected]);
}

#[test]
fn what_is_unknown_is_null_and_what_is_empty_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = to_file(folder.path(), &[]);
    let mut bare = record("/");
    bare.text = Text::new();
    log.log(bare);
    drop(log);
    let line = &lines(&path)[0];
    assert_eq!((&line["user"], &line["roles"]), (&Value::Null, &json!([])));
    for absent in ["code", "reason", "not_retried", "headers"] {
        assert!(line.get(absent).is_none());
    }
}

#[test]
fn no_byte_of_a_request_breaks_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = to_file(folder.path(), &["X-Any"]);
    let hostile = "\"}\n{\"status\":200}\r\0\u{1b}[2J\\\u{2028}\u{7f}";
    let mut record = record(&format!("/{hostile}"));
    record.text.set(Field::UserAgent, hostile);
    record.text.set_roles([hostile]);
    record.text.push_header(Some(b"\xff\n\""));
    log.log(record);
    drop(log);
    let lines = lines(&path);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["path"], format!("/{hostile}"));
    assert_eq!(lines[0]["user_agent"], hostile);
    assert_eq!(lines[0]["headers"]["x-any"], "\u{fffd}\n\"");
}

#[test]
fn everything_that_many_threads_queue_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (log, path) = to_file(folder.path(), &[]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1_000).for_each(|_| log.log(record("/"))));
        }
    });
    log.stop();
    assert_eq!((lines(&path).len(), log.dropped()), (8_000, 0));
}

#[test]
fn a_full_disk_is_counted_and_survived() {
    let config = config::AccessLog {
        to: Destination::File("/dev/full".into()),
        ..Default::default()
    };
    let log = AccessLog::start(&config, Path::new("/")).unwrap();
    for _ in 0..100 {
        log.log(record("/"));
    }
    log.stop();
    assert_eq!(log.dropped(), 100);
}

#[test]
fn a_sample_is_the_same_everywhere_and_about_as_large_as_said() {
    let of = |share| {
        let config = config::AccessLog {
            sample: Share(share),
            ..Default::default()
        };
        let gate = || Target::stdout().unwrap();
        AccessLog::with_output(&config, 1, Some(gate())).unwrap()
    };
    let (none, tenth, again, all) = (of(0.0), of(0.1), of(0.1), of(1.0));
    let ids: Vec<_> = (0..10_000)
        .map(|number| format!("request-{number}"))
        .collect();
    let count = |log: &AccessLog| ids.iter().filter(|id| log.wants(id)).count();
    assert_eq!((count(&none), count(&all)), (0, 10_000));
    assert!((800..1_200).contains(&count(&tenth)), "{}", count(&tenth));
    assert!(ids.iter().all(|id| tenth.wants(id) == again.wants(id)));
}

#[test]
fn a_log_that_is_off_wants_nothing() {
    let config = config::AccessLog {
        to: Destination::Off,
        ..Default::default()
    };
    let log = AccessLog::start(&config, Path::new("/")).unwrap();
    assert!(!log.wants("r1"));
    log.log(record("/"));
    assert_eq!(log.dropped(), 0);
}
