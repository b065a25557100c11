//! A request's claims: its place in the upstream, and on the server that it is at. Both end when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::cluster::Cluster;
use super::endpoint::Endpoint;

/// Counts as one request in flight to an upstream.
#[derive(Debug)]
pub struct Ticket(pub(super) Arc<AtomicU32>);

/// A claim on a server, for one attempt. What became of it is told by `settle`; dropped without, it says nothing of
/// the server, as when the client went away.
#[derive(Debug)]
pub struct Lease {
    pub endpoint: Arc<Endpoint>,
    /// Whose breaker, on probation, it decides over.
    trial: Option<Arc<Cluster>>,
    outcome: Outcome,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is known of the server: the client went away, or its time was up.
    CutOff,
    Ok,
    Failed,
}

impl Lease {
    pub(super) fn new(endpoint: Arc<Endpoint>, trial: Option<Arc<Cluster>>) -> Self {
        endpoint.standing.begin();
        Self {
            endpoint,
            trial,
            outcome: Outcome::CutOff,
        }
    }

    /// What became of the attempt, at `now`, on this server of `cluster`. An answer whose head was well may fail later: both are told, because a
    /// breaker can't wait for the end of a long answer.
    pub fn settle(&mut self, cluster: &Cluster, success: bool, now: u64) {
        self.outcome = match (success, self.outcome) {
            (true, Outcome::CutOff) => Outcome::Ok,
            (true, outcome) => outcome,
            (false, _) => Outcome::Failed,
        };
        let trial = self.trial.take().is_some();
        cluster.learn(&self.endpoint, trial, success, now);
    }

    /// The answer came whole: failures are no longer in a row.
    pub fn complete(&self) {
        self.endpoint.standing.succeeded();
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.standing.end(self.outcome);
        if let Some(cluster) = &self.trial {
            cluster.abandon();
        }
    }
}
