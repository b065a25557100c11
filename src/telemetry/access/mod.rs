//! The access log: one JSON line a request. Handing a record over takes no lock and never waits; a
//! thread of its own formats and writes.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_queue::ArrayQueue;
use http::HeaderName;

use super::config::{self, Destination};
use output::{Output, Target};

mod line;
mod output;
mod record;
mod writer;

pub use record::{Field, Record, Text};

/// The running access log. Dropping it writes what is queued.
pub struct AccessLog {
    /// `None` where the log is off.
    queue: Option<Queue>,
    fields: Arc<[HeaderName]>,
    /// Requests whose hash is below are logged.
    threshold: u64,
}

struct Queue {
    shared: Arc<Shared>,
    writer: Thread,
    /// Closed by the writer when it is done.
    done: Mutex<Receiver<()>>,
}

struct Shared {
    /// Boxed: the queue is then 256 KiB, and a record moves as a pointer.
    records: ArrayQueue<Box<Record>>,
    /// The writer sleeps until it is woken.
    parked: AtomicBool,
    stopping: AtomicBool,
    dropped: AtomicU64,
}

impl AccessLog {
    /// Opens the log and starts its thread; paths are relative to `folder`. Errors: the file can't
    /// be opened, or the thread not started.
    pub fn start(config: &config::AccessLog, folder: &Path) -> io::Result<Self> {
        let output = match &config.to {
            Destination::Off => None,
            Destination::Stdout => Some(Target::stdout()?),
            Destination::File(path) => {
                let path = folder.join(path);
                let named = format!("{}: ", path.display());
                let opened = Target::file(path, RECHECK);
                Some(opened.map_err(|why| io::Error::new(why.kind(), named + &why.to_string()))?)
            }
        };
        Self::with_output(config, CAPACITY, output)
    }

    fn with_output(
        config: &config::AccessLog,
        capacity: usize,
        output: Option<impl Output>,
    ) -> io::Result<Self> {
        let fields: Arc<[_]> = config.fields.iter().map(|name| name.0.clone()).collect();
        let start = |output| Queue::start(capacity, output, fields.clone());
        Ok(Self {
            queue: output.map(start).transpose()?,
            fields,
            // A product beyond the type's range becomes its maximum.
            threshold: (config.sample.0 * 2_f64.powi(64)) as u64,
        })
    }

    /// Is the request with this id to be logged? Asked before its record is built. The choice hangs
    /// on the id alone, so that all gateways that a request passes make the same.
    pub fn wants(&self, request_id: &str) -> bool {
        let sampled = || {
            let hash = std::hash::BuildHasher::hash_one(
                &foldhash::quality::FixedState::default(),
                request_id,
            );
            hash < self.threshold
        };
        self.queue.is_some() && (self.threshold == u64::MAX || sampled())
    }

    /// The request headers whose values `Text::push_header` expects, in this order.
    pub fn fields(&self) -> &[HeaderName] {
        &self.fields
    }

    /// Queues a record. Where the queue is full the record is dropped and counted.
    pub fn log(&self, record: Box<Record>) {
        if let Some(queue) = &self.queue {
            queue.push(record);
        }
    }

    /// Records that were never written: the queue was full, or writing failed.
    pub fn dropped(&self) -> u64 {
        self.queue
            .as_ref()
            .map_or(0, |queue| queue.shared.dropped.load(SeqCst))
    }

    /// Writes what is queued and ends the thread. Later records are dropped. Waits for at most five
    /// seconds, because nobody may be reading a pipe any more.
    pub fn stop(&self) {
        if let Some(queue) = &self.queue {
            queue.stop();
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    fn start(capacity: usize, output: impl Output, fields: Arc<[HeaderName]>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            records: ArrayQueue::new(capacity),
            parked: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        });
        let (running, done) = mpsc::channel::<()>();
        let handle = std::thread::Builder::new()
            .name("access-log".into())
            .spawn({
                let shared = shared.clone();
                move || {
                    writer::run(&shared, output, &fields);
                    drop(running);
                }
            })?;
        Ok(Self {
            shared,
            writer: handle.thread().clone(),
            done: Mutex::new(done),
        })
    }

    fn push(&self, record: Box<Record>) {
        let shared = &self.shared;
        let refused = shared.stopping.load(SeqCst) || shared.records.push(record).is_err();
        if refused {
            shared.dropped.fetch_add(1, SeqCst);
        } else if shared.parked.load(SeqCst) && shared.parked.swap(false, SeqCst) {
            self.writer.unpark();
        }
    }

    fn stop(&self) {
        self.shared.stopping.store(true, SeqCst);
        self.writer.unpark();
        let done = self
            .done
            .lock()
            .unwrap_or_else(|broken| broken.into_inner());
        let _ = done.recv_timeout(PATIENCE);
        while self.shared.records.pop().is_some() {
            self.shared.dropped.fetch_add(1, SeqCst);
        }
    }
}

/// Records that wait at most: with the longest texts some 70 MB, usually 8.
const CAPACITY: usize = 16_384;
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a file is looked at for having been rotated away.
const RECHECK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
