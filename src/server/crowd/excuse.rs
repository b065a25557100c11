//! Who is told that there is no room, so that nobody takes a full gateway for a dead one. There are few of them at a
//! time; further ones are closed without a word.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections beyond the bound that may be answered.
#[derive(Debug, Default)]
pub struct Excuses(Mutex<HashMap<SocketAddr, u64>>);

impl Excuses {
    /// Lets one in to be told, at this time in monotonic milliseconds; false where enough are being told.
    pub fn begin(&self, peer: SocketAddr, now: u64) -> bool {
        let mut told = self.told();
        // One that was let in and found a place after all never ends.
        told.retain(|_, since| now < *since + LONGEST_MILLIS);
        let has_room = told.len() < MOST;
        if has_room {
            told.insert(peer, now);
        }
        has_room
    }

    /// Was it let in to be told?
    pub fn has(&self, peer: SocketAddr) -> bool {
        self.told().contains_key(&peer)
    }

    /// It was told.
    pub fn end(&self, peer: SocketAddr) {
        self.told().remove(&peer);
    }

    fn told(&self) -> MutexGuard<'_, HashMap<SocketAddr, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// At once: each is an open file, of those that are left beside the connections that have a place.
const MOST: usize = 32;
/// Longer than telling takes.
const LONGEST_MILLIS: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_told_at_a_time_and_whoever_found_a_place_is_forgotten() {
        let excuses = Excuses::default();
        let peer = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let begun = (0..40).filter(|port| excuses.begin(peer(*port), 0));
        assert_eq!(begun.count(), MOST);
        assert!(excuses.has(peer(0)) && !excuses.has(peer(39)));
        excuses.end(peer(0));
        assert!(excuses.begin(peer(39), 1));
        assert!(!excuses.begin(peer(50), LONGEST_MILLIS - 1));
        assert!(excuses.begin(peer(50), LONGEST_MILLIS));
        assert!(!excuses.has(peer(1)));
    }
}
