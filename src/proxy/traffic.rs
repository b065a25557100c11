//! What is going on right now, as those need to know who stop the gateway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Requests in flight, and whether the gateway is leaving.
#[derive(Debug, Clone, Default)]
pub struct Traffic(Arc<State>);

#[derive(Debug, Default)]
struct State {
    in_flight: AtomicUsize,
    draining: AtomicBool,
}

/// Counts as one request in flight until it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<State>);

impl Traffic {
    pub fn enter(&self) -> InFlight {
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.0.clone())
    }

    pub fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// From now on answers close their connections, and the gateway is not ready.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
