//! Spans for an OpenTelemetry collector. A request that is sampled hands over what it knows once it is over, without
//! a lock and without waiting; all else is done by a thread of its own. Which spans a request has is told in `span`,
//! how they are named and described in `spans`.

use std::io;
use std::sync::Arc;

use http::HeaderValue;

use crate::base::trace::TraceContext;

pub mod config;
mod delivery;
mod exporter;
mod otlp;
mod post;
mod sampler;
mod span;
mod spans;

pub use exporter::Exporter;
pub use span::{Attempt, Limited, Request, Text};

use config::Tracing;
use sampler::Sampler;

/// What a plan says of tracing: whose spans are wanted, and where they go.
#[derive(Debug)]
pub struct Tracer {
    /// `None` where nobody's are.
    wanted: Option<Wanted>,
    exporter: Arc<Exporter>,
}

#[derive(Debug)]
struct Wanted {
    config: Tracing,
    sampler: Sampler,
}

impl Tracer {
    /// Nothing is exported before `begin`.
    pub fn new(config: Option<&Tracing>, exporter: Arc<Exporter>) -> Self {
        let wanted = config.map(|config| Wanted {
            config: config.clone(),
            sampler: Sampler::new(config.sample),
        });
        Self { wanted, exporter }
    }

    /// The plan is put in place: spans go where it says, those too that wait already. Errors: the exporter's thread
    /// can't be started.
    pub fn begin(&self) -> io::Result<()> {
        let wanted = self.wanted.as_ref();
        wanted.map_or(Ok(()), |wanted| self.exporter.begin(&wanted.config))
    }

    /// Are this request's spans wanted? A trace that begins here is marked as sampled then, and its `tracestate` says
    /// how likely that was.
    pub fn wants(&self, trace: &mut TraceContext, state: &mut Option<HeaderValue>) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_some_and(|wanted| wanted.sampler.decide(trace, state))
    }

    /// Queues the spans of a request that is over. Where the queue is full they are dropped and counted.
    pub fn queue(&self, request: Request) {
        self.exporter.push(request);
    }

    /// Of all plans: what waits is exported, and what became of spans is told.
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }
}
