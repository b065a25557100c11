//! A connection to a server of HTTP/1, which comes from a shelf and goes back there. Its bytes can be followed: for the
//! trailers of HTTP/1.1, which Pingora reads past and never writes, and for tunnels, each half of which ends on its own.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::prelude::Result;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::SslDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::task::coop::unconstrained;

use super::link::{Follow, Link};
use super::shelf::Shelf;
use super::tunnel::Tunnel;
use crate::base::trailers::{Follower, Kind, Tail};

/// A connection that a request has.
#[derive(Debug)]
pub struct Wire {
    /// Invariant: there until the end.
    parts: Option<Box<Parts>>,
    /// Where it may go afterwards.
    shelf: Option<Arc<Shelf>>,
    /// It goes there: Pingora is through with it, and would keep it.
    stays: bool,
}

/// What of it outlives the request.
#[derive(Debug)]
pub struct Parts {
    inner: Stream,
    link: Arc<Link>,
    /// How the link is found by those who are given the connection's digest.
    digest: Arc<ProxyDigest>,
    /// The link's word that is followed.
    seen: u32,
    request: Tail,
    answer: Follower,
    tunnel: Option<Box<Tunnel>>,
}

impl Wire {
    /// A new connection. Errors: none that is known; Pingora may refuse a head of its own.
    pub fn new(inner: Stream, shelf: Option<Arc<Shelf>>) -> Result<Self> {
        Ok(Self {
            parts: Some(Box::new(Parts::new(inner)?)),
            shelf,
            stays: false,
        })
    }

    /// One that was used before.
    pub fn again(parts: Box<Parts>, shelf: Arc<Shelf>) -> Self {
        parts.link.again();
        Self {
            parts: Some(parts),
            shelf: Some(shelf),
            stays: false,
        }
    }

    fn parts(&mut self) -> io::Result<&mut Parts> {
        let parts = self.parts.as_deref_mut();
        parts.ok_or(io::ErrorKind::NotConnected.into())
    }

    /// Is this read Pingora's question whether the connection still stands, before it keeps it? It is for one byte,
    /// which nobody waits for: the waker of a task has something to wake.
    fn is_asked_about(&self, context: &Context<'_>, buf: &ReadBuf<'_>) -> bool {
        self.shelf.is_some() && buf.remaining() == 1 && context.waker().data().is_null()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.stays
            && let (Some(parts), Some(shelf)) = (self.parts.take(), &self.shelf)
        {
            shelf.put(parts);
        }
    }
}

impl Parts {
    fn new(inner: Stream) -> Result<Self> {
        let link = Arc::new(Link::default());
        let head = Box::new(ResponseHeader::build(200, Some(0))?);
        let digest = ProxyDigest::new(head, Some(Box::new(link.clone())));
        Ok(Self {
            inner,
            link,
            digest: Arc::new(digest),
            seen: 0,
            request: Tail::new(Kind::Request),
            answer: Follower::new(Kind::Answer),
            tunnel: None,
        })
    }

    /// Is nothing to be read from an unused connection, not even its end?
    pub fn stands(&mut self) -> bool {
        let mut byte = [0];
        let mut buf = ReadBuf::new(&mut byte);
        let read = poll_fn(|context| Pin::new(&mut self.inner).poll_read(context, &mut buf));
        // However much this task has done already: else it would not be looked.
        let read = pin!(unconstrained(read));
        read.poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    /// What is to be followed, if anything.
    fn follows(&mut self) -> Option<Follow> {
        let (follow, word) = self.link.word();
        if word != self.seen {
            self.seen = word;
            self.request.restart();
            self.answer.restart();
            self.tunnel = self.link.gate().map(|gate| Box::new(Tunnel::new(gate)));
        }
        follow
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        let bytes = first.map_or(&[][..], |piece| piece);
        match (&mut self.tunnel, &self.link) {
            (Some(tunnel), _) => tunnel.poll_write(&mut *self.inner, context, bytes),
            (None, link) => {
                let end = || link.take_end();
                self.request
                    .poll_write(&mut *self.inner, context, bytes, end)
            }
        }
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let follow = self.follows();
        if let Some(tunnel) = &mut self.tunnel {
            return tunnel.poll_read(&mut *self.inner, context, buf);
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(context, buf);
        if follow.is_some_and(|follow| follow.answer) && !self.answer.is_over() {
            self.answer
                .read(buf.filled().get(before..).unwrap_or_default());
            if self.answer.is_over() {
                self.link.answered(self.answer.found());
            }
        }
        read
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.request.poll_rest(&mut *self.inner, context))?;
        ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        if let Some(tunnel) = &self.tunnel {
            tunnel.flushed();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.parts()?.poll_read(context, buf);
        if read.is_pending() && this.is_asked_about(context, buf) {
            // It stands, and is kept here. Pingora takes this for its end, and lets it go.
            this.stays = true;
            return Poll::Ready(Ok(()));
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let parts = self.get_mut().parts()?;
        match parts.follows() {
            Some(follow) if follow.request => parts.write(context, &[io::IoSlice::new(bytes)]),
            _ => Pin::new(&mut parts.inner).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let parts = self.get_mut().parts()?;
        match parts.follows() {
            Some(follow) if follow.request => parts.write(context, pieces),
            _ => Pin::new(&mut parts.inner).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        let inner = self.parts.as_ref().map(|parts| &parts.inner);
        inner.is_some_and(|inner| inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().parts()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().parts()?.inner).poll_shutdown(context)
    }
}

#[async_trait]
impl Shutdown for Wire {
    async fn shutdown(&mut self) {
        // It ends, one way or the other.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl UniqueID for Wire {
    fn id(&self) -> UniqueIDType {
        self.parts.as_ref().map_or(-1, |parts| parts.inner.id())
    }
}

impl Ssl for Wire {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.parts.as_ref()?.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.parts.as_ref()?.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        let parts = self.parts.as_ref();
        parts.map_or(Vec::new(), |parts| parts.inner.get_timing_digest())
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.parts.as_ref()?.digest.clone())
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.parts.as_ref()?.inner.get_socket_digest()
    }
}

impl Peek for Wire {}
