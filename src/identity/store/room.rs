//! Has the store room for more? A full one goes on answering questions, so that only a change that failed
//! tells; readiness remembers it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::StoreError;

/// What the latest changes told.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<Option<(Instant, String)>>);

impl Room {
    /// Looks at what a change came to.
    pub(super) fn note<T>(&self, done: &Result<T, StoreError>) {
        if let Err(StoreError::Full(why)) = done {
            *self.lock() = Some((Instant::now(), why.clone()));
        }
    }

    /// `Ok(true)` where a change has to be tried to know. Errors: there was no room a moment ago. Small changes
    /// may find some where others find none, so that this holds for a while.
    pub(super) fn has_to_be_tried(&self) -> Result<bool, StoreError> {
        match self.lock().as_ref() {
            Some((since, why)) if since.elapsed() < HOLDS => Err(StoreError::Full(why.clone())),
            known => Ok(known.is_some()),
        }
    }

    /// A change that was tried has worked.
    pub(super) fn is_back(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const HOLDS: Duration = Duration::from_secs(5);
