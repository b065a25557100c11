//! Connections of HTTP/2: streams side by side, each a request of its own. The connection ends when nothing goes on for
//! long, and at once, with a word, where its client floods it.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use h2::Reason;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{
    H2Accept, H2Options, HttpSession, default_h2_options, handshake,
};
use pingora::protocols::{Digest, Stream};
use pingora::server::ShutdownWatch;
use tokio::time::{Instant, sleep_until, timeout};

use super::two::{Cut, Two};
use super::watched::{Speaks, Watched};
use super::{Http, caught};
use crate::base::reply::Refusal;
use crate::proxy::{Alarm, Unheard};

/// The streams of a connection that are going on.
struct Streams {
    begun: Instant,
    open: AtomicUsize,
    /// Milliseconds from the beginning to the end of the last one.
    ended: AtomicU64,
}

/// What happens next on a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "it is gone in a moment, and a box would be an allocation a stream"
)]
enum Next {
    Stream(HttpSession),
    /// It was malformed, and is answered.
    Rejected,
    Closed,
    Cut(&'static str),
    Leaving,
    Idle,
}

impl<A: HttpServerApp + Send + Sync + 'static> Http<A> {
    /// Serves a connection until it ends.
    pub async fn http2(self: &Arc<Self>, stream: Stream, peer: IpAddr, shutdown: &ShutdownWatch) {
        let digest = Arc::new(Digest {
            ssl_digest: stream.get_ssl_digest(),
            timing_digest: stream.get_timing_digest(),
            proxy_digest: stream.get_proxy_digest(),
            socket_digest: stream.get_socket_digest(),
        });
        let (patience, headers) = {
            let edge = &self.plan.load().edge;
            (edge.patience, edge.max_headers)
        };
        let cut = Cut::default();
        let speaks = Speaks::Http2(Two::new(peer, cut.clone()));
        let watched = Watched::new(stream, self.crowd.clone(), patience, speaks);
        // Anybody can fail here: no louder, or anybody could fill the log.
        let mut connection = match handshake(Box::new(watched), Some(options(headers))).await {
            Ok(connection) => connection,
            Err(why) => return log::debug!("no HTTP/2: {why}"),
        };
        let streams = Arc::new(Streams::new());
        let mut rejected = 0;
        let mut leaving = shutdown.clone();
        let mut is_leaving = *shutdown.borrow();
        let reason = loop {
            let next = {
                let mut accept = pin!(HttpSession::from_h2_conn(&mut connection, digest.clone()));
                let accept = poll_fn(|context| match accept.as_mut().poll(context) {
                    Poll::Ready(Ok(Some(H2Accept::Session(session)))) => {
                        Poll::Ready(Next::Stream(session))
                    }
                    Poll::Ready(Ok(Some(H2Accept::Rejected))) => Poll::Ready(Next::Rejected),
                    // It is common for clients to just go.
                    Poll::Ready(Ok(None) | Err(_)) => Poll::Ready(Next::Closed),
                    Poll::Pending => match cut.get() {
                        Some(why) => Poll::Ready(Next::Cut(why)),
                        None => Poll::Pending,
                    },
                });
                tokio::select! {
                    biased;
                    _ = leaving.changed(), if !is_leaving => Next::Leaving,
                    next = accept => next,
                    () = streams.idle(patience.idle) => Next::Idle,
                }
            };
            match next {
                Next::Stream(session) => self.begin(session, peer, &streams, shutdown),
                Next::Rejected => {
                    rejected += 1;
                    let unheard = Unheard::new(Some(Refusal::BadRequest), "malformed");
                    self.ledger.note(&unheard, peer, "HTTP/2");
                    if rejected >= MOST_REJECTED {
                        self.crowd.cut("malformed");
                        break Reason::ENHANCE_YOUR_CALM;
                    }
                }
                Next::Leaving => {
                    is_leaving = true;
                    connection.graceful_shutdown();
                }
                Next::Cut(why) => {
                    log::debug!("a connection of {peer} was cut: {why}");
                    break Reason::ENHANCE_YOUR_CALM;
                }
                Next::Idle => break Reason::NO_ERROR,
                Next::Closed => {
                    // Streams that nobody waits for any more count like those that are taken back.
                    let left = streams.open.load(Ordering::Relaxed);
                    self.crowd
                        .reset(peer, u32::try_from(left).unwrap_or(u32::MAX));
                    return;
                }
            }
        };
        connection.abrupt_shutdown(reason);
        let closed = poll_fn(|context| connection.poll_closed(context));
        // It was told; whether it listens is its affair.
        let _ = timeout(FAREWELL, closed).await;
    }

    /// Runs a stream's request beside the connection.
    fn begin(
        self: &Arc<Self>,
        session: HttpSession,
        peer: IpAddr,
        streams: &Arc<Streams>,
        shutdown: &ShutdownWatch,
    ) {
        let (http, shutdown) = (self.clone(), shutdown.clone());
        let open = streams.clone().enter();
        tokio::spawn(async move {
            let _open = open;
            let is_connect = session.req_header().method == http::Method::CONNECT;
            let mut session = ServerSession::new_http2(session);
            if is_connect {
                // Pingora would answer it without a body, and without telling anybody.
                let unheard = Unheard::new(Some(Refusal::MethodNotAllowed), "method");
                http.ledger.note(&unheard, peer, "HTTP/2");
                if let Ok((head, body)) = unheard.answer() {
                    // Whoever is gone misses nothing.
                    let _ = session.write_response_header(head).await;
                    let _ = session.write_response_body(body.into(), true).await;
                }
                return;
            }
            let work = Alarm::guard(http.proxy.process_new_http(session, &shutdown));
            if caught(work).await.is_err() {
                http.crowd.panics.add(1);
                let unheard = Unheard::new(Some(Refusal::Internal), "panic");
                http.ledger.note(&unheard, peer, "HTTP/2");
            }
        });
    }
}

/// An open stream, until it is dropped.
struct Open(Arc<Streams>);

impl Streams {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            open: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
        }
    }

    fn enter(self: Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(self)
    }

    /// Waits until there was no stream for so long.
    async fn idle(&self, patience: Duration) {
        loop {
            let ended = Duration::from_millis(self.ended.load(Ordering::Relaxed));
            let mut due = self.begun + ended + patience;
            if self.open.load(Ordering::Relaxed) > 0 {
                due = Instant::now() + patience;
            } else if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let now = self.0.begun.elapsed().as_millis() as u64;
        self.0.ended.store(now, Ordering::Relaxed);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A fresh `H2Options` would lose the bounds that Pingora's own have.
fn options(headers: usize) -> H2Options {
    let mut options = default_h2_options();
    options.max_concurrent_streams(MAX_STREAMS);
    options.max_header_list_size(u32::try_from(headers).unwrap_or(u32::MAX));
    options
}

/// At once on one connection; more wait at the client. Clients take for granted that it is not less (RFC 9113 §6.5.2)
/// and open as many before they are told.
const MAX_STREAMS: u32 = 100;
/// Malformed requests of one connection.
const MOST_REJECTED: u32 = 32;
const FAREWELL: Duration = Duration::from_secs(2);
