//! What the phases of one request hand to each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;

use super::traffic::InFlight;
use crate::base::id::{RequestId, TraceParent};
use crate::base::net::{self, Client};
use crate::base::reply::Refusal;
use crate::plan::{Plan, Route};
use crate::policy::Findings;
use crate::policy::compress::Encoder;
use crate::upstream::{Cluster, Gate, Lease};

/// One request. It keeps the plan that it began with until it ends.
pub struct Context {
    pub plan: Arc<Plan>,
    pub started: Instant,
    pub id: Id,
    pub trace: Option<TraceParent>,
    pub client: Client,
    pub route: Option<u32>,
    /// The path as it was matched, where that is not how the client wrote it.
    pub normalised: Option<String>,
    pub findings: Findings,
    pub cluster: Option<Arc<Cluster>>,
    pub lease: Option<Lease>,
    /// The client asks for a WebSocket.
    pub asks_for_tunnel: bool,
    /// Where the attempt's connection is for one.
    pub gate: Option<Arc<Gate>>,
    /// The server of the last attempt.
    pub server: Option<Arc<str>>,
    pub attempts: u32,
    /// When the last attempt began, and how long all of them took.
    pub attempt: Option<Instant>,
    pub upstream_time: Duration,
    /// Compresses the answer's body.
    pub encoder: Option<Encoder>,
    /// Bytes of the request's body so far.
    pub body_bytes: u64,
    /// What we answered instead of the upstream, and why.
    pub refusal: Option<Refusal>,
    pub reason: &'static str,
    _in_flight: InFlight,
}

/// A request's id: made here, or brought by a trusted proxy.
pub enum Id {
    Made(RequestId),
    Brought(HeaderValue),
}

impl Context {
    pub fn new(plan: Arc<Plan>, in_flight: InFlight) -> Self {
        Self {
            plan,
            started: Instant::now(),
            id: Id::Made(RequestId::random()),
            trace: None,
            client: Client {
                address: net::UNKNOWN,
                via_trusted_proxy: false,
            },
            route: None,
            normalised: None,
            findings: Findings::default(),
            cluster: None,
            lease: None,
            asks_for_tunnel: false,
            gate: None,
            server: None,
            attempts: 0,
            attempt: None,
            upstream_time: Duration::ZERO,
            encoder: None,
            body_bytes: 0,
            refusal: None,
            reason: "",
            _in_flight: in_flight,
        }
    }

    pub fn route(&self) -> Option<&Route> {
        self.route.and_then(|index| self.plan.route(index))
    }

    /// The attempt that is going on is over: its server is free again.
    pub fn end_attempt(&mut self) {
        if let Some(began) = self.attempt.take() {
            self.upstream_time += began.elapsed();
        }
        self.lease = None;
    }
}

impl Id {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Made(id) => id.as_str(),
            // Invariant: only visible ASCII is kept.
            Self::Brought(value) => value.to_str().unwrap_or_default(),
        }
    }

    /// Keeps a trusted proxy's id where it is fit for logs and headers.
    pub fn brought(value: &HeaderValue) -> Option<Self> {
        let fits =
            (1..=128).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic);
        fits.then(|| Self::Brought(value.clone()))
    }
}
