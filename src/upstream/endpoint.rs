//! One server of an upstream, and how busy it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// As it stands in the configuration, for logs.
    pub name: Arc<str>,
    pub weight: u32,
    in_flight: AtomicU32,
}

impl Endpoint {
    pub fn new(address: SocketAddr, weight: u32) -> Self {
        Self {
            address,
            name: address.to_string().into(),
            weight,
            in_flight: AtomicU32::new(0),
        }
    }

    /// Requests that are being answered by this server.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
