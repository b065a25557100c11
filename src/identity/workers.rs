//! A few threads of our own behind a bounded queue, for work that would block the runtime: hashing and
//! SQLite. Each thread owns its tool, such as a database connection.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

/// Threads that each own a `Tool`. They end when this is dropped and the queue is empty.
pub struct Workers<Tool> {
    queue: SyncSender<Job<Tool>>,
    waiting: Arc<AtomicUsize>,
}

/// Why a job was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotDone {
    /// The queue is full: nothing was begun.
    #[error("too many are waiting")]
    Full,
    /// The job panicked; its thread goes on with the next one.
    #[error("the work failed")]
    Failed,
}

type Job<Tool> = Box<dyn FnOnce(&mut Tool) + Send>;

impl<Tool: Send + 'static> Workers<Tool> {
    /// One thread for each tool; at most `queue` jobs wait for one.
    pub fn start(name: &str, tools: Vec<Tool>, queue: usize) -> io::Result<Self> {
        Self::start_with(name, tools, queue, || {})
    }

    /// The same, where each thread does something of its own first.
    pub fn start_with(name: &str, tools: Vec<Tool>, queue: usize, first: fn()) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let receiver = Arc::new(Mutex::new(receiver));
        for tool in tools {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new().name(name.to_owned());
            thread.spawn(move || {
                first();
                work(tool, &receiver);
            })?;
        }
        Ok(Self {
            queue: sender,
            waiting: Arc::default(),
        })
    }

    /// Has a job done and waits for its result, on any runtime. A job whose caller is gone before its
    /// turn is left out: a flood of clients that hang up costs nothing.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Tool) -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let (answer, result) = oneshot::channel();
        let waiting = Waiting::one_more(&self.waiting);
        let job = move |tool: &mut Tool| {
            drop(waiting);
            if !answer.is_closed() {
                // The caller may leave while the job runs.
                let _ = answer.send(job(tool));
            }
        };
        // The only other error, "no thread is left", can't be: threads outlive panics.
        let queued = self.queue.try_send(Box::new(job));
        queued.map_err(|_| NotDone::Full)?;
        result.await.map_err(|_| NotDone::Failed)
    }

    /// How many jobs wait for a thread.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// Counts a job for as long as it waits, also where it is refused or thrown away.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn work<Tool>(mut tool: Tool, queue: &Mutex<Receiver<Job<Tool>>>) {
    loop {
        // Nothing panics while the lock is held.
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        // A transaction that a panic cuts short rolls back as it unwinds, so the tool stays whole.
        let done = catch_unwind(AssertUnwindSafe(|| job(&mut tool)));
        if done.is_err() {
            log::error!("a job of the identity service panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_and_recovers() {
        let workers = Workers::start("test", vec![()], 1).unwrap();
        let (begun, has_begun) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let running = workers.run(move |()| {
            begun.send(()).unwrap();
            wait.recv().unwrap();
        });
        let mut running = Box::pin(running);
        assert!(futures_poll(&mut running).is_none());
        has_begun.recv().unwrap();
        let mut queued = Box::pin(workers.run(|()| 2));
        assert!(futures_poll(&mut queued).is_none());
        assert_eq!(workers.waiting(), 1);
        assert_eq!(workers.run(|()| 3).await, Err(NotDone::Full));
        release.send(()).unwrap();
        assert_eq!((running.await, queued.await), (Ok(()), Ok(2)));
        assert_eq!(workers.run(|()| 4).await, Ok(4));
        assert_eq!(workers.waiting(), 0);
    }

    #[tokio::test]
    async fn a_panic_costs_one_job_and_no_thread() {
        let workers = Workers::start("test", vec![1], 1).unwrap();
        assert_eq!(
            workers.run(|_| panic!("as meant")).await,
            Err::<(), _>(NotDone::Failed)
        );
        assert_eq!(workers.run(|tool| *tool).await, Ok(1));
    }

    /// One poll, which puts the job into the queue.
    fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::Pin::new(future).poll(&mut context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        }
    }
}
