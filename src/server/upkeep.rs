//! What goes on around upstreams beside requests, as a service of Pingora's: probes, names that DNS resolves, and
//! connections that nobody uses.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;

use crate::admin::Check;
use crate::base::clock::Clock;
use crate::upstream::names::Names;
use crate::upstream::{Registry, Shelves};

pub struct Upkeep {
    upstreams: Arc<Registry>,
    shelves: Arc<Shelves>,
    clock: Clock,
    /// In place of the system's DNS servers.
    server: Option<SocketAddr>,
}

impl Upkeep {
    pub fn new(
        upstreams: Arc<Registry>,
        shelves: Arc<Shelves>,
        clock: Clock,
        server: Option<SocketAddr>,
    ) -> Self {
        Self {
            upstreams,
            shelves,
            clock,
            server,
        }
    }
}

#[async_trait]
impl BackgroundService for Upkeep {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let names = Names::new(self.server);
        tokio::select! {
            () = self.upstreams.watch(self.clock.clone(), names) => {}
            () = self.shelves.sweep() => {}
            _ = shutdown.changed() => {}
        }
    }
}

/// Ready once DNS was asked for every name, whatever it said: a gateway whose upstream is away still serves others,
/// and taking it out of service would help nobody.
pub fn readiness(upstreams: Arc<Registry>) -> Check {
    Arc::new(move || {
        let pending = upstreams.pending();
        Box::pin(async move {
            match pending.is_empty() {
                true => Ok(()),
                false => Err(format!("names are being resolved: {}", pending.join(", "))),
            }
        })
    })
}

/// The DNS server that the environment names, if it names one. Errors: what it says is no address.
pub fn dns_server() -> Result<Option<SocketAddr>, String> {
    match std::env::var(DNS) {
        Ok(text) if !text.is_empty() => text.parse().map(Some).map_err(|_| text),
        _ => Ok(None),
    }
}

/// The variable that names a DNS server.
pub const DNS: &str = "AIRSIDE_DNS";
