//! How a server is spoken to: TLS or not, and which HTTP.

use pingora::listeners::ALPN;
use pingora::upstreams::peer::HttpPeer;

use super::config::Protocol;
use crate::tls::Outward;

/// An upstream's `protocol` and `tls`.
#[derive(Debug, Clone, PartialEq)]
pub struct Transport {
    protocol: Protocol,
    tls: Option<Outward>,
}

impl Transport {
    pub fn new(protocol: Protocol, tls: Option<Outward>) -> Self {
        Self { protocol, tls }
    }

    /// HTTP/1.1 without TLS.
    pub fn plain() -> Self {
        Self::new(Protocol::Http1, None)
    }

    /// Makes a connection to `server`, its name or address, speak what the upstream speaks. Neither the authorities
    /// nor ALPN are in the key of Pingora's pool: each upstream needs a `group_key` of its own.
    pub fn apply(&self, peer: &mut HttpPeer, server: &str) {
        if let Some(tls) = &self.tls {
            tls.apply(peer, server);
        }
        peer.options.alpn = match self.protocol {
            Protocol::Http1 => ALPN::H1,
            // A server that turns HTTP/2 down in the handshake is spoken to in HTTP/1.1.
            Protocol::Http2 if self.tls.is_some() => ALPN::H2H1,
            Protocol::Http2 | Protocol::Grpc => ALPN::H2,
        };
        peer.options.max_h2_streams = MAX_STREAMS;
    }

    /// May an answer be silent for as long as it likes?
    pub fn streams(&self) -> bool {
        self.protocol == Protocol::Grpc
    }

    /// Is a connection there for several requests at once?
    pub fn shares(&self) -> bool {
        self.protocol != Protocol::Http1
    }

    pub fn tls(&self) -> Option<&Outward> {
        self.tls.as_ref()
    }
}

/// At once on one connection to a server, which may allow fewer; Pingora's default is one.
const MAX_STREAMS: usize = 100;
