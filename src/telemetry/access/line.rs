//! A record as one line of JSON.

use http::HeaderName;

use super::record::{Field, Record};
use crate::base::net;
use crate::telemetry::timestamp;

/// Writes records; most come within the second of the one before.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Seconds since 1970, and their date and time.
    second: u64,
    text: String,
}

impl Lines {
    /// Adds a record's line. What is not known is `null`; `code`, `reason`, `not_retried` and `headers` are left out
    /// where there is nothing to say. No byte of a request can end a string or a line.
    pub(super) fn add(&mut self, out: &mut Vec<u8>, record: &Record, fields: &[HeaderName]) {
        let text = |field| record.text.find(field);
        out.reserve(USUAL_BYTES);
        let mut line = Object::open(out);
        line.raw("ts", |out| self.timestamp(out, record.unix_millis));
        line.text("request_id", text(Field::RequestId));
        line.raw("client", |out| {
            out.push(b'"');
            out.extend_from_slice(&net::text(record.client));
            out.push(b'"');
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

    /// A quoted time, such as `"2026-01-31T12:00:00.123Z"`.
    fn timestamp(&mut self, out: &mut Vec<u8>, unix_millis: u64) {
        let (second, millis) = (unix_millis / 1_000, unix_millis % 1_000);
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = timestamp(second * 1_000).to_string();
            self.text
                .truncate(self.text.len().saturating_sub(".000Z".len()));
        }
        let digit = |number: u64| b'0' + (number % 10) as u8;
        out.push(b'"');
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(&[
            b'.',
            digit(millis / 100),
            digit(millis / 10),
            digit(millis),
            b'Z',
            b'"',
        ]);
    }
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
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
        value(self.out);
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        self.raw(name, |out| string(out, value));
    }

    fn number(&mut self, name: &str, value: u64) {
        let mut digits = itoa::Buffer::new();
        self.raw(name, |out| {
            out.extend_from_slice(digits.format(value).as_bytes())
        });
    }

    fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }
}

fn string(out: &mut Vec<u8>, value: Option<&str>) {
    let Some(value) = value else {
        out.extend_from_slice(b"null");
        return;
    };
    // RFC 8259 §7: all else may stand in a string as it is. Without an early end, so that many bytes are looked at
    // at once.
    let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    if value
        .as_bytes()
        .iter()
        .fold(false, |found, byte| found | special(byte))
    {
        // Writing to memory can't fail.
        let _ = serde_json::to_writer(out, value);
    } else {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
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

/// Of a line without long paths or names.
const USUAL_BYTES: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_string_is_written_as_the_library_writes_it(value in r#"([ -~]|["\\\x00-\x1f\x7f]|\PC){0,40}"#) {
            let mut out = Vec::new();
            string(&mut out, Some(&value));
            assert_eq!(out, serde_json::to_vec(&value).unwrap());
        }

        #[test]
        fn times_are_told_in_any_order(times in proptest::collection::vec(0..4_102_444_800_000_u64, 1..9)) {
            let mut lines = Lines::default();
            for millis in times.iter().flat_map(|time| [*time, time + 1, time + 999]) {
                let mut out = Vec::new();
                lines.timestamp(&mut out, millis);
                assert_eq!(out, format!("\"{}\"", timestamp(millis)).as_bytes());
            }
        }
    }
}
