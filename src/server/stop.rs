//! Leaving: SIGTERM lets what is in flight finish, SIGINT and a second SIGTERM don't wait.

use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ShutdownSignal, ShutdownSignalWatch};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::proxy::Traffic;

/// Waits for the signal to leave, then until the gateway is idle, at most for `drain`.
pub struct Stop {
    traffic: Traffic,
    drain: Duration,
}

impl Stop {
    pub fn new(traffic: Traffic, drain: Duration) -> Self {
        Self { traffic, drain }
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
        let ignored = [
            (SignalKind::hangup(), "reloading"),
            (SignalKind::quit(), "upgrading"),
        ];
        for (kind, what) in ignored {
            tokio::spawn(ignore(kind, what));
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => return ShutdownSignal::FastShutdown,
        }
        self.traffic.drain();
        log::info!("leaving: {} requests in flight", self.traffic.in_flight());
        tokio::select! {
            () = idle(&self.traffic, Instant::now() + self.drain) => {}
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

/// Without a handler these would kill the process.
async fn ignore(kind: SignalKind, what: &str) {
    let Some(mut signal) = listen(kind) else {
        return;
    };
    while signal.recv().await.is_some() {
        log::warn!("{what} by a signal is not built yet; nothing was done");
    }
}
