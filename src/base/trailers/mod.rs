//! The fields behind a body in chunks (RFC 9112 §7.1.2): what they are, how they are read and written. Which of them
//! may pass is for others to say.

mod follower;
mod tail;

pub use follower::{Follower, Kind};
pub use tail::Tail;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(Vec<(HeaderName, HeaderValue)>);

/// They are not as RFC 9112 §5 has it, or there are too many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the trailers are malformed, or too many")]
pub struct Malformed;

/// What there was behind a body.
pub type Found = Result<Trailers, Malformed>;

impl Trailers {
    /// Reads the lines of a trailer section, each with its end, without the empty one. No line may go on in the next
    /// (RFC 9112 §5.2).
    pub fn read(section: &[u8]) -> Found {
        let mut fields = Vec::new();
        let mut rest = section;
        while !rest.is_empty() {
            let end = rest.windows(2).position(|two| two == b"\r\n");
            let (line, more) = rest.split_at(end.ok_or(Malformed)?);
            rest = more.get(2..).unwrap_or_default();
            let colon = line.iter().position(|byte| *byte == b':');
            let (name, value) = line.split_at(colon.ok_or(Malformed)?);
            let name = HeaderName::from_bytes(name).map_err(|_| Malformed)?;
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            let value = HeaderValue::from_bytes(value).map_err(|_| Malformed)?;
            fields.push((name, value));
            if fields.len() > MOST_FIELDS {
                return Err(Malformed);
            }
        }
        Ok(Self(fields))
    }

    /// Those that may pass.
    pub fn only(mut self, may_pass: impl Fn(&HeaderName) -> bool) -> Self {
        self.0.retain(|(name, _)| may_pass(name));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The end of a body in chunks with these fields in it (RFC 9112 §7.1).
    pub fn end(&self) -> Bytes {
        let lines = self.0.iter();
        let length: usize = lines
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum();
        let mut end = Vec::with_capacity(length + 5);
        end.extend_from_slice(b"0\r\n");
        for (name, value) in &self.0 {
            end.extend_from_slice(name.as_str().as_bytes());
            end.extend_from_slice(b": ");
            end.extend_from_slice(value.as_bytes());
            end.extend_from_slice(b"\r\n");
        }
        end.extend_from_slice(b"\r\n");
        end.into()
    }
}

impl From<&HeaderMap> for Trailers {
    fn from(map: &HeaderMap) -> Self {
        let fields = map.iter();
        Self(
            fields
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }
}

/// Fields of a message; a head may have more.
const MOST_FIELDS: usize = 64;
/// Bytes of a message's trailers.
const MOST_BYTES: usize = 8 << 10;

#[cfg(test)]
mod tests;
