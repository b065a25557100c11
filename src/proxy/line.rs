//! How far a client's connection of HTTP/1 is with its request: what the phases of a request tell those who watch its
//! bytes, and what these saw of requests that no phase ever heard of. In a tunnel it also knows who is to be told of the
//! end of what the client sends, which Pingora would take for the end of both sides.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Context;

use bytes::Bytes;
use pingora::protocols::http::ServerSession;

use super::alarm::Alarm;
use super::unheard::Unheard;
use crate::base::trailers::{Found, Malformed};
use crate::upstream::Gate;

/// A connection, seen from both sides. Its task does one thing at a time, so that no order of these is ever in doubt.
#[derive(Debug, Default)]
pub struct Line {
    phase: AtomicU8,
    /// Of the request that it is at.
    pub alarm: Alarm,
    unheard: Mutex<Option<Unheard>>,
    has_word: AtomicBool,
    /// Of the tunnel that the connection has become.
    gate: OnceLock<Arc<Gate>>,
    /// The request's bytes are followed to its trailers, and these are known.
    follows_request: AtomicBool,
    has_found: AtomicBool,
    found: Mutex<Option<Found>>,
    /// The answer's bytes are followed to its end, which is this one.
    follows_answer: AtomicBool,
    end: Mutex<Option<Bytes>>,
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

impl Line {
    /// The next request of this connection begins, whose phases get the line with it.
    pub fn begin(self: &Arc<Self>, session: &mut ServerSession) {
        self.set(Phase::Fresh);
        if self.follows_answer() {
            self.follows_answer.store(false, Ordering::Relaxed);
            drop(self.take_end());
        }
        session.set_connection_user_context(Some(Box::new(self.clone())));
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
        self.follow_answer();
        self.set(Phase::Tunnel);
    }

    /// The client has finished sending: true where the tunnel's gate tells the server, and the tunnel goes on.
    /// `context` is that of the task which runs both of its sides.
    pub fn outlives_the_client(&self, context: &Context) -> bool {
        let gate = self.gate.get();
        gate.inspect(|gate| gate.finish(context)).is_some()
    }

    /// Has the tunnel's server finished, and the client got all that it said, with so many bytes?
    pub fn outlives_the_server(&self, written: u64) -> bool {
        let gate = self.gate.get();
        gate.is_some_and(|gate| gate.has_said_all(written))
    }

    /// A request begins; are its trailers looked for?
    pub fn begin_request(&self, follows: bool) {
        self.follows_request.store(follows, Ordering::Relaxed);
        self.has_found.store(false, Ordering::Relaxed);
    }

    pub fn follows_request(&self) -> bool {
        self.follows_request.load(Ordering::Relaxed)
    }

    /// The trailers of a body in chunks, or what is none but looks like it.
    pub fn found(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        self.has_found.store(true, Ordering::Relaxed);
    }

    /// The trailers of the request, whose body is in chunks and over; `None` where nobody looked.
    pub fn trailers(&self) -> Option<Found> {
        if !self.follows_request() {
            return None;
        }
        // Where its end is in doubt, it is none.
        let doubt = Some(Err(Malformed));
        match self.has_found.load(Ordering::Relaxed) {
            true => self.found.lock().map_or(doubt, |found| found.clone()),
            false => doubt,
        }
    }

    /// The answer's bytes are followed from the next head on.
    pub fn follow_answer(&self) {
        self.follows_answer.store(true, Ordering::Relaxed);
    }

    pub fn follows_answer(&self) -> bool {
        self.follows_answer.load(Ordering::Relaxed)
    }

    /// The answer's body in chunks ends in this.
    pub fn end_with(&self, end: Bytes) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    pub fn take_end(&self) -> Option<Bytes> {
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
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
