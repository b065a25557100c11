//! A record as one line of JSON.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;

use super::record::{Field, Record};
use crate::base::json::needs_escaping;
use crate::base::net;
use crate::telemetry::timestamp;

/// A key behind another one, as it stands in the line. Nothing in our names needs escaping, or the time to put quotes
/// around them for each request.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":").as_bytes()
    };
}

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
        out.reserve(USUAL_BYTES);
        out.extend_from_slice(b"{\"ts\":");
        self.timestamp(out, record.unix_millis);
        Line {
            is_plain: !needs_escaping(record.text.whole().as_bytes()),
            out,
        }
        .add(record, fields);
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

/// A line on its way.
struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// No string of the record needs escaping, as a rule: they are looked at all together.
    is_plain: bool,
}

impl Line<'_> {
    /// All that is behind the time.
    fn add(&mut self, record: &Record, fields: &[HeaderName]) {
        let said = |field| record.text.find(field);
        self.text(key!("request_id"), said(Field::RequestId));
        self.raw(key!("client"));
        self.quoted(&net::text(record.client));
        self.text(key!("method"), said(Field::Method));
        self.text(key!("host"), said(Field::Host));
        self.text(key!("path"), said(Field::Path));
        self.text(key!("route"), said(Field::Route));
        self.number(key!("status"), record.status.into());
        self.number(key!("duration_us"), record.duration_us);
        self.number(key!("gateway_us"), record.gateway_us());
        self.text(key!("upstream"), said(Field::Upstream));
        self.raw(key!("server"));
        self.server(record.server);
        self.number(key!("attempts"), record.attempts.into());
        self.number(key!("upstream_us"), record.upstream_us);
        self.number(key!("bytes_in"), record.bytes_in);
        self.number(key!("bytes_out"), record.bytes_out);
        self.word(key!("protocol"), Some(record.protocol));
        self.text(key!("tls"), said(Field::Tls));
        self.text(key!("user"), said(Field::User));
        self.raw(key!("roles"));
        self.list(record.text.roles());
        self.text(key!("limit"), said(Field::Limit));
        self.word(key!("decision"), record.decision);
        self.text(key!("trace_id"), said(Field::TraceId));
        self.text(key!("user_agent"), said(Field::UserAgent));
        for (key, value) in [
            (key!("code"), record.code),
            (key!("reason"), record.reason),
            (key!("not_retried"), record.not_retried),
        ] {
            if value.is_some() {
                self.word(key, value);
            }
        }
        if !fields.is_empty() {
            self.raw(key!("headers"));
            self.headers(fields, record);
        }
        self.raw(b"}\n");
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn text(&mut self, key: &[u8], value: Option<&str>) {
        self.raw(key);
        match value {
            Some(value) => self.string(value),
            None => self.raw(b"null"),
        }
    }

    /// One of our own words, none of which needs escaping.
    fn word(&mut self, key: &[u8], value: Option<&'static str>) {
        self.raw(key);
        match value {
            Some(value) => self.quoted(value.as_bytes()),
            None => self.raw(b"null"),
        }
    }

    fn number(&mut self, key: &[u8], value: u64) {
        self.raw(key);
        self.raw(itoa::Buffer::new().format(value).as_bytes());
    }

    /// An address and a port.
    fn server(&mut self, server: Option<SocketAddr>) {
        match server {
            Some(SocketAddr::V4(four)) => {
                self.out.push(b'"');
                self.raw(&net::text(IpAddr::V4(*four.ip())));
                self.number(b":", four.port().into());
                self.out.push(b'"');
            }
            Some(six) => self.quoted(six.to_string().as_bytes()),
            None => self.raw(b"null"),
        }
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = &'a str>) {
        self.out.push(b'[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.string(item);
        }
        self.out.push(b']');
    }

    /// An object of those that the log is to hold; a header's name needs no escaping.
    fn headers(&mut self, fields: &[HeaderName], record: &Record) {
        let mut separator = b'{';
        for (name, value) in fields.iter().zip(record.text.headers()) {
            self.raw(&[separator, b'"']);
            self.raw(name.as_str().as_bytes());
            self.text(b"\":", value);
            separator = b',';
        }
        self.out.push(b'}');
    }

    fn string(&mut self, value: &str) {
        match self.is_plain {
            true => self.quoted(value.as_bytes()),
            // Writing to memory can't fail.
            false => drop(serde_json::to_writer(&mut *self.out, value)),
        }
    }

    fn quoted(&mut self, value: &[u8]) {
        self.out.push(b'"');
        self.raw(value);
        self.out.push(b'"');
    }
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
            let is_plain = !needs_escaping(value.as_bytes());
            Line { out: &mut out, is_plain }.string(&value);
            assert_eq!(out, serde_json::to_vec(&value).unwrap());
        }

        #[test]
        fn a_server_is_written_as_its_address_is(four: [u8; 4], six: [u16; 8], port: u16) {
            for address in [SocketAddr::from((four, port)), SocketAddr::from((six, port))] {
                let mut out = Vec::new();
                Line { out: &mut out, is_plain: true }.server(Some(address));
                assert_eq!(out, format!("\"{address}\"").as_bytes());
            }
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
