//! What Pingora must know to connect to a server. The one place where a peer is made.

use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::TcpKeepalive;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use rand::RngExt;

use super::cluster::Cluster;
use super::connector::Connector;
use super::endpoint::Endpoint;
use super::gate::Gate;
use super::shelf::IDLE;

impl Cluster {
    /// The peer for an attempt that may last `left`. All of Pingora's timeouts default to none, so each is set.
    pub fn peer(&self, endpoint: &Endpoint, left: Option<Duration>) -> Box<HttpPeer> {
        let timeouts = &self.settings.timeouts;
        let within = |timeout: Duration| left.map_or(timeout, |left| left.min(timeout));
        let mut peer = Box::new(HttpPeer::new(endpoint.address, false, String::new()));
        let transport = &self.settings.transport;
        transport.apply(&mut peer, &endpoint.server);
        peer.group_key = self.group;
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        peer.options.connection_timeout = Some(within(timeouts.connect));
        peer.options.total_connection_timeout = Some(within(timeouts.connect));
        peer.options.write_timeout = Some(timeouts.idle);
        // Pingora has one bound for every read, and it runs while the client is slow to send. Which one holds when is
        // the alarm's to know, wherever it may cut the connection; a second timer for each read would find nothing
        // to do.
        let longest = timeouts.first_byte.max(timeouts.idle);
        peer.options.read_timeout = match is_own(&peer) {
            true => None,
            // A stream may be silent between two messages; the client's deadline ends it, or the request's.
            false if transport.streams() => left,
            false => Some(within(longest)),
        };
        peer.options.idle_timeout = Some(match self.keeps(endpoint) {
            true => IDLE,
            false => Duration::ZERO,
        });
        peer
    }

    /// The peer for a request: the connection is one that another had, where there is one. Those of HTTP/2 are Pingora's
    /// to share out.
    /// `plain`: no field of the request is of its connection alone, so that there is nothing for Pingora to look for.
    pub fn kept(&self, endpoint: &Endpoint, left: Option<Duration>, plain: bool) -> Box<HttpPeer> {
        let mut peer = self.peer(endpoint, left);
        if plain {
            peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::preserve();
        }
        if is_own(&peer) {
            Connector::keep(&mut peer);
        }
        peer
    }

    /// The peer for a WebSocket, and the gate that its connection goes through.
    pub fn tunnel(
        &self,
        endpoint: &Endpoint,
        left: Option<Duration>,
    ) -> (Box<HttpPeer>, Arc<Gate>) {
        let patience = self.settings.timeouts.first_byte;
        let patience = left.map_or(patience, |left| left.min(patience));
        let gate = Arc::new(Gate::new(patience));
        let mut peer = self.peer(endpoint, left);
        // Each has a connection of its own: one from the pool would have gone through another's gate.
        peer.group_key = rand::rng().random();
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::standard();
        Connector::lend(&mut peer);
        peer.options.tcp_keepalive = Some(KEEPALIVE);
        // A tunnel may be silent; until it has begun, the gate watches the clock.
        peer.options.read_timeout = None;
        (peer, gate)
    }

    /// Is the connection of a request that is at this server now kept after the answer? Those above `keepalive` are
    /// not: then no more than that many can ever be idle. Pingora has one pool for all, and a bound for it alone. Connections of HTTP/2 are
    /// shared, and none is closed for one request.
    pub fn keeps(&self, endpoint: &Endpoint) -> bool {
        let most = self.settings.keepalive.unwrap_or(u32::MAX);
        self.settings.transport.shares() || endpoint.standing.in_flight() <= most
    }
}

/// Is the connection this request's alone? One of HTTP/2 is others' too, and must not be cut for one of them.
pub fn is_own(peer: &HttpPeer) -> bool {
    peer.options.alpn.get_max_http_version() < 2
}

/// A tunnel's dead peer is noticed after some two minutes.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
    count: 4,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::ZERO,
};
