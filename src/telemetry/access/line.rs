//! A record as one line of JSON.

use http::HeaderName;

use super::record::{Field, Record};
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
        let said = |field| record.text.find(field);
        out.reserve(USUAL_BYTES);
        out.extend_from_slice(b"{\"ts\":");
        self.timestamp(out, record.unix_millis);
        text(out, key!("request_id"), said(Field::RequestId));
        out.extend_from_slice(key!("client"));
        out.push(b'"');
        out.extend_from_slice(&net::text(record.client));
        out.push(b'"');
        text(out, key!("method"), said(Field::Method));
        text(out, key!("host"), said(Field::Host));
        text(out, key!("path"), said(Field::Path));
        text(out, key!("route"), record.route.as_deref());
        number(out, key!("status"), record.status.into());
        number(out, key!("duration_us"), record.duration_us);
        number(out, key!("gateway_us"), record.gateway_us());
        text(out, key!("upstream"), record.upstream.as_deref());
        text(out, key!("server"), record.server.as_deref());
        number(out, key!("attempts"), record.attempts.into());
        number(out, key!("upstream_us"), record.upstream_us);
        number(out, key!("bytes_in"), record.bytes_in);
        number(out, key!("bytes_out"), record.bytes_out);
        text(out, key!("protocol"), Some(record.protocol));
        text(out, key!("tls"), said(Field::Tls));
        text(out, key!("user"), said(Field::User));
        out.extend_from_slice(key!("roles"));
        list(out, record.text.roles());
        text(out, key!("limit"), record.limit.as_deref());
        text(out, key!("decision"), record.decision);
        text(out, key!("trace_id"), said(Field::TraceId));
        text(out, key!("user_agent"), said(Field::UserAgent));
        for (key, value) in [
            (key!("code"), record.code),
            (key!("reason"), record.reason),
            (key!("not_retried"), record.not_retried),
        ] {
            if value.is_some() {
                text(out, key, value);
            }
        }
        if !fields.is_empty() {
            out.extend_from_slice(key!("headers"));
            headers(out, fields, record);
        }
        out.extend_from_slice(b"}\n");
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

fn text(out: &mut Vec<u8>, key: &[u8], value: Option<&str>) {
    out.extend_from_slice(key);
    match value {
        Some(value) => string(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn number(out: &mut Vec<u8>, key: &[u8], value: u64) {
    out.extend_from_slice(key);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// An object of those that the log is to hold; a header's name needs no escaping.
fn headers(out: &mut Vec<u8>, fields: &[HeaderName], record: &Record) {
    let mut separator = b'{';
    for (name, value) in fields.iter().zip(record.text.headers()) {
        out.extend_from_slice(&[separator, b'"']);
        out.extend_from_slice(name.as_str().as_bytes());
        text(out, b"\":", value);
        separator = b',';
    }
    out.push(b'}');
}

fn string(out: &mut Vec<u8>, value: &str) {
    if needs_escaping(value.as_bytes()) {
        // Writing to memory can't fail.
        let _ = serde_json::to_writer(out, value);
    } else {
        out.push(b'"');
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
}

/// Is there a byte that may not stand in a string as it is (RFC 8259 §7): a control character, `"` or `\`? Eight are
/// looked at at once, each in its own byte of a word.
fn needs_escaping(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    // The highest bit of each byte that is below a number of up to 128 (and of some above one that is).
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & (ONES * 0x80);
    let is_special = |word: u64| {
        let quotes = below(word ^ (ONES * u64::from(b'"')), 1);
        let slashes = below(word ^ (ONES * u64::from(b'\\')), 1);
        (below(word, u64::from(b' ')) | quotes | slashes) != 0
    };
    let (words, rest) = text.as_chunks();
    let mut last = [b' '; 8];
    if let Some(place) = last.get_mut(..rest.len()) {
        place.copy_from_slice(rest);
    }
    words
        .iter()
        .chain([&last])
        .any(|word| is_special(u64::from_ne_bytes(*word)))
}

fn list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(out, item);
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
            string(&mut out, &value);
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
