//! TLS on both sides: certificates by name and their renewal, the handshake, client certificates, and what
//! is asked of an upstream's, and of servers that the gateway needs for itself.

pub mod acceptor;
pub mod certificates;
pub mod client;
pub mod config;
mod names;
pub mod pem;
pub mod trust;
pub mod upstream;

pub use acceptor::Acceptor;
pub use certificates::Certificates;
pub use client::Handshake;
pub use pem::TlsError;
pub use upstream::Outward;
