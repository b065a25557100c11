//! What is known of a request whose spans are exported. Names from the configuration are shared; what the request
//! brought is copied, bounded. Nothing here holds a query, a token or a header's value.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method};

use crate::base::trace::TraceContext;

/// A request, done: one span of its own and one for each attempt.
#[derive(Debug, Clone)]
pub struct Request {
    pub trace: TraceContext,
    /// Bounded by `base::trace_state`.
    pub state: Option<HeaderValue>,
    /// When it was over, in nanoseconds since 1970.
    pub ended: u64,
    pub took: Duration,
    pub method: Method,
    /// As the client sent it, without the query.
    pub path: Text,
    pub tls: bool,
    /// As the client named it, port and all.
    pub host: Text,
    pub client: IpAddr,
    /// Such as `1.1`.
    pub protocol: &'static str,
    /// The route's name and its pattern.
    pub route: Option<(Arc<str>, Arc<str>)>,
    /// Zero where no answer was sent.
    pub status: u16,
    /// The code of a refusal, and the status that belongs to it.
    pub refusal: Option<(&'static str, u16)>,
    /// Why there was a refusal, or why the answer broke off.
    pub reason: Option<&'static str>,
    /// The answer did not come whole, and the client was there to take it.
    pub broken: bool,
    pub limit: Option<Limited>,
    pub upstream: Option<Arc<str>>,
    /// The path that upstreams got, where it is another one.
    pub rewritten: Option<Text>,
    pub attempts: Vec<Attempt>,
}

/// The limit that was nearest to a refusal, and its word.
#[derive(Debug, Clone)]
pub struct Limited {
    pub name: Arc<str>,
    pub decision: &'static str,
}

/// One request to a server.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub span: u64,
    /// Since the request's start.
    pub begun: Duration,
    /// `None` while it goes on.
    pub took: Option<Duration>,
    pub peer: SocketAddr,
    /// The server as the configuration names it, without the port.
    pub server: Arc<str>,
    pub tls: bool,
    /// Zero where none came.
    pub status: u16,
    /// What went wrong besides the status.
    pub error: Option<&'static str>,
}

/// A text that a request brought, at most `MOST` bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Box<str>);

impl Request {
    /// How many spans it is.
    pub(super) fn spans(&self) -> u64 {
        1 + self.attempts.len() as u64
    }
}

impl Text {
    pub fn new(text: &str) -> Self {
        let mut end = text.len().min(MOST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(text.get(..end).unwrap_or_default().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const MOST: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_brings_is_bounded() {
        assert_eq!(Text::new("/ä").as_str(), "/ä");
        let long = format!("x{}", "ä".repeat(5_000));
        assert_eq!(Text::new(&long).as_str().len(), MOST - 1);
    }
}
