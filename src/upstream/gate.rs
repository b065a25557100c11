//! Connections for WebSockets. A server may answer `101` before Pingora has noticed that the request has no
//! body, and Pingora then takes the end of that body for the end of the tunnel. So what a server says is held
//! back until the request is out; a server that says nothing is not waited for for ever.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::ErrorType;
use pingora::connectors::l4::Connect;
use pingora::prelude::{Error, Result};
use pingora::protocols::l4::ext::set_tcp_keepalive;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Between a request that asks for a tunnel and its connection.
#[derive(Debug)]
pub struct Gate {
    /// Flushes to wait for before anything is read: none, or first the head's, then the body's.
    closed: AtomicU8,
    /// The tunnel has not begun yet.
    waiting: AtomicBool,
    reader: Mutex<Option<Waker>>,
    patience: Duration,
}

/// Connects through a gate.
#[derive(Debug)]
pub struct Gated(pub Arc<Gate>);

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    gate: Arc<Gate>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Gate {
    /// `patience` is how long the server may take to answer.
    pub fn new(patience: Duration) -> Self {
        Self {
            closed: AtomicU8::new(0),
            waiting: AtomicBool::new(false),
            reader: Mutex::new(None),
            patience,
        }
    }

    /// The request is about to be written.
    pub fn close(&self) {
        self.closed.store(FLUSHES, Ordering::Release);
        self.waiting.store(true, Ordering::Release);
    }

    /// The tunnel has begun: from now on it may be silent.
    pub fn tunnel(&self) {
        self.waiting.store(false, Ordering::Release);
    }

    fn flushed(&self) {
        let counted = self
            .closed
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(1)
            });
        if counted == Ok(1)
            && let Some(reader) = self.reader.lock().ok().and_then(|mut reader| reader.take())
        {
            reader.wake();
        }
    }

    fn is_closed(&self, context: &Context) -> bool {
        if self.closed.load(Ordering::Acquire) == 0 {
            return false;
        }
        if let Ok(mut reader) = self.reader.lock() {
            *reader = Some(context.waker().clone());
        }
        // It may have been opened in between, by someone who found no reader to wake.
        self.closed.load(Ordering::Acquire) != 0
    }
}

#[async_trait]
impl Connect for Gated {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let address = address
            .as_inet()
            .ok_or_else(|| Error::explain(ErrorType::ConnectError, "not an address"))?;
        let stream = TcpStream::connect(address).await.map_err(|why| {
            let kind = match why.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, format!("connecting to {address}"), why)
        })?;
        let socket = Socket {
            stream,
            gate: self.0.clone(),
            deadline: None,
        };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.gate.waiting.load(Ordering::Acquire) {
            let patience = this.gate.patience;
            let deadline = this
                .deadline
                .get_or_insert_with(|| Box::pin(sleep(patience)));
            if deadline.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        if this.gate.is_closed(context) {
            return Poll::Pending;
        }
        Pin::new(&mut this.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.gate.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl VirtualSocket for Socket {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            VirtualSockOpt::KeepAlive(keepalive) => {
                set_tcp_keepalive(&self.stream, &keepalive).map_err(io::Error::other)
            }
            _ => Ok(()),
        }
    }
}

/// Pingora flushes after the head, and again when it has seen that there is no body.
const FLUSHES: u8 = 2;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn connected(gate: &Arc<Gate>) -> (Stream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = SocketAddr::Inet(listener.local_addr().unwrap());
        let stream = Gated(gate.clone()).connect(&address).await.unwrap();
        (stream, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn what_the_server_says_is_held_back_until_the_request_is_out() {
        let gate = Arc::new(Gate::new(Duration::from_secs(60)));
        let (mut stream, mut server) = connected(&gate).await;
        server.write_all(b"ab").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'a');
        gate.close();
        for _ in 0..FLUSHES {
            let early = tokio::time::timeout(Duration::from_millis(20), stream.read_u8()).await;
            assert!(early.is_err());
            stream.flush().await.unwrap();
        }
        assert_eq!(stream.read_u8().await.unwrap(), b'b');
    }

    #[tokio::test]
    async fn a_silent_server_is_waited_for_and_a_silent_tunnel_is_not() {
        let gate = Arc::new(Gate::new(Duration::from_millis(20)));
        let (mut stream, _server) = connected(&gate).await;
        gate.close();
        let silent = stream.read_u8().await;
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        gate.tunnel();
        let tunnel = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(tunnel.is_err());
    }
}
