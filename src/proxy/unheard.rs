//! Requests that no phase of the proxy hears of: heads that are no HTTP, too long or too slow, `CONNECT`, and those
//! that a panic ended. They are counted, logged and answered all the same.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use pingora::http::ResponseHeader;
use pingora::protocols::http::date::get_cached_date;

use crate::base::clock::Clock;
use crate::base::id::RequestId;
use crate::base::reply::{PROBLEM_JSON, Refusal};
use crate::plan::Plan;
use crate::route::method::MethodSet;
use crate::telemetry::access::{AccessLog, Field, Record, Text};

/// One such request.
#[derive(Debug, Clone, Copy)]
pub struct Unheard {
    pub id: RequestId,
    /// `None` where nobody was left to answer.
    pub refusal: Option<Refusal>,
    /// One word for the log.
    pub reason: &'static str,
    /// Since its head began, as far as it was timed.
    pub took: Duration,
}

/// Where they are written down.
pub struct Ledger {
    plan: Arc<ArcSwap<Plan>>,
    access_log: Arc<AccessLog>,
    clock: Clock,
}

impl Unheard {
    pub fn new(refusal: Option<Refusal>, reason: &'static str) -> Self {
        Self {
            id: RequestId::random(),
            refusal,
            reason,
            took: Duration::ZERO,
        }
    }

    /// Zero where none was sent.
    pub fn status(&self) -> u16 {
        self.refusal.map_or(0, Refusal::status)
    }

    /// The answer as bytes of HTTP/1.1; the connection ends with it.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let refusal = self.refusal?;
        let body = refusal.body(self.id.as_str(), None);
        let status = StatusCode::from_u16(refusal.status()).unwrap_or_default();
        let reason = status.canonical_reason().unwrap_or("Refused");
        let date = get_cached_date();
        let date = date.to_str().unwrap_or_default();
        let more = match refusal {
            Refusal::MethodNotAllowed => format!("Allow: {}\r\n", MethodSet::ANY),
            Refusal::Overloaded => "Retry-After: 1\r\n".to_owned(),
            _ => String::new(),
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {PROBLEM_JSON}\r\nCache-Control: no-store\r\n{more}Content-Length: {}\r\nDate: {date}\r\nConnection: close\r\n\r\n",
            refusal.status(),
            body.len(),
        );
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&body);
        Some(bytes)
    }

    /// The same as a head and a body, for a stream of HTTP/2. Errors: it was never answered.
    pub fn answer(&self) -> pingora::Result<(Box<ResponseHeader>, Vec<u8>)> {
        let refusal = self.refusal.unwrap_or(Refusal::BadRequest);
        let body = refusal.body(self.id.as_str(), None);
        let mut head = ResponseHeader::build(refusal.status(), Some(4))?;
        head.insert_header(http::header::CONTENT_TYPE, PROBLEM_JSON)?;
        head.insert_header(http::header::CACHE_CONTROL, "no-store")?;
        head.insert_header(http::header::CONTENT_LENGTH, body.len())?;
        if refusal == Refusal::MethodNotAllowed {
            head.insert_header(http::header::ALLOW, MethodSet::ANY.to_string())?;
        }
        Ok((Box::new(head), body))
    }
}

impl Ledger {
    pub fn new(plan: Arc<ArcSwap<Plan>>, access_log: Arc<AccessLog>, clock: Clock) -> Self {
        Self {
            plan,
            access_log,
            clock,
        }
    }

    /// Counts and logs one, under the route that has no name.
    pub fn note(&self, unheard: &Unheard, client: IpAddr, protocol: &'static str) {
        let plan = self.plan.load();
        let took = unheard.took;
        plan.unrouted_meters.count(unheard.status(), took, took);
        if !self.access_log.wants(unheard.id.as_str()) {
            return;
        }
        let mut text = Text::new();
        text.set(Field::RequestId, unheard.id.as_str());
        for _ in self.access_log.fields() {
            text.push_header(None);
        }
        self.access_log.log(Box::new(Record {
            unix_millis: self
                .clock
                .unix_millis()
                .saturating_sub(took.as_millis() as u64),
            client,
            status: unheard.status(),
            duration_us: took.as_micros() as u64,
            server: None,
            attempts: 0,
            upstream_us: 0,
            bytes_in: 0,
            bytes_out: 0,
            protocol,
            decision: None,
            code: unheard.refusal.map(Refusal::code),
            reason: Some(unheard.reason),
            not_retried: None,
            text,
        }));
    }
}
