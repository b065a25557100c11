//! Tokens that were verified a moment ago: a client sends the same one with every request, and finding it
//! costs a fraction of verifying its signature. A token is known by all of its bytes. Bounded, and read without a lock. Nothing is taken on the
//! cache's word alone: that the keys are the same, that no one ended the token and that its time is not
//! over is asked at every use. Only good tokens are remembered.

use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;

use super::verified::Verified;

/// Some 32,000 tokens: a set-associative array, as limits have it.
pub struct TokenCache {
    pages: Box<[OnceLock<Box<[Set]>>]>,
    /// Seeded anew in each process: nobody outside can tell which tokens share a set.
    hasher: RandomState,
    hits: Counter,
    misses: Counter,
    evictions: Counter,
}

/// How a cache was used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// Tokens that were known.
    pub hits: u64,
    /// Tokens that were not, good ones and bad ones.
    pub misses: u64,
    /// Good tokens that had to make room for others.
    pub evictions: u64,
}

#[derive(Default)]
struct Set([Slot; WAYS]);

#[derive(Default)]
struct Slot {
    /// The token's hash: spares looking into most slots. It proves nothing, and may for a moment belong to
    /// another entry.
    tag: AtomicU64,
    /// When the entry was last of use, in unix seconds.
    used: AtomicU64,
    entry: ArcSwapOption<Entry>,
}

struct Entry {
    token: Box<str>,
    verified: Verified,
}

/// Counts from many threads, mostly without one waiting for another's cache line.
#[derive(Default)]
struct Counter([Shard; SHARDS]);

#[derive(Default)]
#[repr(align(64))]
struct Shard(AtomicU64);

impl TokenCache {
    pub fn new() -> Self {
        Self {
            pages: (0..PAGES).map(|_| OnceLock::new()).collect(),
            hasher: RandomState::default(),
            hits: Counter::default(),
            misses: Counter::default(),
            evictions: Counter::default(),
        }
    }

    /// What `good` makes of this token, if it is remembered and good still.
    pub fn find<T>(
        &self,
        token: &str,
        now: u64,
        good: impl Fn(&Verified) -> Option<T>,
    ) -> Option<T> {
        let tag = self.tag(token);
        let found = self.set(tag, false).and_then(|set| {
            let mut tagged = set.0.iter().filter(|slot| slot.tag.load(Relaxed) == tag);
            tagged.find_map(|slot| {
                let entry = slot.entry.load();
                let entry = entry.as_ref().filter(|entry| *entry.token == *token)?;
                let found = good(&entry.verified)?;
                if slot.used.load(Relaxed) < now {
                    slot.used.store(now, Relaxed);
                }
                Some(found)
            })
        });
        let counter = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        counter.add(tag);
        found
    }

    /// Remembers a token that was just verified, in place of the same one, of one that has expired, or of
    /// the one of its set that has been out of use for longest.
    pub fn keep(&self, token: &str, verified: Verified, now: u64) {
        let tag = self.tag(token);
        let Some(set) = self.set(tag, true) else {
            return;
        };
        let worth = |slot: &Slot| {
            if slot.tag.load(Relaxed) == tag {
                return 0;
            }
            let entry = slot.entry.load();
            let live = entry
                .as_ref()
                .filter(|entry| entry.verified.life.ends() > now);
            live.map_or(EXPIRED, |_| slot.used.load(Relaxed).max(EXPIRED + 1))
        };
        // Two threads that choose at once may choose alike: then one token is verified once more.
        let ranked = set.0.iter().map(|slot| (worth(slot), slot));
        if let Some((worth, slot)) = ranked.min_by_key(|(worth, _)| *worth) {
            if worth > EXPIRED {
                self.evictions.add(tag);
            }
            let token = token.into();
            slot.entry.store(Some(Entry { token, verified }.into()));
            slot.used.store(now, Relaxed);
            slot.tag.store(tag, Relaxed);
        }
    }

    pub fn uses(&self) -> Uses {
        Uses {
            hits: self.hits.sum(),
            misses: self.misses.sum(),
            evictions: self.evictions.sum(),
        }
    }

    /// Never 0, which is an empty slot's.
    fn tag(&self, token: &str) -> u64 {
        self.hasher.hash_one(token) | 1 << 63
    }

    fn set(&self, tag: u64, make: bool) -> Option<&Set> {
        let number = (tag % SETS as u64) as usize;
        let page = self.pages.get(number / PAGE)?;
        let page = match make {
            true => page.get_or_init(|| (0..PAGE).map(|_| Set::default()).collect()),
            false => page.get()?,
        };
        page.get(number % PAGE)
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("TokenCache(…)")
    }
}

impl Counter {
    /// Different tokens mostly come from different clients: they choose the line.
    fn add(&self, tag: u64) {
        let shard = (tag >> 32) as usize % SHARDS;
        if let Some(shard) = self.0.get(shard) {
            shard.0.fetch_add(1, Relaxed);
        }
    }

    fn sum(&self) -> u64 {
        self.0.iter().map(|shard| shard.0.load(Relaxed)).sum()
    }
}

/// What a slot is worth that holds nothing good any more; one that does is worth more.
const EXPIRED: u64 = 1;
const WAYS: usize = 4;
/// A power of two, so that the tag's lowest bits choose.
const SETS: usize = 8_192;
/// Sets that are allocated together when the first of them is needed: 16 KiB.
const PAGE: usize = 128;
const PAGES: usize = SETS / PAGE;
const SHARDS: usize = 16;

#[cfg(test)]
mod tests;
