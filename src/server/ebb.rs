//! After a flood: memory that the edge's workers have freed goes back to the system, also when nobody comes any more.
//! mimalloc gives it back while a thread allocates; a worker with nothing to do has to be told.

use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::proxy::Traffic;

/// The watch over the edge's memory.
pub struct Ebb {
    traffic: Traffic,
    workers: usize,
    /// Bytes before anybody came.
    low: u64,
    begun: Once,
}

impl Ebb {
    /// Of a gateway that does not serve yet, and will do so with so many workers.
    pub fn new(traffic: Traffic, workers: usize) -> Self {
        Self {
            traffic,
            workers,
            low: resident(),
            begun: Once::new(),
        }
    }

    /// Begins to watch, the first time that it is called: on the runtime whose workers are meant.
    pub fn begin(&self) {
        self.begun.call_once(|| {
            let (traffic, workers, low) = (self.traffic.clone(), self.workers, self.low);
            drop(tokio::spawn(watch(traffic, workers, low)));
        });
    }
}

/// Has all workers give back what they hold, whenever it has become much and nothing moves.
async fn watch(traffic: Traffic, workers: usize, low: u64) {
    let mut tide = Tide {
        low,
        in_flight: None,
    };
    loop {
        tokio::time::sleep(LOOK).await;
        if tide.has_gone(resident(), traffic.in_flight()) {
            on_each(workers, PATIENCE, airside_allocator::give_back).await;
            tide.low = resident();
        }
    }
}

/// What memory there was at the last looks.
#[derive(Debug)]
struct Tide {
    /// The least since memory was given back.
    low: u64,
    /// Requests in flight at the last look.
    in_flight: Option<usize>,
}

impl Tide {
    /// Is there much more memory than there was, and nothing that moves? Where requests come and go the workers
    /// give it back as they serve them.
    fn has_gone(&mut self, resident: u64, in_flight: usize) -> bool {
        let still = self.in_flight.replace(in_flight) == Some(in_flight);
        self.low = self.low.min(resident);
        still && resident > self.low + MUCH
    }
}

/// Does this once on each worker of the runtime that this runs on. A worker that is busy for so long is left out.
async fn on_each(workers: usize, patience: Duration, work: fn()) {
    let meeting = Arc::new(Meeting {
        missing: Mutex::new(workers),
        complete: Condvar::new(),
    });
    let mut tasks = JoinSet::new();
    for _ in 0..workers {
        let meeting = meeting.clone();
        tasks.spawn(async move {
            work();
            meeting.wait(patience);
        });
    }
    tasks.join_all().await;
}

/// Where workers wait for each other, as threads and not as tasks: one that waits takes no second task, so that each
/// gets one.
struct Meeting {
    missing: Mutex<usize>,
    complete: Condvar,
}

impl Meeting {
    fn wait(&self, patience: Duration) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing -= 1;
        self.complete.notify_all();
        // Errors: another thread has panicked while it held the lock, which none can.
        let _ = (self.complete).wait_timeout_while(missing, patience, |missing| *missing > 0);
    }
}

/// The process's memory, in bytes; none where the system does not tell.
fn resident() -> u64 {
    let status = procfs::process::Process::myself().and_then(|me| me.status());
    let kib = status.ok().and_then(|status| status.vmrss);
    kib.map_or(0, |kib| kib * 1_024)
}

/// How often memory is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// So many bytes more than at the least are worth the work, which takes a worker some milliseconds.
const MUCH: u64 = 24 << 20;
/// How long a worker waits for the others, and nobody is served by it.
const PATIENCE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::{ThreadId, current};

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn memory_is_given_back_where_it_has_become_much_and_nothing_moves() {
        let mut tide = Tide {
            low: 50 * MIB,
            in_flight: None,
        };
        assert!(!tide.has_gone(400 * MIB, 0), "that may change yet");
        assert!(!tide.has_gone(60 * MIB, 0), "that is not much");
        assert!(!tide.has_gone(400 * MIB, 800), "they are being served");
        assert!(!tide.has_gone(400 * MIB, 3), "they come and go");
        assert!(tide.has_gone(400 * MIB, 3), "three tunnels, and no more");
        tide.low = 390 * MIB;
        assert!(!tide.has_gone(400 * MIB, 3), "it is in use");
        assert!(!tide.has_gone(60 * MIB, 0));
        assert!(!tide.has_gone(80 * MIB, 0));
        assert!(tide.has_gone(90 * MIB, 0), "more than at the least");
    }

    #[test]
    fn every_worker_does_it_once() {
        static DONE: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
        for workers in [1, 2, 4] {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(workers).build().unwrap();
            let all = runtime.spawn(async move {
                let patience = Duration::from_secs(60);
                on_each(workers, patience, || {
                    DONE.lock().unwrap().push(current().id())
                })
                .await;
            });
            runtime.block_on(all).unwrap();
            let done = std::mem::take(&mut *DONE.lock().unwrap());
            assert_eq!(done.len(), workers);
            assert_eq!(HashSet::<_>::from_iter(done).len(), workers);
        }
    }

    #[test]
    fn a_worker_that_does_not_come_is_not_waited_for_for_long() {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let alone = runtime.unwrap();
        alone.block_on(on_each(2, Duration::from_millis(1), || ()));
    }

    #[test]
    fn the_system_tells_how_much_it_is() {
        assert!(resident() > MIB);
    }
}
