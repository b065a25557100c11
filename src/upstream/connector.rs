//! Connections of HTTP/1 to servers: from a shelf, or made by Pingora, TLS included, and wrapped.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::http::custom::{Connection, Connector as Custom};
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::listeners::ALPN;
use pingora::prelude::Result;
use pingora::protocols::Stream;
use pingora::protocols::tls::CustomALPN;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::{HttpPeer, Peer};

use super::shelf::Shelves;
use super::wire::Wire;

/// Pingora asks it for the peers that `keep` and `lend` have marked.
pub struct Connector {
    transport: TransportConnector,
    shelves: Arc<Shelves>,
}

impl Connector {
    pub fn new(conf: &ServerConf, shelves: Arc<Shelves>) -> Self {
        let options = ConnectorOptions::from_server_conf(conf);
        Self {
            transport: TransportConnector::new(Some(options)),
            shelves,
        }
    }

    /// Has the connection to this peer come from its shelf, and go there afterwards.
    pub fn keep(peer: &mut HttpPeer) {
        peer.options.alpn = ALPN::Custom(KEPT.clone());
    }

    /// Has a connection to this peer made for one request.
    pub fn lend(peer: &mut HttpPeer) {
        peer.options.alpn = ALPN::Custom(LENT.clone());
    }
}

#[async_trait]
impl Custom for Connector {
    type Session = ();

    async fn get_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        peer: &P,
    ) -> Result<(Connection<()>, bool)> {
        let alpn = peer.get_peer_options().map(|options| &options.alpn);
        let mut shelf = None;
        if let Some(ALPN::Custom(mark)) = alpn
            && mark == &*KEPT
        {
            let its = self.shelves.of(peer.reuse_hash());
            if let Some(parts) = its.take() {
                let wire = Wire::again(parts, its);
                return Ok((Connection::Stream(Box::new(wire)), true));
            }
            shelf = Some(its);
        }
        // In a box of its own: most requests need none.
        let stream = Box::pin(self.connect(peer)).await?;
        let wire = Wire::new(stream, shelf)?;
        Ok((Connection::Stream(Box::new(wire)), false))
    }

    /// Pingora looks here first, then in its own pool, which has no such connections, and then asks for one.
    fn reused_http_session<'a, 'b, 'c, P: Peer + Send + Sync + 'static>(
        &'a self,
        _: &'b P,
    ) -> Pin<Box<dyn Future<Output = Option<()>> + Send + 'c>>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        // Of no size: its box is nowhere.
        Box::pin(poll_fn(|_| Poll::Ready(None)))
    }

    async fn release_http_session<P: Peer + Send + Sync + 'static>(
        &self,
        (): (),
        _: &P,
        _: Option<Duration>,
    ) {
    }
}

impl Connector {
    /// The marks of our peers are never told to a server, which is offered HTTP/1.1.
    async fn connect<P: Peer + Send + Sync + 'static>(&self, peer: &P) -> Result<Stream> {
        let mut peer = peer.clone();
        if let Some(options) = peer.get_mut_peer_options() {
            options.alpn = ALPN::H1;
        }
        self.transport.new_stream(&peer).await
    }
}

static KEPT: LazyLock<CustomALPN> = LazyLock::new(|| CustomALPN::new(b"kept".to_vec()));
static LENT: LazyLock<CustomALPN> = LazyLock::new(|| CustomALPN::new(b"lent".to_vec()));
