//! What is logged of one request. Its strings are copied into one allocation, what the request brought bounded: shared
//! ones would be counted up by the request's thread and down by the log's, for each request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// One request, done.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it came in, in milliseconds since 1970.
    pub unix_millis: u64,
    pub client: IpAddr,
    /// Zero where no answer was sent.
    pub status: u16,
    /// From the request's head to the end of the answer, in microseconds.
    pub duration_us: u64,
    /// The server of the last attempt.
    pub server: Option<SocketAddr>,
    /// How many times an upstream was tried.
    pub attempts: u32,
    /// The part of the duration spent waiting for upstreams, in microseconds.
    pub upstream_us: u64,
    /// Bytes of the request's body and of the answer's.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Such as `HTTP/1.1`.
    pub protocol: &'static str,
    /// What the limit decided that was nearest to a refusal.
    pub decision: Option<&'static str>,
    /// The code of a refusal, and its reason where there are several.
    pub code: Option<&'static str>,
    pub reason: Option<&'static str>,
    /// Why a failed attempt was the last one, where retries are configured.
    pub not_retried: Option<&'static str>,
    pub text: Text,
}

/// The strings of a record.
#[derive(Debug, Clone, Default)]
pub struct Text {
    buffer: String,
    spans: [Option<Span>; Field::COUNT],
    headers: Vec<Option<Span>>,
}

/// A string of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    RequestId,
    Method,
    Host,
    /// As the client sent it; the query is left out.
    Path,
    /// The version of TLS.
    Tls,
    User,
    /// Set by `set_roles`.
    Roles,
    TraceId,
    UserAgent,
    Route,
    Upstream,
    /// The limit that was nearest to a refusal.
    Limit,
}

type Span = Range<u32>;

impl Record {
    /// Time spent in the gateway itself: all that was not waiting for an upstream.
    pub(super) fn gateway_us(&self) -> u64 {
        self.duration_us.saturating_sub(self.upstream_us)
    }
}

impl Text {
    /// Room for a usual request's strings.
    pub fn new() -> Self {
        Self {
            buffer: String::with_capacity(USUAL_BYTES),
            ..Self::default()
        }
    }

    /// Sets a field; what is longer than its bound is cut off, and a path's query with it.
    pub fn set(&mut self, field: Field, value: &str) {
        let value = match field {
            Field::Path => value.split('?').next().unwrap_or_default(),
            _ => value,
        };
        let start = self.buffer.len() as u32;
        self.buffer.push_str(
            value
                .get(..value.floor_char_boundary(field.bound()))
                .unwrap_or_default(),
        );
        self.put(field, start..self.buffer.len() as u32);
    }

    /// Sets a field to what may be no text; bytes that are not UTF-8 become `U+FFFD`.
    pub fn set_bytes(&mut self, field: Field, value: &[u8]) {
        let span = self.push(value, field.bound());
        self.put(field, span);
    }

    /// Sets the caller's roles, all together as long as a field may be.
    pub fn set_roles<'a>(&mut self, roles: impl IntoIterator<Item = &'a str>) {
        let start = self.buffer.len();
        for (index, role) in roles.into_iter().enumerate() {
            let used = self.buffer.len() - start;
            if used + role.len() >= Field::Roles.bound() {
                break;
            }
            if index > 0 {
                self.buffer.push(SEPARATOR);
            }
            self.buffer.extend(role.split(SEPARATOR));
        }
        let span = start as u32..self.buffer.len() as u32;
        self.put(Field::Roles, span);
    }

    /// Adds the value of the next header that the log is configured to hold.
    pub fn push_header(&mut self, value: Option<&[u8]>) {
        let span = value.map(|value| self.push(value, HEADER_BYTES));
        self.headers.push(span);
    }

    /// All of its strings, one behind the other.
    pub(super) fn whole(&self) -> &str {
        &self.buffer
    }

    pub(super) fn find(&self, field: Field) -> Option<&str> {
        let span = self.spans.get(field as usize)?.as_ref()?;
        self.at(span)
    }

    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        let all = self.find(Field::Roles).filter(|all| !all.is_empty());
        all.into_iter().flat_map(|all| all.split(SEPARATOR))
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = Option<&str>> {
        let at = |span: &Option<Span>| span.as_ref().and_then(|span| self.at(span));
        self.headers.iter().map(at)
    }

    fn put(&mut self, field: Field, span: Span) {
        if let Some(place) = self.spans.get_mut(field as usize) {
            *place = Some(span);
        }
    }

    fn push(&mut self, value: &[u8], bound: usize) -> Span {
        let start = self.buffer.len() as u32;
        let cut = value.get(..bound).unwrap_or(value);
        // As a rule.
        if let Ok(text) = str::from_utf8(cut) {
            self.buffer.push_str(text);
            return start..self.buffer.len() as u32;
        }
        let mut text = String::from_utf8_lossy(cut);
        // A character that the cut went through.
        if cut.len() < value.len() && text.ends_with(char::REPLACEMENT_CHARACTER) {
            text = Cow::Owned(
                text.trim_end_matches(char::REPLACEMENT_CHARACTER)
                    .to_owned(),
            );
        }
        self.buffer.push_str(&text);
        start..self.buffer.len() as u32
    }

    fn at(&self, span: &Span) -> Option<&str> {
        self.buffer.get(span.start as usize..span.end as usize)
    }
}

impl Field {
    const COUNT: usize = Self::Limit as usize + 1;

    /// Bytes of a value that are kept.
    fn bound(self) -> usize {
        match self {
            Self::Path => 2_048,
            Self::Method | Self::Tls => 32,
            Self::RequestId | Self::TraceId => 128,
            Self::Host | Self::User | Self::Roles | Self::UserAgent => 256,
            // As long as the configuration has them.
            Self::Route | Self::Upstream | Self::Limit => usize::MAX,
        }
    }
}

const USUAL_BYTES: usize = 384;
const HEADER_BYTES: usize = 256;
/// Between roles: a control character that no role's name holds, and that JSON takes as it is (RFC 8259 §7).
const SEPARATOR: char = '\u{7f}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_brings_is_bounded() {
        let mut text = Text::new();
        text.set(Field::Path, &"/ä".repeat(5_000));
        text.set_bytes(
            Field::UserAgent,
            &[b"x".repeat(300), b"\xff".to_vec()].concat(),
        );
        text.set(Field::Host, &format!("{}ä", "h".repeat(255)));
        text.set_roles(["r"; 1_000]);
        text.push_header(Some(&b"v".repeat(1_000)));
        let length = |field| text.find(field).unwrap().len();
        assert!((2_045..=2_048).contains(&length(Field::Path)));
        assert_eq!(length(Field::UserAgent), 256);
        assert_eq!(length(Field::Host), 255);
        assert!(length(Field::Roles) <= 256);
        assert_eq!(text.headers().next().unwrap().unwrap().len(), 256);
        assert!(text.buffer.len() < 3_200);
    }

    #[test]
    fn a_path_is_kept_without_its_query() {
        let mut text = Text::new();
        text.set(Field::Path, "/a/b?token=secret");
        assert_eq!(text.find(Field::Path), Some("/a/b"));
    }

    #[test]
    fn a_usual_request_takes_one_allocation() {
        let mut text = Text::new();
        let before = (text.buffer.as_ptr(), text.buffer.capacity());
        text.set(Field::RequestId, "0123456789abcdef0123456789abcdef");
        text.set(Field::Method, "GET");
        text.set(Field::Host, "api.example.com");
        text.set(Field::Path, "/flights/7");
        text.set(Field::UserAgent, &"x".repeat(120));
        text.set(Field::TraceId, "4bf92f3577b34da6a3ce929d0e0e4736");
        text.set_roles(["customer", "admin"]);
        assert_eq!((text.buffer.as_ptr(), text.buffer.capacity()), before);
        assert_eq!(text.roles().collect::<Vec<_>>(), ["customer", "admin"]);
    }
}
