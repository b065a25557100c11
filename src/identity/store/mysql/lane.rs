//! One thread with a runtime of its own for everything that talks to the server. A connection belongs
//! to the runtime that made it, while the store is asked from several: the service's, the admin
//! listener's, the shell's. And a job that has begun is done to its end, also where its caller hangs
//! up: nothing is cut off in the middle of the protocol but by our own time limit.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{LocalSet, spawn_local};

use crate::identity::workers::NotDone;

/// The thread; it ends when this is dropped.
pub(super) struct Lane {
    jobs: UnboundedSender<Job>,
    room: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

impl Lane {
    /// At most `room` jobs are begun or wait at once.
    pub(super) fn start(name: &str, room: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (jobs, queue) = unbounded_channel();
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || LocalSet::new().block_on(&runtime, work(queue)))?;
        let room = Arc::new(Semaphore::new(room));
        Ok(Self { jobs, room })
    }

    /// Has a job done beside others, and waits for its result on any runtime.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl AsyncFnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        let room = Arc::clone(&self.room).try_acquire_owned();
        let room = room.map_err(|_| NotDone::Full)?;
        let (answer, result) = oneshot::channel();
        self.spawn(async move || {
            let _room = room;
            if !answer.is_closed() {
                // The caller may leave while the job runs.
                let _ = answer.send(job().await);
            }
        });
        result.await.map_err(|_| NotDone::Failed)
    }

    /// Has a job done that nobody waits for.
    pub(super) fn spawn(&self, job: impl AsyncFnOnce() + Send + 'static) {
        // The thread outlives this sender; a job that panics ends alone.
        let _ = self
            .jobs
            .send(Box::new(|| Box::pin(async move { job().await })));
    }
}

async fn work(mut queue: UnboundedReceiver<Job>) {
    while let Some(job) = queue.recv().await {
        spawn_local(job());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn jobs_run_side_by_side_and_a_panic_costs_one() {
        let lane = Lane::start("test", 2).unwrap();
        let (tell, told) = oneshot::channel();
        let (first, second) = tokio::join!(
            lane.run(async move || told.await.unwrap()),
            lane.run(async move || tell.send(7).unwrap()),
        );
        assert_eq!((first, second), (Ok(7), Ok(())));
        let failed = lane.run(async || panic!("as meant")).await;
        assert_eq!(failed, Err::<(), _>(NotDone::Failed));
        assert_eq!(lane.run(async || 1).await, Ok(1));
    }

    #[tokio::test]
    async fn beyond_its_room_it_refuses_at_once() {
        let lane = Lane::start("test", 1).unwrap();
        let (tell, told) = oneshot::channel();
        let (first, second) = tokio::join!(lane.run(async move || told.await.unwrap()), async {
            let second = lane.run(async || 2).await;
            tell.send(1).unwrap();
            second
        });
        assert_eq!((first, second), (Ok(1), Err(NotDone::Full)));
    }
}
