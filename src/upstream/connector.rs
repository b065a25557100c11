//! Connections of HTTP/1 to servers whose bytes are followed: made by Pingora, TLS included, then wrapped. Only
//! requests that ask for one get one; afterwards it is kept in Pingora's pool like any other.

use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::http::custom::{Connection, Connector as Custom};
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::listeners::ALPN;
use pingora::prelude::Result;
use pingora::protocols::tls::CustomALPN;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::{HttpPeer, Peer};

use super::wire::Wire;

/// Pingora asks it for the peers that `follow` has marked.
pub struct Connector(TransportConnector);

impl Connector {
    pub fn new(conf: &ServerConf) -> Self {
        let options = ConnectorOptions::from_server_conf(conf);
        Self(TransportConnector::new(Some(options)))
    }

    /// Has the connection to this peer made here. The name is never told to the server, which is offered HTTP/1.1.
    pub fn follow(peer: &mut HttpPeer) {
        peer.options.alpn = ALPN::Custom(CustomALPN::new(b"followed".to_vec()));
    }
}

#[async_trait]
impl Custom for Connector {
    type Session = ();

    async fn get_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        peer: &P,
    ) -> Result<(Connection<()>, bool)> {
        let mut peer = peer.clone();
        if let Some(options) = peer.get_mut_peer_options() {
            options.alpn = ALPN::H1;
        }
        let stream = self.0.new_stream(&peer).await?;
        Ok((Connection::Stream(Box::new(Wire::new(stream)?)), false))
    }

    /// They are in the pool of HTTP/1, where Pingora looks next.
    async fn reused_http_session<P: Peer + Send + Sync + 'static>(&self, _: &P) -> Option<()> {
        None
    }

    async fn release_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        (): (),
        _: &P,
        _: Option<Duration>,
    ) {
    }
}
