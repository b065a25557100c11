//! An upstream as a request meets it: its servers, the choice between them, and the peer to connect to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::listeners::ALPN;
use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use rand::RngExt;

use super::balance::Balancer;
use super::config::{Address, Upstream};
use super::endpoint::Endpoint;
use super::gate::{Gate, Gated};
use super::transport::Transport;
use crate::tls::Outward;

/// A compiled upstream.
#[derive(Debug)]
pub struct Cluster {
    pub name: Arc<str>,
    endpoints: Vec<Arc<Endpoint>>,
    balancer: Balancer,
    /// Keeps this upstream's connections apart from those of another to the same address.
    group: u64,
    transport: Transport,
}

/// A request's claim on an endpoint; it counts as in flight until this is dropped.
#[derive(Debug)]
pub struct Lease {
    pub endpoint: Arc<Endpoint>,
}

impl Cluster {
    /// Names are left out: a configuration that has them is refused.
    pub fn new(name: &str, group: u64, config: &Upstream, tls: Option<Outward>) -> Self {
        let servers = config.servers.value.iter();
        let endpoints = servers.filter_map(|server| match server.value.address {
            Address::Socket(address) => Some(Arc::new(Endpoint::new(address, server.value.weight))),
            Address::Name(_) => None,
        });
        let endpoints: Vec<_> = endpoints.collect();
        Self {
            name: name.into(),
            balancer: Balancer::new(config.balance, &endpoints),
            endpoints,
            group,
            transport: Transport::new(config.protocol, tls),
        }
    }

    /// The built-in upstream of one address.
    pub fn single(name: &str, group: u64, address: SocketAddr) -> Self {
        let endpoints = vec![Arc::new(Endpoint::new(address, 1))];
        Self {
            name: name.into(),
            balancer: Balancer::new(super::config::Balance::Random, &endpoints),
            endpoints,
            group,
            transport: Transport::plain(),
        }
    }

    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Chooses a server; `None` where there is none to choose.
    pub fn lease(&self, random: impl FnMut(u32) -> u32) -> Option<Lease> {
        let index = self.balancer.pick(&self.endpoints, random);
        let endpoint = self.endpoints.get(index)?.clone();
        endpoint.begin();
        Some(Lease { endpoint })
    }

    /// The peer for a connection to an endpoint. All of Pingora's timeouts default to none, so each is set.
    pub fn peer(&self, endpoint: &Endpoint) -> HttpPeer {
        let mut peer = HttpPeer::new(endpoint.address, false, String::new());
        peer.group_key = self.group;
        peer.options.connection_timeout = Some(CONNECT);
        peer.options.total_connection_timeout = Some(CONNECT);
        peer.options.read_timeout = Some(READ);
        peer.options.write_timeout = Some(READ);
        peer.options.idle_timeout = Some(IDLE);
        self.transport
            .apply(&mut peer, &endpoint.address.ip().to_string());
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        peer
    }

    /// The peer for a WebSocket, and the gate that its connection goes through.
    pub fn tunnel(&self, endpoint: &Endpoint) -> (HttpPeer, Arc<Gate>) {
        let gate = Arc::new(Gate::new(READ));
        let mut peer = self.peer(endpoint);
        // Each has a connection of its own: one from the pool would have gone through another's gate.
        peer.group_key = rand::rng().random();
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::standard();
        peer.options.alpn = ALPN::H1;
        peer.options.custom_l4 = Some(Arc::new(Gated(gate.clone())));
        peer.options.tcp_keepalive = Some(KEEPALIVE);
        // A tunnel may be silent; until it has begun, the gate watches the clock.
        peer.options.read_timeout = None;
        (peer, gate)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.endpoint.end();
    }
}

/// To a server in the same network: one lost SYN is sent again after 1 s.
const CONNECT: Duration = Duration::from_secs(3);
/// Between two bytes of an answer.
const READ: Duration = Duration::from_secs(60);
/// How long an unused connection is kept: below the 5 s after which Node's servers close theirs, because a
/// request that meets the close is lost.
const IDLE: Duration = Duration::from_secs(4);
/// A tunnel's dead peer is noticed after some two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::ZERO,
};
