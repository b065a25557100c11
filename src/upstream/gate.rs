//! Between a request that asks for a WebSocket, its client's connection and its server's.
//!
//! A server may answer `101` before Pingora has noticed that the request has no body, and Pingora then takes the end of
//! that body for the end of the tunnel. So what a server says is held back until the request is out; a server that says
//! nothing is not waited for for ever.
//!
//! Pingora ends a tunnel with either of its sides. So each side's end is kept from it, and told to the other side behind
//! the last byte; who is told goes on for as long as there is something to say.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

/// One tunnel's.
#[derive(Debug)]
pub struct Gate {
    /// Flushes to wait for before anything is read: none, or first the head's, then the body's.
    closed: AtomicU8,
    /// The tunnel has not begun yet.
    waiting: AtomicBool,
    reader: Mutex<Option<Waker>>,
    patience: Duration,
    client: Side,
    server: Side,
}

/// One of those who talk. Nothing of theirs that counts here comes before the tunnel.
#[derive(Debug, Default)]
struct Side {
    has_finished: AtomicBool,
    /// Bytes of theirs that are on their way to the other.
    said: AtomicU64,
    /// Those of them that are written, where they are counted here.
    written: AtomicU64,
}

impl Gate {
    /// `patience` is how long the server may take to answer.
    pub fn new(patience: Duration) -> Self {
        Self {
            closed: AtomicU8::new(0),
            waiting: AtomicBool::new(false),
            reader: Mutex::new(None),
            patience,
            client: Side::default(),
            server: Side::default(),
        }
    }

    /// The request is about to be written.
    pub fn close(&self) {
        self.closed.store(FLUSHES, Ordering::Release);
        self.waiting.store(true, Ordering::Release);
    }

    /// The tunnel has begun: from now on it may be silent.
    pub fn tunnel(&self) {
        self.waiting.store(false, Ordering::Release);
    }

    /// So many bytes of the client are on their way to the server.
    pub fn take(&self, bytes: usize) {
        self.client.said.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// The client has finished sending, and still listens. `context` is that of the task which runs both sides.
    pub fn finish(&self, context: &Context) {
        if !self.client.has_finished.swap(true, Ordering::AcqRel) {
            context.waker().wake_by_ref();
        }
    }

    /// Has the server finished, and the client got all of it with so many bytes behind the answer's head?
    pub fn has_said_all(&self, written: u64) -> bool {
        self.server.has_finished.load(Ordering::Acquire)
            && written >= self.server.said.load(Ordering::Acquire)
    }

    /// Has the client finished, and the server got all of it?
    pub(super) fn is_finished(&self) -> bool {
        let client = &self.client;
        client.has_finished.load(Ordering::Acquire)
            && client.written.load(Ordering::Acquire) >= client.said.load(Ordering::Acquire)
    }

    /// The server has finished, after so many bytes behind its answer's head. `context` as above.
    pub(super) fn server_finished(&self, said: u64, context: &Context) {
        self.server.said.store(said, Ordering::Release);
        self.server.has_finished.store(true, Ordering::Release);
        context.waker().wake_by_ref();
    }

    /// So many bytes went to the server.
    pub(super) fn wrote(&self, bytes: usize) {
        if !self.is_waiting() {
            self.client
                .written
                .fetch_add(bytes as u64, Ordering::AcqRel);
        }
    }

    /// For how long the server may still be silent before the tunnel has begun.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.is_waiting().then_some(self.patience)
    }

    fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Acquire)
    }

    pub(super) fn flushed(&self) {
        let counted = self
            .closed
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        if counted == Ok(1)
            && let Some(reader) = self.reader.lock().ok().and_then(|mut reader| reader.take())
        {
            reader.wake();
        }
    }

    pub(super) fn is_closed(&self, context: &Context) -> bool {
        if self.closed.load(Ordering::Acquire) == 0 {
            return false;
        }
        if let Ok(mut reader) = self.reader.lock() {
            *reader = Some(context.waker().clone());
        }
        // It may have been opened in between, by someone who found no reader to wake.
        self.closed.load(Ordering::Acquire) != 0
    }
}

/// Pingora flushes after the head, and again when it has seen that there is no body.
pub(super) const FLUSHES: u8 = 2;
