//! The listening sockets: known once all listeners have theirs, and given to a successor.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::{ServiceReadyNotifier, ServiceWithDependents};

use super::preflight;

/// Pingora's table of listening sockets, as soon as there is one.
#[derive(Clone, Default)]
pub struct Sockets(Arc<OnceLock<ListenFds>>);

/// Looks at what a predecessor gave before any listener is opened: those that are missing have to be free.
pub struct Inherited {
    sockets: Sockets,
    addresses: Vec<SocketAddr>,
}

/// Waits until every listener has its socket.
pub struct Opened {
    sockets: Sockets,
    addresses: Vec<SocketAddr>,
    ready: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Sockets {
    fn have(&self, address: &SocketAddr) -> bool {
        let sockets = self.0.get();
        sockets.is_some_and(|sockets| sockets.lock().get(&address.to_string()).is_some())
    }

    /// Gives all sockets to whoever listens at `path`. Errors: it was not taken; the sockets stay open
    /// here in any case.
    pub fn send(&self, path: &Path) -> Result<(), String> {
        let sockets = self.0.get().ok_or("no listener is open yet")?;
        let path = path.to_str().ok_or("the path is not UTF-8")?;
        let sent = sockets.lock().send_to_sock(path);
        sent.map(drop).map_err(|error| error.to_string())
    }
}

impl Inherited {
    pub fn new(sockets: Sockets, addresses: Vec<SocketAddr>) -> Self {
        Self { sockets, addresses }
    }
}

#[async_trait]
impl ServiceWithDependents for Inherited {
    async fn start_service(
        &mut self,
        sockets: Option<ListenFds>,
        _: ShutdownWatch,
        _: usize,
        ready: ServiceReadyNotifier,
    ) {
        if let Some(sockets) = sockets {
            for address in &self.addresses {
                let inherited = sockets.lock().get(&address.to_string()).is_some();
                // Pingora would try for half a minute, with the predecessor's listeners in its hands.
                if !inherited && let Err(error) = preflight::can_listen(*address, "a new listener")
                {
                    log::error!("{error}");
                    std::process::exit(1);
                }
            }
            // Errors: it is set already, which nobody else does.
            let _ = self.sockets.0.set(sockets);
        }
        ready.notify_ready();
    }

    fn name(&self) -> &str {
        "inherited"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        Some(Vec::new())
    }
}

impl Opened {
    /// `ready` is called once all of these addresses are listened on.
    pub fn new(
        sockets: Sockets,
        addresses: Vec<SocketAddr>,
        ready: impl FnOnce() + Send + 'static,
    ) -> Self {
        Self {
            sockets,
            addresses,
            ready: Mutex::new(Some(Box::new(ready))),
        }
    }
}

#[async_trait]
impl ServiceWithDependents for Opened {
    async fn start_service(
        &mut self,
        _: Option<ListenFds>,
        mut shutdown: ShutdownWatch,
        _: usize,
        dependents: ServiceReadyNotifier,
    ) {
        while !self
            .addresses
            .iter()
            .all(|address| self.sockets.have(address))
        {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        dependents.notify_ready();
        let ready = self
            .ready
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(ready) = ready {
            ready();
        }
        // Errors: the server is gone.
        let _ = shutdown.changed().await;
    }

    fn name(&self) -> &str {
        "sockets"
    }

    fn threads(&self) -> Option<usize> {
        Some(1)
    }

    /// None of its own: what nobody claims of inherited sockets is closed.
    fn listen_addresses(&self) -> Option<Vec<String>> {
        Some(Vec::new())
    }
}
