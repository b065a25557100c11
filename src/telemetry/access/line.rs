//! A record as one line of JSON.

use std::io::Write;

use http::HeaderName;

use super::record::{Field, Record};
use crate::telemetry::timestamp;

/// Adds a record's line. What is not known is `null`; `code`, `reason`, `not_retried` and `headers` are left out
/// where there is nothing to say. Strings are escaped by `serde_json`, so that no byte of a request
/// can end a string or a line.
pub(super) fn add(out: &mut Vec<u8>, record: &Record, fields: &[HeaderName]) {
    let text = |field| record.text.find(field);
    let mut line = Object::open(out);
    line.raw("ts", |out| {
        let _ = write!(out, "\"{}\"", timestamp(record.unix_millis));
    });
    line.text("request_id", text(Field::RequestId));
    line.raw("client", |out| {
        let _ = write!(out, "\"{}\"", record.client);
    });
    line.text("method", text(Field::Method));
    line.text("host", text(Field::Host));
    line.text("path", text(Field::Path));
    line.text("route", record.route.as_deref());
    line.number("status", record.status.into());
    line.number("duration_us", record.duration_us);
    line.number("gateway_us", record.gateway_us());
    line.text("upstream", record.upstream.as_deref());
    line.text("server", record.server.as_deref());
    line.number("attempts", record.attempts.into());
    line.number("upstream_us", record.upstream_us);
    line.number("bytes_in", record.bytes_in);
    line.number("bytes_out", record.bytes_out);
    line.text("protocol", Some(record.protocol));
    line.text("tls", text(Field::Tls));
    line.text("user", text(Field::User));
    line.raw("roles", |out| list(out, record.text.roles()));
    line.text("limit", record.limit.as_deref());
    line.text("decision", record.decision);
    line.text("trace_id", text(Field::TraceId));
    line.text("user_agent", text(Field::UserAgent));
    for (name, value) in [
        ("code", record.code),
        ("reason", record.reason),
        ("not_retried", record.not_retried),
    ] {
        if value.is_some() {
            line.text(name, value);
        }
    }
    if !fields.is_empty() {
        line.raw("headers", |out| {
            let mut headers = Object::open(out);
            for (name, value) in fields.iter().zip(record.text.headers()) {
                headers.text(name.as_str(), value);
            }
            headers.close();
        });
    }
    line.close();
    out.push(b'\n');
}

/// An object that is being written.
struct Object<'a> {
    out: &'a mut Vec<u8>,
    separator: u8,
}

impl<'a> Object<'a> {
    fn open(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            separator: b'{',
        }
    }

    /// `name` is a key of ours or a header's name: nothing in it needs escaping.
    fn raw(&mut self, name: &str, value: impl FnOnce(&mut Vec<u8>)) {
        self.out.extend([self.separator, b'"']);
        self.out.extend(name.as_bytes());
        self.out.extend(b"\":");
        self.separator = b',';
        value(self.out);
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.raw(name, |out| string(out, value));
    }

    fn number(&mut self, name: &str, value: u64) {
        let mut digits = itoa::Buffer::new();
        self.raw(name, |out| out.extend(digits.format(value).as_bytes()));
    }

    fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

fn string(out: &mut Vec<u8>, value: Option<&str>) {
    // Writing a string to memory can't fail.
    let _ = serde_json::to_writer(out, &value);
}

fn list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, Some(item));
    }
    out.push(b']');
}
