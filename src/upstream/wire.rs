//! A connection to a server whose bytes are followed: for the trailers of HTTP/1.1, which Pingora reads past and never
//! writes, and for tunnels, each half of which ends on its own.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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

use super::link::{Follow, Link};
use super::tunnel::Tunnel;
use crate::base::trailers::{Follower, Kind, Tail};

/// Such a connection.
#[derive(Debug)]
pub struct Wire {
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
    /// Errors: none that is known; Pingora may refuse a head of its own.
    pub fn new(inner: Stream) -> Result<Self> {
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
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let follow = this.follows();
        if let Some(tunnel) = &mut this.tunnel {
            return tunnel.poll_read(&mut *this.inner, context, buf);
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buf);
        if follow.is_some_and(|follow| follow.answer) && !this.answer.is_over() {
            this.answer
                .read(buf.filled().get(before..).unwrap_or_default());
            if this.answer.is_over() {
                this.link.answered(this.answer.found());
            }
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
        let this = self.get_mut();
        match this.follows() {
            Some(follow) if follow.request => this.write(context, &[io::IoSlice::new(bytes)]),
            _ => Pin::new(&mut this.inner).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match this.follows() {
            Some(follow) if follow.request => this.write(context, pieces),
            _ => Pin::new(&mut this.inner).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        std::task::ready!(this.request.poll_rest(&mut *this.inner, context))?;
        std::task::ready!(Pin::new(&mut this.inner).poll_flush(context))?;
        if let Some(tunnel) = &this.tunnel {
            tunnel.flushed();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
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
        self.inner.id()
    }
}

impl Ssl for Wire {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}

impl GetTimingDigest for Wire {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}

impl GetProxyDigest for Wire {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        Some(self.digest.clone())
    }
}

impl GetSocketDigest for Wire {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}

impl Peek for Wire {}
