//! What the phases of one request hand to each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use smallvec::SmallVec;
use tokio::time::Instant;

use super::alarm::{Alarm, Bound};
use super::line::{Line, Phase};
use super::rare::Rare;
use super::slow::Window;
use super::spans::{self, Recording};
use super::traffic::InFlight;
use super::trailers::Passage;
use crate::base::id::RequestId;
use crate::base::net::{self, Client};
use crate::base::reply::Refusal;
use crate::base::trace::TraceContext;
use crate::plan::{Plan, Route};
use crate::policy::Findings;
use crate::policy::compress::Encoder;
use crate::telemetry::metrics::RouteMeters;
use crate::upstream::{Cluster, Gate, Lease, Link, NoLease, Ticket};

/// One request. It keeps the plan that it began with until it ends.
pub struct Context {
    pub plan: Arc<Plan>,
    pub started: Instant,
    /// The same in milliseconds since 1970, where a route was found.
    pub came: Option<u64>,
    /// What its head may have.
    pub rare: Rare,
    pub id: Id,
    pub trace: Option<TraceContext>,
    /// The `tracestate` that upstreams get.
    pub state: Option<HeaderValue>,
    /// Where its spans are wanted.
    pub recording: Option<Recording>,
    pub client: Client,
    pub route: Option<u32>,
    /// The path as it was matched, where that is not how the client wrote it.
    pub normalised: Option<String>,
    pub findings: Findings,
    pub cluster: Option<Arc<Cluster>>,
    /// The request's place in the upstream, until it is over.
    pub ticket: Option<Ticket>,
    /// The caller as a number, where the balance goes by it.
    pub key: u64,
    pub lease: Option<Lease>,
    /// Where attempts failed.
    pub tried: SmallVec<[SocketAddr; 2]>,
    pub alarm: Alarm,
    /// When all attempts must be over, and by which bound; known once the pipeline has let it through.
    pub deadline: Option<(Instant, Bound)>,
    /// The client's connection, where no other request shares it.
    pub line: Option<Arc<Line>>,
    /// In which a part of the body must come, where the bytes of the connection don't tell.
    pub window: Option<Window>,
    /// How far the present attempt is.
    pub stage: Stage,
    /// Did the server answer that it can't?
    pub failed: bool,
    /// What the request ran out of.
    pub bound: Option<Bound>,
    pub no_lease: Option<NoLease>,
    /// Attempts that met a connection which the server had closed before.
    pub stale: u32,
    /// Why there was no further attempt, where there might have been.
    pub not_retried: Option<&'static str>,
    /// The client asks for a WebSocket.
    pub asks_for_tunnel: bool,
    /// Where the attempt's connection is for one.
    pub gate: Option<Arc<Gate>>,
    /// What of trailers may pass, and the attempt's connection where they are looked for.
    pub passage: Passage,
    pub link: Option<Arc<Link>>,
    /// Was the attempt's connection used before? Pingora does not know it of those that are not from its own pool.
    pub is_reused: bool,
    /// The server of the last attempt.
    pub server: Option<SocketAddr>,
    pub attempts: u32,
    /// Interim answers of servers so far (RFC 9110 §15.2).
    pub interims: u32,
    /// When the last attempt began, and how long all of them took.
    pub attempt: Option<Instant>,
    pub upstream_time: Duration,
    /// Compresses the answer's body.
    pub encoder: Option<Encoder>,
    /// Bytes of the request's body so far.
    pub body_bytes: u64,
    /// The connection speaks another protocol now, such as WebSocket, until it ends.
    pub upgraded: bool,
    /// What we answered instead of the upstream, and why.
    pub refusal: Option<Refusal>,
    pub reason: &'static str,
    _in_flight: InFlight,
}

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The rest of the request, from the client.
    Sending,
    /// The answer's head.
    Sent,
    /// The rest of the answer.
    Answered,
    /// Either side, after a switch of protocols.
    Tunnel,
}

/// A request's id: made here, or brought by a trusted proxy.
pub enum Id {
    Made(RequestId),
    Brought(HeaderValue),
}

impl Context {
    pub fn new(plan: Arc<Plan>, in_flight: InFlight) -> Self {
        Self {
            line: None,
            window: None,
            plan,
            started: Instant::now(),
            came: None,
            rare: Rare::ANY,
            id: Id::Made(RequestId::random()),
            trace: None,
            state: None,
            recording: None,
            client: Client {
                address: net::UNKNOWN,
                via_trusted_proxy: false,
            },
            route: None,
            normalised: None,
            findings: Findings::default(),
            cluster: None,
            ticket: None,
            key: 0,
            lease: None,
            tried: SmallVec::new(),
            alarm: Alarm::current(),
            deadline: None,
            stage: Stage::Sending,
            failed: false,
            bound: None,
            no_lease: None,
            stale: 0,
            not_retried: None,
            asks_for_tunnel: false,
            gate: None,
            passage: Passage::default(),
            link: None,
            is_reused: false,
            server: None,
            attempts: 0,
            interims: 0,
            attempt: None,
            upstream_time: Duration::ZERO,
            encoder: None,
            body_bytes: 0,
            upgraded: false,
            refusal: None,
            reason: "",
            _in_flight: in_flight,
        }
    }

    /// The request came by this connection, and has it for itself.
    pub fn came_by(&mut self, line: Arc<Line>) {
        line.set(Phase::Body);
        self.alarm = line.alarm.clone();
        self.line = Some(line);
    }

    /// The route is found: from now on the request is one of its own.
    pub fn enter(&mut self, route: u32) {
        self.route = Some(route);
        self.meters().in_flight.add(1);
    }

    /// The counters of the request's route, or those of none.
    pub fn meters(&self) -> &RouteMeters {
        match self.route() {
            Some(route) => &route.meters,
            None => &self.plan.unrouted_meters,
        }
    }

    pub fn route(&self) -> Option<&Route> {
        self.route.and_then(|index| self.plan.route(index))
    }

    /// The attempt that is going on is over by `now`: its server is free again.
    pub fn end_attempt(&mut self, now: Instant) {
        self.alarm.off();
        spans::end(self);
        if let Some(began) = self.attempt.take() {
            self.upstream_time += now.saturating_duration_since(began);
        }
        self.lease = None;
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if self.route.is_some() {
            self.meters().in_flight.add(-1);
        }
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
