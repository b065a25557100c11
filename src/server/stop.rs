//! Leaving: SIGTERM lets what is in flight finish, SIGINT and a second SIGTERM don't wait.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use signal_hook::consts::{SIGHUP, SIGQUIT};
use signal_hook::iterator::Signals;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::plan::Plan;
use crate::proxy::Traffic;

/// Waits for the signal to leave, then until the gateway is idle, at most for the plan's `drain`.
pub struct Stop {
    traffic: Traffic,
    plan: Arc<ArcSwap<Plan>>,
}

impl Stop {
    pub fn new(traffic: Traffic, plan: Arc<ArcSwap<Plan>>) -> Self {
        Self { traffic, plan }
    }
}

#[async_trait]
impl ShutdownSignalWatch for Stop {
    async fn recv(&self) -> ShutdownSignal {
        let (Some(mut terminate), Some(mut interrupt)) = (
            listen(SignalKind::terminate()),
            listen(SignalKind::interrupt()),
        ) else {
            // Without handlers the signals have their default effect: the process ends.
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
        }
        self.traffic.drain();
        let drain = self.plan.load().drain;
        log::info!("leaving: {} requests in flight", self.traffic.in_flight());
        tokio::select! {
            () = idle(&self.traffic, Instant::now() + drain) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        match self.traffic.in_flight() {
            0 => log::info!("left with nothing in flight"),
            cut => log::warn!("left with {cut} requests cut off"),
        }
        // Everything that was waited for is done: Pingora need not wait again.
        ShutdownSignal::FastShutdown
    }
}

async fn idle(traffic: &Traffic, deadline: Instant) {
    while traffic.in_flight() > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(5)).await;
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .map_err(|error| log::error!("can't listen for a signal: {error}"))
        .ok()
}

/// Takes the signals that would kill a process without a handler, from now on; SIGHUP does `hangup`. Errors: the
/// system has no thread or no handler to give.
pub fn take_hangup_and_quit(hangup: impl Fn() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGQUIT])?;
    let work = move || {
        for signal in signals.forever() {
            match signal {
                SIGHUP => hangup(),
                _ => log::warn!("upgrading by a signal is not built yet; nothing was done"),
            }
        }
    };
    thread::Builder::new()
        .name("airside-signals".to_owned())
        .spawn(work)
        .map(drop)
}
