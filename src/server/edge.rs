//! The edge's connections on their way from a listener to HTTP: their place, first bytes, TLS, protocol, then the proxy.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::listeners::ALPN;
use pingora::protocols::l4::stream::Stream as Plain;
use pingora::protocols::{GetSocketDigest, Ssl, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::Instant;

use super::crowd::Crowd;
use super::door::{Door, Doors};
use super::ebb::Ebb;
use super::opening::{OpeningError, begins_as_http2, take_proxy_header};
use super::proxy::Proxy;
use crate::base::net;
use crate::base::reply::Refusal;
use crate::plan::Plan;
use crate::proxy::{Ledger, Unheard};

mod farewell;
pub mod frames;
mod http1;
mod http2;
mod one;
mod two;
mod watched;

/// Takes the edge's connections.
pub struct Edge {
    doors: Arc<Doors>,
    ebb: Ebb,
    http: Arc<Http<Proxy>>,
}

/// The proxy, and what every connection to it needs.
struct Http<A> {
    proxy: Arc<A>,
    plan: Arc<ArcSwap<Plan>>,
    crowd: Arc<Crowd>,
    ledger: Ledger,
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    Http1,
    Http2,
}

impl Edge {
    pub fn new(
        proxy: Arc<Proxy>,
        doors: Arc<Doors>,
        plan: Arc<ArcSwap<Plan>>,
        crowd: Arc<Crowd>,
        ledger: Ledger,
        ebb: Ebb,
    ) -> Self {
        let http = Http {
            proxy,
            plan,
            crowd,
            ledger,
        };
        Self {
            http: Arc::new(http),
            doors,
            ebb,
        }
    }

    fn header_timeout(&self) -> Duration {
        self.http.plan.load().edge.patience.header
    }

    /// The connection after its first bytes, and the protocol that it speaks.
    async fn open(&self, stream: Stream, door: &Door) -> Result<(Stream, Version), OpeningError> {
        let Ok(mut stream) = stream.into_any().downcast::<Plain>() else {
            return Err(OpeningError::Protocol);
        };
        let (crowd, from) = (&self.http.crowd, peer(&*stream));
        if !crowd.seat(&mut stream, from) {
            let from = peer_socket(&*stream).filter(|from| crowd.may_be_told(*from));
            if let Some(from) = from {
                // Under TLS an answer would cost a handshake.
                if door.tls.is_none() && door.http1 {
                    let word = Unheard::new(Some(Refusal::Overloaded), "connections");
                    farewell::refuse(stream, word.bytes().unwrap_or_default()).await;
                }
                crowd.was_told(from);
            }
            return Err(OpeningError::Full);
        }
        if door.proxied {
            take_proxy_header(&mut stream, &self.http.plan.load().edge.trusted_proxies).await?;
        }
        if let Some(tls) = &door.tls {
            let stream = Box::pin(tls.accept(*stream, HANDSHAKE)).await?;
            return match (stream.selected_alpn_proto(), door.http1) {
                (Some(ALPN::H2), _) => Ok((Box::new(stream), Version::Http2)),
                (_, true) => Ok((Box::new(stream), Version::Http1)),
                (_, false) => Err(OpeningError::Protocol),
            };
        }
        let http2 = door.http2 && begins_as_http2(&mut stream, self.header_timeout()).await?;
        match (http2, door.http1) {
            (true, _) => Ok((stream, Version::Http2)),
            (false, true) => Ok((stream, Version::Http1)),
            (false, false) => Err(OpeningError::Protocol),
        }
    }
}

#[async_trait]
impl ServerApp for Edge {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        self.ebb.begin();
        let door = self.doors.of(&*stream)?;
        let accepted = Instant::now();
        match self.open(stream, door).await {
            Ok((stream, version)) => {
                let peer = peer(&*stream);
                // The handshake had a time of its own.
                let opened = door.tls.as_ref().map_or(accepted, |_| Instant::now());
                match version {
                    Version::Http1 => self.http.http1(stream, peer, opened, shutdown).await,
                    Version::Http2 => self.http.http2(stream, peer, shutdown).await,
                }
            }
            // Anybody can cause it: no louder, or anybody could fill the log.
            Err(why) => log::debug!("a connection was let go: {why}"),
        }
        None
    }

    async fn cleanup(&self) {
        tokio::time::sleep(super::LAST_ACCEPTED).await;
        self.http.proxy.http_cleanup().await;
    }
}

/// The address at the other end.
fn peer(connection: &(impl GetSocketDigest + ?Sized)) -> IpAddr {
    peer_socket(connection).map_or(net::UNKNOWN, |peer| peer.ip())
}

fn peer_socket(connection: &(impl GetSocketDigest + ?Sized)) -> Option<SocketAddr> {
    let digest = connection.get_socket_digest()?;
    digest.peer_addr()?.as_inet().copied()
}

/// Runs a request so that its panic is its own. Errors: it panicked, and is no more.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, ()> {
    let mut work = pin!(work);
    poll_fn(|context| {
        // What the request leaves behind is dropped with it; nothing of it is looked at again.
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(polled) => polled.map(Ok),
            Err(_) => Poll::Ready(Err(())),
        }
    })
    .await
}

/// For a client's TLS, from its first byte to the last of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
