//! Where spans wait for the collector: a bounded queue without a lock, and the thread behind it. One for the process;
//! a reload changes where it posts to, and what waits goes there.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use crossbeam_queue::ArrayQueue;
use tokio::sync::Notify;

use super::config::Tracing;
use super::delivery;
use super::post::Post;
use super::span::Request;
use crate::telemetry::metrics::{Counter, Kind, Page};

/// The way of all spans. Without `begin` it has no thread, and drops what comes.
#[derive(Default)]
pub struct Exporter {
    line: OnceLock<Line>,
    /// Held while the thread is started.
    starting: Mutex<()>,
    counts: Arc<Counts>,
}

struct Line {
    shared: Arc<Shared>,
    /// Closed by the thread when it is done.
    done: Mutex<Receiver<()>>,
}

/// What requests and the thread share.
pub(super) struct Shared {
    /// Boxed: the queue is then 64 KiB, and a request moves as a pointer.
    pub queue: ArrayQueue<Box<Request>>,
    /// How many must wait for the thread to be woken.
    pub wake_at: AtomicUsize,
    pub wake: Notify,
    pub stopping: AtomicBool,
    pub to: ArcSwap<Tracing>,
    pub counts: Arc<Counts>,
}

/// What became of spans.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub exported: Counter,
    pub dropped: Counter,
    pub failed: Counter,
}

impl Exporter {
    /// From now on spans go there. Errors: the thread can't be started.
    pub fn begin(&self, to: &Tracing) -> io::Result<()> {
        let _starting = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = self.line.get() {
            line.shared.to.store(Arc::new(to.clone()));
            return Ok(());
        }
        let line = Line::start(to, self.counts.clone())?;
        // Invariant: nobody else sets it while the lock is held.
        let _ = self.line.set(line);
        Ok(())
    }

    pub(super) fn push(&self, request: Request) {
        match self.line.get() {
            Some(line) => line.shared.push(request),
            None => self.counts.dropped.add(request.spans()),
        }
    }

    /// Exports what waits, for at most two seconds: the collector may be away.
    pub fn stop(&self) {
        if let Some(line) = self.line.get() {
            line.stop();
        }
    }

    /// Writes what became of spans so far.
    pub fn write(&self, page: &mut Page) {
        let families = [
            (
                "airside_spans_exported_total",
                "Spans that a collector has taken.",
                &self.counts.exported,
            ),
            (
                "airside_spans_dropped_total",
                "Spans that were dropped because their queue was full.",
                &self.counts.dropped,
            ),
            (
                "airside_spans_failed_total",
                "Spans that no collector would take.",
                &self.counts.failed,
            ),
        ];
        for (name, help, counter) in families {
            page.family(name, Kind::Counter, help);
            page.sample(name, &[], counter.value());
        }
    }
}

impl Line {
    fn start(to: &Tracing, counts: Arc<Counts>) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(CAPACITY, to, counts));
        let post = Post::new().map_err(io::Error::other)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (running, done) = mpsc::channel::<()>();
        let work = {
            let shared = shared.clone();
            move || {
                runtime.block_on(delivery::run(&shared, &post));
                drop(running);
            }
        };
        std::thread::Builder::new()
            .name("airside-spans".to_owned())
            .spawn(work)?;
        Ok(Self {
            shared,
            done: Mutex::new(done),
        })
    }

    fn stop(&self) {
        let shared = &self.shared;
        shared.stopping.store(true, SeqCst);
        shared.wake.notify_one();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(mpsc::RecvTimeoutError::Timeout) = done.recv_timeout(PATIENCE) {
            log::warn!("left with spans that the collector has not taken");
        }
    }
}

impl Shared {
    pub(super) fn new(capacity: usize, to: &Tracing, counts: Arc<Counts>) -> Self {
        Self {
            queue: ArrayQueue::new(capacity),
            wake_at: AtomicUsize::new(NEVER),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
            to: ArcSwap::from_pointee(to.clone()),
            counts,
        }
    }

    pub(super) fn push(&self, request: Request) {
        let spans = request.spans();
        if self.stopping.load(SeqCst) || self.queue.push(Box::new(request)).is_err() {
            self.counts.dropped.add(spans);
            return;
        }
        // Queued first and looked at then; the thread does it the other way round: one of the two sees the other.
        let at = self.wake_at.load(SeqCst);
        if at != NEVER && self.queue.len() >= at && self.wake_at.swap(NEVER, SeqCst) != NEVER {
            self.wake.notify_one();
        }
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("Exporter")
    }
}

/// Nobody waits to be woken.
pub(super) const NEVER: usize = usize::MAX;
/// Requests that wait at most: with the longest texts some 30 MB, usually 4.
const CAPACITY: usize = 4_096;
const PATIENCE: Duration = Duration::from_secs(2);
