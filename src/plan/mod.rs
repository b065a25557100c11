//! A configuration made ready to serve: immutable, and swapped whole.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::base::networks::Networks;
use crate::base::yaml::Place;
use crate::limit::Limit;
use crate::policy::Pipeline;
use crate::route::Router;
use crate::telemetry::metrics::RouteMeters;
use crate::telemetry::tracing::Tracer;
use crate::token;
use crate::upstream::Cluster;

mod compile;
mod kept;
mod rule;
mod shared;
mod stand_in;
mod target;

pub use compile::compile;
pub use shared::Shared;
pub use stand_in::{NoCredential, Persona, StandIns, Unjudged};
pub use target::{Forward, Redirect, Target};

/// Everything that a request needs.
#[derive(Debug)]
pub struct Plan {
    pub edge: Edge,
    pub router: Router,
    /// In the file's order; the router knows them by their index.
    pub routes: Vec<Route>,
    /// All upstreams, those without a route too.
    pub clusters: Vec<Arc<Cluster>>,
    /// The issuers besides the built-in one, and where their keys come from.
    pub issuers: Vec<token::Kept>,
    /// How long a graceful stop may take.
    pub drain: Duration,
    kept: kept::Kept,
    places: Places,
    /// What answers get where no route was found: the defaults' `cors` and `response_headers`.
    pub unrouted: Option<Pipeline>,
    /// What is counted where no route was found.
    pub unrouted_meters: Arc<RouteMeters>,
    pub tracer: Tracer,
}

/// What holds before a route is known.
#[derive(Debug)]
pub struct Edge {
    pub trusted_proxies: Networks,
    /// Bytes of the request target.
    pub max_uri: usize,
    /// Bytes of all header lines.
    pub max_headers: usize,
    /// Connections at once: in all, where the file says so, and of one address.
    pub connections: Option<u32>,
    pub connections_per_ip: u32,
    pub patience: Patience,
}

/// How long clients may take, each longer than nothing.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a request's head, as a whole.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// For each KiB of a body, in both directions.
    pub body: Duration,
    /// For a tunnel to say anything.
    pub tunnel: Duration,
}

#[derive(Debug)]
pub struct Route {
    pub name: Arc<str>,
    /// Its path as the configuration has it.
    pub pattern: Arc<str>,
    pub pipeline: Pipeline,
    pub target: Target,
    /// The longest that a request may take.
    pub timeout: Option<Duration>,
    pub meters: Arc<RouteMeters>,
    /// A hash of what it matches: the same in every plan that has the route.
    pub identity: u64,
    /// Where it stands in the file.
    pub place: Place,
    pub timeout_place: Place,
}

/// Where the parts stand that refuse requests and are no route's.
#[derive(Debug)]
struct Places {
    routes: Place,
    upstreams: HashMap<String, Place>,
}

impl Plan {
    /// The counters of all routes, by their names; of no route under the empty one.
    pub fn meters(&self) -> impl Iterator<Item = (&str, &RouteMeters)> + Clone {
        self.kept.all_meters()
    }

    /// All limits, in no order. Those that are written in routes bear their route's name.
    pub fn limits(&self) -> impl Iterator<Item = &Limit> {
        self.kept.limits.all()
    }

    pub fn route(&self, index: u32) -> Option<&Route> {
        self.routes.get(index as usize)
    }
}
