//! Between a request and the connection of HTTP/1 that it goes over: was it used before, what is to be followed on it,
//! the trailers that go out on it, and those that came.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pingora::protocols::Digest;

use super::gate::Gate;
use crate::base::trailers::{Found, Malformed};

/// One connection's. Requests that use it come one after the other.
#[derive(Default)]
pub struct Link {
    /// What is followed, and above it a count of the requests so far that had something followed.
    word: AtomicU32,
    /// Another request had it before.
    is_reused: AtomicBool,
    gate: Mutex<Option<Arc<Gate>>>,
    end: Mutex<Option<Bytes>>,
    found: Mutex<Option<Found>>,
}

/// What is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Follow {
    /// The request's body is in chunks, and may end in trailers.
    pub request: bool,
    /// The answer's trailers are wanted.
    pub answer: bool,
}

impl Link {
    /// The link of the connection that has this digest, if it is of HTTP/1.
    pub fn of(digest: Option<&Digest>) -> Option<&Arc<Self>> {
        let data = digest?.proxy_digest.as_ref()?.user_data.as_ref()?;
        data.downcast_ref()
    }

    /// The connection is given to another request.
    pub(super) fn again(&self) {
        self.is_reused.store(true, Ordering::Relaxed);
    }

    pub fn is_reused(&self) -> bool {
        self.is_reused.load(Ordering::Relaxed)
    }

    /// A request begins of which nothing is followed, which takes no lock unless something was.
    pub fn pass(&self) {
        if self.word().0.is_some() {
            self.begin(Follow {
                request: false,
                answer: false,
            });
        }
    }

    /// A request begins on the connection.
    pub fn begin(&self, follow: Follow) {
        self.forget();
        self.change(follow);
    }

    /// It asks for a tunnel, which has this gate.
    pub fn tunnel(&self, gate: Arc<Gate>) {
        self.forget();
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = Some(gate);
        self.change(Follow {
            request: true,
            answer: true,
        });
    }

    /// The request's body ends in this.
    pub fn end_with(&self, end: Bytes) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }

    /// The trailers of the answer, whose body is in chunks and over.
    pub fn found(&self) -> Found {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // None: its end is not where this connection's reading has it.
        found.take().unwrap_or(Err(Malformed))
    }

    /// What is followed, and a number that is another one for each request.
    pub(super) fn word(&self) -> (Option<Follow>, u32) {
        let word = self.word.load(Ordering::Acquire);
        let follow = Follow {
            request: word & REQUEST != 0,
            answer: word & ANSWER != 0,
        };
        ((word & (REQUEST | ANSWER) != 0).then_some(follow), word)
    }

    pub(super) fn gate(&self) -> Option<Arc<Gate>> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.clone()
    }

    pub(super) fn take_end(&self) -> Option<Bytes> {
        self.end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    pub(super) fn answered(&self, found: Found) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }

    fn forget(&self) {
        *self.gate.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn change(&self, follow: Follow) {
        let count = (self.word.load(Ordering::Acquire) & !(REQUEST | ANSWER)).wrapping_add(NEXT);
        let request = if follow.request { REQUEST } else { 0 };
        let answer = if follow.answer { ANSWER } else { 0 };
        self.word.store(count | request | answer, Ordering::Release);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Link")
            .field("word", &self.word)
            .finish_non_exhaustive()
    }
}

const REQUEST: u32 = 1;
const ANSWER: u32 = 2;
const NEXT: u32 = 4;
