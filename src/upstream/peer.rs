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
        // Pingora has one bound for every read; which one holds when is the alarm's to know.
        peer.options.read_timeout = Some(timeouts.first_byte.max(timeouts.idle));
        peer.options.write_timeout = Some(timeouts.idle);
        peer.options.idle_timeout = Some(self.kept(endpoint));
        peer
    }

    /// How long the connection is kept unused after the answer. Those above `keepalive` are not: then no more than
    /// that many can ever be idle.
    fn kept(&self, endpoint: &Endpoint) -> Duration {
        let most = self.settings.keepalive.unwrap_or(u32::MAX);
        match endpoint.standing.in_flight() > most {
            true => Duration::ZERO,
            false => IDLE,
        }
    }
}

/// Below the 5 s after which Node's servers close an unused connection, because a request that meets the close is
/// lost.
const IDLE: Duration = Duration::from_secs(4);
