//! The access log's thread: takes records off the queue, writes them in batches, sleeps when there
//! is nothing to do, and survives whatever becomes of the output.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use http::HeaderName;

use super::Shared;
use super::line::Lines;
use super::output::{Lost, Output};

/// Runs until `stopping` is set and everything queued before is written.
pub(super) fn run(shared: &Shared, mut output: impl Output, fields: &[HeaderName]) {
    let mut batch = Vec::with_capacity(2 * BATCH);
    let (mut lines, mut complaints) = (Lines::default(), Complaints::default());
    loop {
        // Read before the queue is emptied: what was queued before it was set gets written.
        let stopping = shared.stopping.load(SeqCst);
        let mut idle = true;
        while let Some(record) = shared.records.pop() {
            idle = false;
            lines.add(&mut batch, &record, fields);
            if batch.len() >= BATCH {
                write(shared, &mut output, &mut batch, &mut complaints);
            }
        }
        write(shared, &mut output, &mut batch, &mut complaints);
        if stopping {
            return;
        }
        match idle {
            // Records that come one by one are gathered for a moment, and cost no wake-up each.
            false => std::thread::park_timeout(GATHER),
            true => park(shared),
        }
    }
}

/// Sleeps until woken. A producer queues and then looks at the flag; here the flag is set and then
/// the queue looked at: one of the two sees the other, so that no record waits unseen.
fn park(shared: &Shared) {
    shared.parked.store(true, SeqCst);
    if shared.records.is_empty() && !shared.stopping.load(SeqCst) {
        std::thread::park();
    }
    shared.parked.store(false, SeqCst);
}

fn write(
    shared: &Shared,
    output: &mut impl Output,
    batch: &mut Vec<u8>,
    complaints: &mut Complaints,
) {
    if batch.is_empty() {
        return;
    }
    if let Err(lost) = output.write(batch) {
        shared.dropped.fetch_add(lost.lines, SeqCst);
        complaints.add(&lost);
    }
    batch.clear();
}

/// Tells of failures at most once a minute: a full disk must not fill the other log too.
#[derive(Default)]
struct Complaints {
    lines: u64,
    told: Option<Instant>,
}

impl Complaints {
    fn add(&mut self, lost: &Lost) {
        self.lines += lost.lines;
        if self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            log::warn!(lines = self.lines; "the access log can't be written: {}", lost.error);
            *self = Self {
                lines: 0,
                told: Some(Instant::now()),
            };
        }
    }
}

/// Bytes that are written at once.
const BATCH: usize = 64 << 10;
const GATHER: Duration = Duration::from_millis(5);
const TELL_EVERY: Duration = Duration::from_secs(60);
