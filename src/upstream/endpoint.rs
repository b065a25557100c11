//! One server of an upstream: its address, its weight, and how it stands.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderValue;

use super::standing::Standing;

#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The address, for logs.
    pub name: Box<str>,
    /// The `Host` of `host: upstream` and of probes: the server's own name as the configuration has it, the port
    /// left out where it is HTTP's own.
    pub authority: HeaderValue,
    /// Whom a certificate must be for: the name, or else the address.
    pub server: Arc<str>,
    pub weight: u32,
    /// It outlives a reload and a new answer of DNS.
    pub standing: Arc<Standing>,
}

impl Endpoint {
    /// `host` is the name that led to the address; an address of its own has none.
    pub fn new(
        address: SocketAddr,
        host: Option<&str>,
        weight: u32,
        standing: Arc<Standing>,
    ) -> Self {
        let authority = match (host, address.port()) {
            (Some(host), 80) => host.to_owned(),
            (Some(host), port) => format!("{host}:{port}"),
            (None, 80) if address.is_ipv4() => address.ip().to_string(),
            (None, _) => address.to_string(),
        };
        Self {
            address,
            name: address.to_string().into(),
            // Invariant: names are letters, digits, `-`, `.` and `_`.
            authority: HeaderValue::try_from(authority)
                .unwrap_or_else(|_| HeaderValue::from_static("upstream")),
            server: host
                .map_or_else(|| address.ip().to_string(), str::to_owned)
                .into(),
            weight,
            standing,
        }
    }
}
