//! The threads that hash. A hash takes a core for a fifth of a second, so that as many as clients ask
//! for would take the proxy's cores; here a few run, some wait, and the rest are told to come back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{AcceptedPassword, PasswordHash, PlainPassword};
use crate::identity::workers::{NotDone, Workers};

/// Hashes and checks passwords on its own threads.
pub struct PasswordPool {
    workers: Workers<()>,
    room: Arc<Semaphore>,
    cost: u32,
    nobody: PasswordHash,
    checks: Arc<AtomicU64>,
}

/// A place at a thread or in the queue: whoever has one will get a turn. It is taken before anything else
/// is done for a request, so that one too many costs next to nothing.
pub struct Place {
    _permit: OwnedSemaphorePermit,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    pub fits: bool,
    /// How long a thread was waited for.
    pub waited: Duration,
}

impl PasswordPool {
    /// `threads` that hash at a cost, and room for `queue` that wait.
    pub fn start(cost: u32, threads: usize, queue: usize) -> io::Result<Self> {
        // Those at the threads have a place too.
        let room = threads.saturating_add(queue);
        let tools = vec![(); threads];
        Ok(Self {
            workers: Workers::start_with("airside-bcrypt", tools, room, step_back)?,
            room: Arc::new(Semaphore::new(room)),
            cost,
            nobody: PasswordHash::of_nobody(cost),
            checks: Arc::default(),
        })
    }

    /// Errors: `Full`.
    pub fn enter(&self) -> Result<Place, NotDone> {
        let permit = Arc::clone(&self.room).try_acquire_owned();
        let permit = permit.map_err(|_| NotDone::Full)?;
        Ok(Place { _permit: permit })
    }

    pub async fn hash(&self, password: AcceptedPassword) -> Result<PasswordHash, NotDone> {
        let (cost, place) = (self.cost, self.enter()?);
        let job = move |(): &mut ()| {
            let _place = place;
            PasswordHash::of(&password, cost)
        };
        self.workers.run(job).await?.map_err(|error| {
            log::error!("a password can't be hashed: {error}");
            NotDone::Failed
        })
    }

    /// Is the hash this password's? Without one, for an unknown user, the answer is no and takes the
    /// same time; a wrong password takes as long on a cheaper hash as on one of the present cost. `begun`
    /// is set when the work begins, which it never does where the caller is gone before. Errors: `Full` after
    /// a wait that nobody sits through.
    pub async fn check(
        &self,
        place: Place,
        plain: PlainPassword,
        hash: Option<PasswordHash>,
        begun: Arc<AtomicBool>,
    ) -> Result<Checked, NotDone> {
        let (hash, known) = match hash {
            Some(hash) => (hash, true),
            None => (self.nobody.clone(), false),
        };
        let (cost, checks) = (self.cost, Arc::clone(&self.checks));
        let asked = Instant::now();
        let job = move |(): &mut ()| {
            let _place = place;
            let waited = asked.elapsed();
            if waited > PATIENCE {
                return Err(NotDone::Full);
            }
            begun.store(true, Ordering::Release);
            checks.fetch_add(1, Ordering::Relaxed);
            let fits = hash.fits(&plain) && known;
            if !fits {
                make_up(hash.cost(), cost, &plain);
            }
            Ok(Checked { fits, waited })
        };
        self.workers.run(job).await?
    }

    /// How many passwords wait for a thread.
    pub fn waiting(&self) -> usize {
        self.workers.waiting()
    }

    /// Waits for a turn and leaves it to the next: how long that took, and how long a check would about have
    /// taken.
    pub async fn let_pass(&self, place: Place) -> Result<(Duration, Duration), NotDone> {
        let (asked, cost) = (Instant::now(), self.cost);
        let job = move |(): &mut ()| {
            let _place = place;
            match asked.elapsed() {
                waited if waited > PATIENCE => Err(NotDone::Full),
                waited => Ok((waited, estimate(cost))),
            }
        };
        self.workers.run(job).await?
    }

    /// Was the hash made at a lower cost than is wanted now, or by another system?
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        hash.cost() < self.cost || !hash.is_of_ours()
    }

    /// A new hash of a password that has just been found right. Errors: the threads are all busy.
    pub async fn rehash(&self, plain: PlainPassword) -> Result<PasswordHash, NotDone> {
        self.hash(AcceptedPassword(plain.0)).await
    }

    /// Takes a thread until `end` is closed.
    #[cfg(test)]
    pub fn occupy(
        &self,
        end: std::sync::mpsc::Receiver<()>,
    ) -> impl Future<Output = Result<(), NotDone>> {
        let mut job = Box::pin(self.workers.run(move |()| {
            let _ = end.recv();
        }));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        // Puts it into the queue.
        let _ = job.as_mut().poll(&mut context);
        job
    }

    /// How many passwords were checked since the start, those of nobody among them.
    pub fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }
}

/// Does what is missing between a hash's cost and the present one. Each step doubles the work: one hash of
/// each cost from `done` on is what the step to `cost` takes more than `done`.
fn make_up(done: u32, cost: u32, plain: &PlainPassword) {
    for missing in done..cost {
        PasswordHash::of_nobody(missing).fits(plain);
    }
}

/// The time of a check, from that of a far cheaper one.
fn estimate(cost: u32) -> Duration {
    let began = Instant::now();
    PasswordHash::of_nobody(LEAST_COST).fits(&PlainPassword::new("-"));
    began.elapsed() * 2_u32.saturating_pow(cost.saturating_sub(LEAST_COST))
}

/// A thread that hashes gives way to those that forward requests: it runs where a core has nothing else to do.
/// That is half of it: what runs keeps its core for some milliseconds, whoever wakes, unless it offers it, which
/// the computation does between its rounds.
fn step_back() {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
        let done = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
        if let Err(error) = done {
            log::debug!("a thread that hashes can't be made less urgent: {error:?}");
        }
    }
}

/// A client that has waited so long for a thread is told to come back: it may be gone, and those behind it
/// would wait for its hash. Far below the time that a gateway gives an upstream.
const PATIENCE: Duration = Duration::from_secs(5);
/// Costs of some microseconds.
const LEAST_COST: u32 = 4;
