//! What became of the calls that a limit was asked about, counted for the page of metrics. Who writes
//! that page is not known here.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a limit did about one call, in the words of logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// Counted, and let through.
    Admitted,
    /// Refused for the count.
    Refused,
    /// The same, of a limit that only watches: let through.
    ShadowRefused,
    /// Not counted, and let through: a part of the key was missing, or Redis was away, and the limit was
    /// told to do so.
    Skipped,
    /// Refused because a part of the key was missing.
    Denied,
}

/// One counter a ruling, in a cache line of their own: what is beside them is read with every call.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Tally {
    rulings: [AtomicU64; Ruling::ALL.len()],
    without_store: AtomicU64,
}

/// A tally as it was at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    rulings: [u64; Ruling::ALL.len()],
    /// Calls that were to be counted in Redis, and were not because it was away.
    pub without_store: u64,
}

impl Ruling {
    pub const ALL: [Self; 5] = [
        Self::Admitted,
        Self::Refused,
        Self::ShadowRefused,
        Self::Skipped,
        Self::Denied,
    ];

    /// The access log's and the metric's `decision`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::ShadowRefused => "shadow_refused",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
        }
    }
}

impl Tally {
    pub(super) fn count(&self, ruling: Ruling) {
        if let Some(counter) = self.rulings.get(ruling as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn count_without_store(&self) {
        self.without_store.fetch_add(1, Relaxed);
    }

    pub fn counts(&self) -> Counts {
        Counts {
            rulings: self.rulings.each_ref().map(|counter| counter.load(Relaxed)),
            without_store: self.without_store.load(Relaxed),
        }
    }
}

impl Counts {
    /// Each ruling with how often it was given.
    pub fn rulings(&self) -> impl Iterator<Item = (Ruling, u64)> {
        Ruling::ALL.into_iter().zip(self.rulings)
    }

    /// Has nobody been asked about yet?
    pub fn are_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Both together: limits that are written in routes may share a name.
    pub fn plus(mut self, other: Self) -> Self {
        for (own, more) in self.rulings.iter_mut().zip(other.rulings) {
            *own += more;
        }
        self.without_store += other.without_store;
        self
    }
}
