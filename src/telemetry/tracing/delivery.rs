//! The exporter's thread: gathers spans for a moment, posts them in batches, and tries again what the collector could
//! not take. Whatever becomes of it, requests never notice: what does not fit in the queue meanwhile is dropped there.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use prost::Message;
use tokio::time::Instant;

use super::exporter::{NEVER, Shared};
use super::post::{Answer, Post};
use super::span::Request;
use super::spans;
use crate::base::id::RequestId;

/// Runs until `stopping` is set and what was queued before is posted.
pub(super) async fn run(shared: &Shared, post: &Post) {
    let mut delivery = Delivery {
        shared,
        post,
        instance: RequestId::random(),
        in_trouble: false,
    };
    loop {
        // Read before the queue is emptied: what was queued before it was set gets posted.
        let stopping = shared.stopping.load(SeqCst);
        let batch = shared.take();
        if !batch.is_empty() {
            delivery.deliver(&batch).await;
        } else if stopping {
            return;
        } else {
            shared.wait_for(1, None).await;
        }
        shared.wait_for(BATCH, Some(GATHER)).await;
    }
}

struct Delivery<'a> {
    shared: &'a Shared,
    post: &'a Post,
    /// Tells this process from others of its name.
    instance: RequestId,
    in_trouble: bool,
}

impl Delivery<'_> {
    /// Posts a batch until it is taken, refused, or was tried often enough.
    async fn deliver(&mut self, batch: &[Request]) {
        let counts = &self.shared.counts;
        let spans: u64 = batch.iter().map(Request::spans).sum();
        for tries in 1.. {
            // Asked each time: a reload may have brought another collector.
            let to = self.shared.to.load_full();
            let message = spans::batch(batch, &to, self.instance.as_str());
            let (why, after) = match self.post.send(&to, message.encode_to_vec()).await {
                Answer::Taken => {
                    counts.exported.add(spans);
                    return self.is_well();
                }
                Answer::TakenInPart { rejected, why } => {
                    let rejected = rejected.min(spans);
                    counts.exported.add(spans - rejected);
                    counts.failed.add(rejected);
                    return self.complain(&why);
                }
                Answer::Refused(why) => {
                    counts.failed.add(spans);
                    return self.complain(&why);
                }
                Answer::Later { why, after } => (why, after),
            };
            self.complain(&why);
            if tries >= TRIES || self.shared.stopping.load(SeqCst) {
                return counts.failed.add(spans);
            }
            self.shared.pause(pause(tries, after)).await;
        }
    }

    /// The same trouble is told once.
    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.in_trouble, true) {
            log::warn!("tracing: the collector does not take all spans: {why}");
        }
    }

    fn is_well(&mut self) {
        if std::mem::take(&mut self.in_trouble) {
            log::info!("tracing: the collector takes spans again");
        }
    }
}

impl Shared {
    /// What waits, as much as fits in a batch.
    fn take(&self) -> Vec<Request> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(request) = self.queue.pop()
        {
            batch.push(*request);
        }
        batch
    }

    /// Waits until so many wait, or it is time, or the end.
    async fn wait_for(&self, many: usize, within: Option<Duration>) {
        self.wake_at.store(many, SeqCst);
        if self.queue.len() < many && !self.stopping.load(SeqCst) {
            let woken = self.wake.notified();
            match within {
                Some(within) => drop(tokio::time::timeout(within, woken).await),
                None => woken.await,
            }
        }
        self.wake_at.store(NEVER, SeqCst);
    }

    /// Waits, but not beyond the end.
    async fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.stopping.load(SeqCst) {
            let _ = tokio::time::timeout_at(until, self.wake.notified()).await;
        }
    }
}

/// How long to wait after so many tries: as long as the collector asks for, else twice as long each time, and by
/// chance a little less, so that gateways do not come back together.
fn pause(tries: u32, asked: Option<Duration>) -> Duration {
    match asked {
        Some(asked) => asked.min(LONGEST),
        None => (FIRST * (1 << (tries - 1).min(8))).mul_f64(0.5 + rand::random::<f64>() / 2.0),
    }
}

/// Requests that are posted together.
const BATCH: usize = 256;
/// Spans that come one by one are gathered for a moment, and cost no call each.
const GATHER: Duration = Duration::from_secs(1);
/// With the pauses between them some half a minute.
const TRIES: u32 = 6;
const FIRST: Duration = Duration::from_secs(1);
/// A collector that wants to be left alone for longer is asked nevertheless.
const LONGEST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
