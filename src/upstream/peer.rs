//! What Pingora must know to connect to a server. The one place where a peer is made.

use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;

use super::cluster::Cluster;
use super::endpoint::Endpoint;

impl Cluster {
    /// The peer for an attempt that may last `left`. All of Pingora's timeouts default to none, so each is set.
    pub fn peer(&self, endpoint: &Endpoint, left: Option<Duration>) -> HttpPeer {
        let timeouts = &self.settings.timeouts;
        let within = |timeout: Duration| left.map_or(timeout, |left| left.min(timeout));
        let mut peer = HttpPeer::new(endpoint.address, false, String::new());
        peer.group_key = self.group;
        peer.options.connection_timeout = Some(within(timeouts.connect));
        peer.options.total_connection_timeout = Some(within(timeouts.connect));
        peer.options.write_timeout = Some(timeouts.idle);
        // Pingora has one bound for every read, and it runs while the client is slow to send. Which one holds when is
        // the alarm's to know; this one only catches what that might miss.
        let longest = timeouts.first_byte.max(timeouts.idle);
        peer.options.read_timeout = Some(match is_own(&peer) {
            true => longest + BACKSTOP,
            false => within(longest),
        });
        peer.options.idle_timeout = Some(match self.keeps(endpoint) {
            true => IDLE,
            false => Duration::ZERO,
        });
        peer
    }

    /// Is the connection of a request that is at this server now kept after the answer? Those above `keepalive` are
    /// not: then no more than that many can ever be idle. Pingora has one pool for all, and a bound for it alone.
    pub fn keeps(&self, endpoint: &Endpoint) -> bool {
        let most = self.settings.keepalive.unwrap_or(u32::MAX);
        endpoint.standing.in_flight() <= most
    }
}

/// Is the connection this request's alone? One of HTTP/2 is others' too, and must not be cut for one of them.
pub fn is_own(peer: &HttpPeer) -> bool {
    peer.options.alpn.get_max_http_version() == 1
}

/// Above the 60 s that Pingora waits for a client's next byte: a slow client is never taken for a slow server.
const BACKSTOP: Duration = Duration::from_secs(90);
/// Below the 5 s after which Node's servers close an unused connection, because a request that meets the close is
/// lost.
const IDLE: Duration = Duration::from_secs(4);
