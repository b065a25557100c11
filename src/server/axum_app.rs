//! axum handlers as a Pingora service: Pingora owns the socket, hyper speaks HTTP, the router answers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use pingora::apps::ServerApp;
use pingora::protocols::Stream;
use pingora::server::ShutdownWatch;

use crate::base::net::Peer;

pub struct AxumApp {
    router: Router,
}

impl AxumApp {
    pub fn new(router: Router) -> Self {
        Self { router }
    }
}

#[async_trait]
impl ServerApp for AxumApp {
    async fn process_new(
        self: &Arc<Self>,
        stream: Stream,
        shutdown: &ShutdownWatch,
    ) -> Option<Stream> {
        let peer = peer(&stream);
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            if let Some(peer) = peer {
                request.extensions_mut().insert(peer);
            }
            router.call(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(HEAD_BYTES);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut shutdown = shutdown.clone();
        // The guard that `wait_for` gives must not be held over an await.
        let leaving = async { shutdown.wait_for(|leaving| *leaving).await.is_ok() };
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            _ = leaving => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            log::debug!("a connection to an own listener ended early: {error}");
        }
        None
    }
}

/// Who is at the other end; `None` where that is not an IP socket.
fn peer(stream: &Stream) -> Option<Peer> {
    let digest = stream.get_socket_digest()?;
    let (peer, local) = (digest.peer_addr()?, digest.local_addr()?);
    Some(Peer::of(peer.as_inet()?.ip(), local.as_inet()?.ip()))
}

/// For a whole request head, also on a kept connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const HEAD_BYTES: usize = 64 << 10;
