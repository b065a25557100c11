//! What must hold before anything is started, told early and clearly.

use std::net::{SocketAddr, TcpListener};

use super::StartError;

/// Tries an address: Pingora would lose the listener in a panicking task and live on without it.
pub fn can_listen(address: SocketAddr, purpose: &str) -> Result<(), StartError> {
    TcpListener::bind(address)
        .map(drop)
        .map_err(|why| StartError::Listen {
            address,
            purpose: purpose.to_owned(),
            why,
        })
}

/// Ends the process where a listener fails all the same, because another took the address in between. Every
/// other panic ends its own task only.
pub fn exit_when_a_listener_fails() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default(panic);
        let message = panic.payload_as_str().unwrap_or_default();
        if message.starts_with("Failed to build listeners") {
            std::process::exit(1);
        }
    }));
}
