//! The edge's connections on their way from a listener to HTTP: first bytes, TLS, protocol, then the proxy.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::listeners::ALPN;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::l4::stream::Stream as Plain;
use pingora::protocols::{Ssl, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;

use super::door::{Door, Doors};
use super::opening::{OpeningError, begins_as_http2, take_proxy_header};
use crate::plan::Plan;
use crate::proxy::{Alarm, Gateway, Line};

/// Takes the edge's connections.
pub struct Edge {
    doors: Arc<Doors>,
    plan: Arc<ArcSwap<Plan>>,
    http: Arc<Http>,
    /// The same, for connections that speak HTTP/2 without TLS.
    h2c: Arc<Http>,
}

/// What HTTP/2 connections may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Http2Bounds {
    /// Bytes of all header lines of a request.
    pub headers: usize,
    /// How long a connection may be without a stream.
    pub idle: Duration,
}

/// The proxy, with options of ours.
struct Http {
    proxy: Arc<HttpProxy<Gateway>>,
    options: HttpServerOptions,
    bounds: Http2Bounds,
}

impl Edge {
    pub fn new(
        proxy: HttpProxy<Gateway>,
        doors: Arc<Doors>,
        plan: Arc<ArcSwap<Plan>>,
        bounds: Http2Bounds,
    ) -> Self {
        let proxy = Arc::new(proxy);
        let http = |h2c| {
            let mut options = HttpServerOptions::default();
            options.h2c = h2c;
            options.h2_idle_timeout = Some(bounds.idle);
            let proxy = proxy.clone();
            Arc::new(Http {
                proxy,
                options,
                bounds,
            })
        };
        Self {
            http: http(false),
            h2c: http(true),
            doors,
            plan,
        }
    }

    /// The connection after its first bytes, and the protocol that it speaks.
    async fn open(
        &self,
        stream: Stream,
        door: &Door,
    ) -> Result<(Stream, &Arc<Http>), OpeningError> {
        if !door.proxied && !door.http2 && door.tls.is_none() {
            return Ok((stream, &self.http));
        }
        let Ok(mut stream) = stream.into_any().downcast::<Plain>() else {
            return Err(OpeningError::Protocol);
        };
        if door.proxied {
            take_proxy_header(&mut stream, &self.plan.load().edge.trusted_proxies).await?;
        }
        if let Some(tls) = &door.tls {
            let stream = Box::pin(tls.accept(*stream, HANDSHAKE)).await?;
            let http2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
            return match http2 || door.http1 {
                true => Ok((Box::new(stream), &self.http)),
                false => Err(OpeningError::Protocol),
            };
        }
        let http2 = door.http2 && begins_as_http2(&mut stream).await?;
        match (http2, door.http1) {
            (true, _) => Ok((stream, &self.h2c)),
            (false, true) => Ok((stream, &self.http)),
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
        let door = self.doors.of(&*stream)?;
        match self.open(stream, door).await {
            Ok((stream, http)) => {
                let line = Box::new(Line::new(stream));
                http.process_new(line, shutdown).await
            }
            Err(why) => {
                // Anybody can cause it: no louder, or anybody could fill the log.
                log::debug!("a connection was let go: {why}");
                None
            }
        }
    }

    async fn cleanup(&self) {
        tokio::time::sleep(super::LAST_ACCEPTED).await;
        self.http.http_cleanup().await;
    }
}

#[async_trait]
impl HttpServerApp for Http {
    /// Each request runs under its alarm.
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        Alarm::guard(self.proxy.process_new_http(session, shutdown)).await
    }

    /// A fresh `H2Options` would lose the bounds that Pingora's own have.
    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_concurrent_streams(MAX_STREAMS);
        options.max_header_list_size(u32::try_from(self.bounds.headers).unwrap_or(u32::MAX));
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    async fn http_cleanup(&self) {
        self.proxy.http_cleanup().await;
    }
}

/// For a client's TLS, from its first byte to the last of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// At once on one connection; more wait at the client. Clients take for granted that it is not less (RFC 9113 §6.5.2)
/// and open as many before they are told.
const MAX_STREAMS: u32 = 100;
