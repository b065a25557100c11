//! Time as a parameter: the system's in production, a virtual one in tests and offline commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock; cheap to clone, and all clones of a virtual one move together.
#[derive(Debug, Clone)]
pub enum Clock {
    System { start: Instant },
    Virtual { millis: Arc<AtomicU64> },
}

impl Clock {
    pub fn system() -> Self {
        Self::System {
            start: Instant::now(),
        }
    }

    /// A clock that stands at `unix_millis` until it is told to move.
    pub fn at(unix_millis: u64) -> Self {
        Self::Virtual {
            millis: Arc::new(AtomicU64::new(unix_millis)),
        }
    }

    /// Moves a virtual clock on; the system's takes no orders.
    pub fn advance(&self, by_millis: u64) {
        if let Self::Virtual { millis } = self {
            millis.fetch_add(by_millis, Ordering::SeqCst);
        }
    }

    /// Milliseconds that never go back, from an arbitrary start: for rates and deadlines, which a step
    /// of the wall clock must not touch.
    pub fn monotonic_millis(&self) -> u64 {
        match self {
            Self::System { .. } => self.monotonic_millis_at(Instant::now()),
            Self::Virtual { millis } => millis.load(Ordering::SeqCst),
        }
    }

    /// The same for a time that was asked for already, which a virtual clock does not know.
    pub fn monotonic_millis_at(&self, now: Instant) -> u64 {
        match self {
            Self::System { start } => now.saturating_duration_since(*start).as_millis() as u64,
            Self::Virtual { millis } => millis.load(Ordering::SeqCst),
        }
    }

    /// Nanoseconds since 1970, UTC, as fine as the system's clock is: for spans.
    pub fn unix_nanos(&self) -> u64 {
        match self {
            Self::System { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_nanos() as u64),
            Self::Virtual { millis } => millis.load(Ordering::SeqCst) * 1_000_000,
        }
    }

    /// Milliseconds since 1970, UTC: for tokens, rows and logs.
    pub fn unix_millis(&self) -> u64 {
        match self {
            // A clock before 1970 is broken; zero makes every token "not yet valid", never valid.
            Self::System { .. } => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_millis() as u64),
            Self::Virtual { millis } => millis.load(Ordering::SeqCst),
        }
    }

    /// Seconds since 1970, UTC.
    pub fn unix_seconds(&self) -> u64 {
        self.unix_millis() / 1_000
    }
}
