//! Connections to servers between two requests. Pingora's own pool watches each by a task, which is made and ended, and
//! a timer; it takes some ten locks to keep a connection and to give it out again. Here a worker puts it on a pile of
//! its own, and takes the last one from there. Whether the server has closed it shows when it is taken; what nobody
//! takes is swept away.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::time::{ClockId, clock_gettime};
use parking_lot::Mutex;

use super::wire::Parts;

/// The unused connections of this process, to all servers.
#[derive(Debug)]
pub struct Shelves {
    /// By what Pingora tells connections apart by.
    shelves: ArcSwap<BTreeMap<u64, Arc<Shelf>>>,
    changing: Mutex<()>,
    /// One for each worker, and one for those who find theirs taken.
    piles: usize,
    room: Arc<Room>,
}

/// Those to one server.
#[derive(Debug)]
pub struct Shelf {
    piles: Box<[Mutex<Vec<Unused>>]>,
    room: Arc<Room>,
}

#[derive(Debug)]
struct Unused {
    connection: Box<Parts>,
    /// In milliseconds of `now`.
    since: u64,
}

/// How many there are, and how many there may be.
#[derive(Debug)]
struct Room {
    unused: AtomicUsize,
    most: usize,
}

impl Shelves {
    /// For so many workers, and so many connections at the most.
    pub fn new(workers: usize, most: usize) -> Self {
        Self {
            shelves: ArcSwap::default(),
            changing: Mutex::new(()),
            piles: workers + 1,
            room: Arc::new(Room {
                unused: AtomicUsize::new(0),
                most,
            }),
        }
    }

    /// The shelf of a server's connections.
    pub fn of(&self, key: u64) -> Arc<Shelf> {
        match self.shelves.load().get(&key) {
            Some(shelf) => shelf.clone(),
            None => self.add(key),
        }
    }

    fn add(&self, key: u64) -> Arc<Shelf> {
        let _alone = self.changing.lock();
        let mut shelves = BTreeMap::clone(&self.shelves.load());
        let made = || Shelf::new(self.piles, self.room.clone());
        let shelf = shelves.entry(key).or_insert_with(|| Arc::new(made()));
        let shelf = shelf.clone();
        self.shelves.store(Arc::new(shelves));
        shelf
    }

    /// Closes what nobody takes, for as long as it is awaited.
    pub async fn sweep(&self) {
        for turn in 1_u64.. {
            tokio::time::sleep(SWEEP).await;
            let now = now();
            for shelf in self.shelves.load().values() {
                shelf.sweep(now);
            }
            if turn.is_multiple_of(TIDY) {
                self.tidy();
            }
        }
    }

    /// Forgets servers to which there is no connection.
    fn tidy(&self) {
        let _alone = self.changing.lock();
        let mut shelves = BTreeMap::clone(&self.shelves.load());
        // One belongs to the map in use, one to its copy, and one to each connection that is in use.
        shelves.retain(|_, shelf| Arc::strong_count(shelf) > 2 || !shelf.is_empty());
        self.shelves.store(Arc::new(shelves));
    }
}

impl Shelf {
    fn new(piles: usize, room: Arc<Room>) -> Self {
        Self {
            piles: (0..piles).map(|_| Mutex::default()).collect(),
            room,
        }
    }

    /// A connection that still stands.
    pub(super) fn take(&self) -> Option<Box<Parts>> {
        let (now, mut closed) = (now(), 0);
        for pile in self.piles() {
            while let Some(mut unused) = pile.try_lock().and_then(|mut pile| pile.pop()) {
                self.room.unused.fetch_sub(1, Ordering::Relaxed);
                // Those under it are older still.
                if !unused.is_fresh(now) {
                    break;
                }
                if unused.connection.stands() {
                    return Some(unused.connection);
                }
                closed += 1;
                if closed == MOST_CLOSED {
                    return None;
                }
            }
        }
        None
    }

    /// Keeps a connection, where there is room.
    pub(super) fn put(&self, connection: Box<Parts>) {
        if self.room.unused.fetch_add(1, Ordering::Relaxed) < self.room.most {
            let since = now();
            for pile in self.piles() {
                if let Some(mut pile) = pile.try_lock() {
                    return pile.push(Unused { connection, since });
                }
            }
        }
        self.room.unused.fetch_sub(1, Ordering::Relaxed);
    }

    /// The worker's own first. Nobody waits for one that is taken.
    fn piles(&self) -> impl Iterator<Item = &Mutex<Vec<Unused>>> {
        let own = OWN.get() % self.piles.len().max(1);
        let (before, from) = self.piles.split_at_checked(own).unwrap_or_default();
        from.iter().chain(before)
    }

    fn sweep(&self, now: u64) {
        for pile in &self.piles {
            let mut pile = pile.lock();
            // The last one was put there last.
            let old = pile.partition_point(|unused| !unused.is_fresh(now));
            let old: Vec<_> = pile.drain(..old).collect();
            drop(pile);
            self.room.unused.fetch_sub(old.len(), Ordering::Relaxed);
        }
    }

    fn is_empty(&self) -> bool {
        self.piles.iter().all(|pile| pile.lock().is_empty())
    }
}

impl Unused {
    fn is_fresh(&self, now: u64) -> bool {
        now < self.since + IDLE.as_millis() as u64
    }
}

/// Milliseconds from some time on, as of the system's last tick: a quarter of what asking for the time costs.
fn now() -> u64 {
    // Linux has this clock.
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
        .map_or(0, |now| Duration::from(now).as_millis() as u64)
}

/// Each thread's number.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed));
}

/// How long a connection may be unused. Below the 5 s after which Node's servers close such a one, because a request
/// that meets the close is lost.
pub const IDLE: Duration = Duration::from_secs(4);
const SWEEP: Duration = Duration::from_millis(500);
/// So many closed connections are let go for one request, which then gets a new one: a server that was started anew
/// has closed them all.
const MOST_CLOSED: u32 = 16;
/// Every so many sweeps servers are forgotten.
const TIDY: u64 = 120;

#[cfg(test)]
mod tests;
