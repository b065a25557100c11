//! Leaving without losing a request: SIGTERM lets what is in flight finish and a second one does not
//! wait; after a hand-over the same, while the successor takes what is new.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::sync::{Mutex, mpsc};

use super::handover::Handover;
use super::manager;
use crate::plan::Plan;
use crate::proxy::Traffic;
use crate::telemetry::access::AccessLog;

/// How the process ends.
pub struct Leave {
    traffic: Traffic,
    plan: Arc<ArcSwap<Plan>>,
    access_log: Arc<AccessLog>,
    handover: Arc<Handover>,
    orders: mpsc::UnboundedSender<ShutdownSignal>,
    begun: AtomicBool,
}

/// Why it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Stopped,
    /// Another process has the listeners and serves.
    Succeeded,
}

/// What Pingora is told to do.
pub struct Orders(Mutex<mpsc::UnboundedReceiver<ShutdownSignal>>);

impl Leave {
    pub fn new(
        traffic: Traffic,
        plan: Arc<ArcSwap<Plan>>,
        access_log: Arc<AccessLog>,
        handover: Arc<Handover>,
    ) -> (Arc<Self>, Orders) {
        let (orders, taken) = mpsc::unbounded_channel();
        let leave = Self {
            traffic,
            plan,
            access_log,
            handover,
            orders,
            begun: AtomicBool::new(false),
        };
        (Arc::new(leave), Orders(Mutex::new(taken)))
    }

    /// Leaves; asked once more it does not wait any longer.
    pub fn begin(self: &Arc<Self>, cause: Cause) {
        if self.begun.swap(true, Ordering::AcqRel) {
            self.end();
        }
        let leave = self.clone();
        let thread = thread::Builder::new().name("airside-leave".to_owned());
        if let Err(error) = thread.spawn(move || leave.run(cause)) {
            log::error!("no thread to leave on: {error}");
            self.end();
        }
    }

    /// Ends the process now. What the access log has is written, and spans that wait are exported.
    pub fn end(&self) {
        match self.traffic.in_flight() {
            0 => log::info!("left with nothing in flight"),
            cut => log::warn!("left with {cut} requests cut off"),
        }
        self.handover.release();
        self.plan.load().tracer.exporter().stop();
        self.access_log.stop();
        std::process::exit(0);
    }

    fn run(&self, cause: Cause) {
        if cause == Cause::Stopped {
            manager::tell_stopping();
        }
        // From now on answers close their connections and `/readyz` says so.
        self.traffic.drain();
        let drain = self.plan.load().drain;
        let deadline = Instant::now() + drain;
        log::info!("leaving: {} requests in flight", self.traffic.in_flight());
        match cause {
            // Until the load balancer has noticed, whoever comes is served.
            Cause::Stopped => {
                if self.wait_until_quiet(Instant::now() + NOTICED.min(drain / 2)) {
                    self.end();
                }
            }
            // Kept connections learn with their next answer that they end.
            Cause::Succeeded => thread::sleep(SAID.min(drain)),
        }
        // No listener takes anything more. Pingora's own wait is as good as endless: this thread ends it.
        let _ = self.orders.send(ShutdownSignal::GracefulTerminate);
        thread::sleep(LAST_ACCEPTED);
        self.wait_until_quiet(deadline);
        self.end();
    }

    /// Waits until nothing was in flight for a moment; false where the deadline came first.
    fn wait_until_quiet(&self, deadline: Instant) -> bool {
        let mut quiet_since = None;
        while Instant::now() < deadline {
            if self.traffic.in_flight() > 0 {
                quiet_since = None;
            } else if quiet_since.get_or_insert_with(Instant::now).elapsed() >= QUIET {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

#[async_trait]
impl ShutdownSignalWatch for Orders {
    async fn recv(&self) -> ShutdownSignal {
        match self.0.lock().await.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }
}

/// Health checks of load balancers come every few seconds.
const NOTICED: Duration = Duration::from_secs(5);
/// What a busy kept connection takes to have its next answer.
const SAID: Duration = Duration::from_secs(1);
/// A connection that was taken last has its request read within this.
const LAST_ACCEPTED: Duration = super::LAST_ACCEPTED;
/// Nothing in flight for so long is no gap between two requests.
const QUIET: Duration = Duration::from_millis(100);
