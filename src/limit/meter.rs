//! What a way of counting over time must tell the table that keeps its states.

use super::key::Key;

/// A way to count one key's calls in 64 bits.
pub(super) trait Meter {
    /// What is known of keys that had to leave the table.
    type Memory;

    /// An empty memory for a table of so many keys; it takes room only once it is needed.
    fn memory(&self, max_keys: u32) -> Self::Memory;

    /// How much would be forgotten with this state: 0 where it counts nothing any more.
    fn weight(&self, state: u64, now: u64) -> u64;

    /// A key leaves the table.
    fn leave(&self, memory: &Self::Memory, key: Key, state: u64, now: u64);

    /// The state with which a key enters: of a fresh one, or of one that comes back.
    fn enter(&self, memory: &Self::Memory, key: Key, now: u64) -> u64;
}
