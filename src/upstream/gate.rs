//! Connections for WebSockets. A server may answer `101` before Pingora has noticed that the request has no
//! body, and Pingora then takes the end of that body for the end of the tunnel. So what a server says is held
//! back until the request is out; a server that says nothing is not waited for for ever.
//!
//! Pingora ends a tunnel with either of its sides. So the end of what a client sends is kept from it, and passed on to
//! the server here, behind the last byte; the server goes on for as long as it has something to say.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
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
    /// The server can be told that the client has finished: there is no TLS in between, which would take that for a
    /// truncation.
    tells_the_end: bool,
    /// The client has finished.
    finishing: AtomicBool,
    /// Bytes of the tunnel on their way from the client, and those of them that are written.
    taken: AtomicU64,
    written: AtomicU64,
}

/// Connects through a gate.
#[derive(Debug)]
pub struct Gated(pub Arc<Gate>);

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    gate: Arc<Gate>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// The server was told that the client has finished.
    told: bool,
}

impl Gate {
    /// `patience` is how long the server may take to answer; `tells_the_end`: TCP is all that lies in between.
    pub fn new(patience: Duration, tells_the_end: bool) -> Self {
        Self {
            closed: AtomicU8::new(0),
            waiting: AtomicBool::new(false),
            reader: Mutex::new(None),
            patience,
            tells_the_end,
            finishing: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            written: AtomicU64::new(0),
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

    /// So many bytes of the tunnel are on their way to the server.
    pub fn take(&self, bytes: usize) {
        self.taken.fetch_add(bytes as u64, Ordering::AcqRel);
    }

    /// The client has finished sending, and still listens. False: the tunnel must end with it. `context` is that of
    /// the task which runs both of its sides.
    pub fn finish(&self, context: &Context) -> bool {
        if self.tells_the_end && !self.finishing.swap(true, Ordering::AcqRel) {
            context.waker().wake_by_ref();
        }
        self.tells_the_end
    }

    /// Has the server got all that the client has sent?
    fn is_finished(&self) -> bool {
        self.finishing.load(Ordering::Acquire)
            && self.written.load(Ordering::Acquire) >= self.taken.load(Ordering::Acquire)
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
            told: false,
        };
        Ok(VirtualSocketStream::new(Box::new(socket)).into())
    }
}

impl Socket {
    /// Tells the server of the client's end, once.
    fn tell_the_end(&mut self, context: &mut Context) {
        if !self.told && self.gate.is_finished() {
            self.told = true;
            self.deadline = None;
            // An error says that the connection is gone; the next read says it better.
            let _ = Pin::new(&mut self.stream).poll_shutdown(context);
        }
    }

    /// Is it `within` that something must come by now? Each byte begins it anew.
    fn is_late(&mut self, within: Duration, context: &mut Context) -> bool {
        let begin = || Box::pin(sleep(within));
        let deadline = self.deadline.get_or_insert_with(begin);
        deadline.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let waiting = this.gate.waiting.load(Ordering::Acquire);
        if waiting && this.is_late(this.gate.patience, context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if this.gate.is_closed(context) {
            return Poll::Pending;
        }
        this.tell_the_end(context);
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if this.told {
            match read {
                Poll::Ready(_) => this.deadline = None,
                // The tunnel's end: a client that is gone looks like one that still listens.
                Poll::Pending if this.is_late(LAST_WORDS, context) => return Poll::Ready(Ok(())),
                Poll::Pending => {}
            }
        }
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = written
            && !this.gate.waiting.load(Ordering::Acquire)
        {
            let gate = &this.gate;
            gate.written.fetch_add(written as u64, Ordering::AcqRel);
            this.tell_the_end(context);
        }
        written
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
/// How long a server may be silent after the client has finished. Most such clients are gone, and what their tunnel
/// holds is others' to have.
const LAST_WORDS: Duration = Duration::from_secs(10);

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
        let gate = Arc::new(Gate::new(Duration::from_secs(60), true));
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
        let gate = Arc::new(Gate::new(Duration::from_millis(20), true));
        let (mut stream, _server) = connected(&gate).await;
        gate.close();
        let silent = stream.read_u8().await;
        assert_eq!(silent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        gate.tunnel();
        let tunnel = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(tunnel.is_err());
    }

    #[tokio::test]
    async fn the_clients_end_is_told_behind_its_last_byte_and_the_server_goes_on() {
        let gate = Arc::new(Gate::new(Duration::from_secs(60), true));
        let (mut stream, mut server) = connected(&gate).await;
        gate.close();
        stream.flush().await.unwrap();
        stream.flush().await.unwrap();
        gate.tunnel();
        gate.take(4);
        let ended = std::future::poll_fn(|context| Poll::Ready(gate.finish(context)));
        assert!(ended.await);
        let early = tokio::time::timeout(Duration::from_millis(20), stream.read_u8()).await;
        assert!(early.is_err());
        stream.write_all(b"last").await.unwrap();
        stream.flush().await.unwrap();
        let mut read = Vec::new();
        server.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"last");
        server.write_all(b"x").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        drop(server);
        assert!(stream.read_u8().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_silent_after_the_clients_end_is_not_waited_for_for_long() {
        let gate = Arc::new(Gate::new(Duration::from_secs(5), true));
        let (mut stream, _server) = connected(&gate).await;
        std::future::poll_fn(|context| Poll::Ready(gate.finish(context))).await;
        let begun = tokio::time::Instant::now();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(begun.elapsed().as_secs(), LAST_WORDS.as_secs());
    }

    #[tokio::test]
    async fn under_tls_a_tunnel_ends_with_its_client() {
        let gate = Gate::new(Duration::from_secs(60), false);
        let ended = std::future::poll_fn(|context| Poll::Ready(gate.finish(context)));
        assert!(!ended.await);
    }
}
