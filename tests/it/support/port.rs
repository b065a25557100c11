//! Ports of this machine that nothing listens on.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// An address that can be bound now. No two calls of one run get the same, and it lies below the range
/// from which the system serves outgoing connections, so that none of them takes it meanwhile.
pub fn free() -> SocketAddr {
    for _ in 0..RANGE {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        // Runs that go side by side begin at different places.
        let start = (std::process::id() % u32::from(RANGE)) as u16;
        let port = FIRST + (start.wrapping_mul(37) % RANGE + offset % RANGE) % RANGE;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free from {FIRST} on");
}

static NEXT: AtomicU16 = AtomicU16::new(0);
const FIRST: u16 = 12_000;
const RANGE: u16 = 18_000;
