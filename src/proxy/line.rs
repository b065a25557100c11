//! How far a client's connection of HTTP/1 is with its request: what the phases of a request tell those who watch its
//! bytes, and what these saw of requests that no phase ever heard of. In a tunnel it also knows who is to be told of the
//! end of what the client sends, which Pingora would take for the end of both sides.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Context;

use super::unheard::Unheard;
use crate::upstream::Gate;

/// A connection, seen from both sides. Its task does one thing at a time, so that no order of these is ever in doubt.
#[derive(Debug, Default)]
pub struct Line {
    phase: AtomicU8,
    unheard: Mutex<Option<Unheard>>,
    has_word: AtomicBool,
    /// Of the tunnel that the connection has become.
    gate: OnceLock<Arc<Gate>>,
}

/// What the connection's bytes are part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Nothing yet: the next byte begins a head.
    Fresh,
    /// A head, or the wait for one.
    Head,
    /// A request that was understood and whose body is not all here.
    Body,
    /// A request that is all here.
    Answering,
    /// Whatever both sides have agreed on.
    Tunnel,
}

tokio::task_local! {
    /// The connection of the request that the task is at.
    static CURRENT: Arc<Line>;
}

impl Line {
    /// Runs one request of this connection, whose phases find it by `current`.
    pub async fn guard<T>(self: &Arc<Self>, work: impl Future<Output = T>) -> T {
        self.set(Phase::Fresh);
        CURRENT.scope(self.clone(), work).await
    }

    /// The connection of the request that runs here; `None` where that is a stream of HTTP/2.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT.try_with(Clone::clone).ok()
    }

    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Fresh,
            1 => Phase::Head,
            2 => Phase::Body,
            3 => Phase::Answering,
            _ => Phase::Tunnel,
        }
    }

    pub fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// The connection is a tunnel from now on.
    pub fn begin_tunnel(&self, gate: &Arc<Gate>) {
        // It becomes one once.
        let _ = self.gate.set(gate.clone());
        self.set(Phase::Tunnel);
    }

    /// The client has finished sending: true where the tunnel's gate tells the server, and the tunnel goes on.
    /// `context` is that of the task which runs both of its sides.
    pub fn outlives_the_client(&self, context: &Context) -> bool {
        self.gate.get().is_some_and(|gate| gate.finish(context))
    }

    /// Leaves word of a request that ended before any phase heard of it, or in the middle of one.
    pub fn leave_word(&self, unheard: Unheard) {
        *self.unheard.lock().unwrap_or_else(PoisonError::into_inner) = Some(unheard);
        self.has_word.store(true, Ordering::Relaxed);
    }

    /// The word that was left. Requests without one, nearly all, take no lock for it.
    pub fn take_word(&self) -> Option<Unheard> {
        if !self.has_word.load(Ordering::Relaxed) {
            return None;
        }
        self.has_word.store(false, Ordering::Relaxed);
        let mut unheard = self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        unheard.take()
    }
}
