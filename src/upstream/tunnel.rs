//! The server's end of a tunnel: what Pingora must not see of it, and of the client's end, yet or at all.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::gate::Gate;
use crate::base::trailers::{Follower, Kind};

/// Reads and writes of a connection that is to be a tunnel, or is one.
#[derive(Debug)]
pub struct Tunnel {
    gate: Arc<Gate>,
    deadline: Option<Pin<Box<Sleep>>>,
    heard: Follower,
    client: Told,
    /// The server has finished.
    is_ended: bool,
    /// Nothing reaches the server any more.
    is_broken: bool,
}

/// How far the server is told that the client has finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    No,
    /// It is on its way: under TLS that is a message of its own.
    Telling,
    Yes,
}

impl Tunnel {
    pub fn new(gate: Arc<Gate>) -> Self {
        Self {
            gate,
            deadline: None,
            heard: Follower::new(Kind::Answer),
            client: Told::No,
            is_ended: false,
            is_broken: false,
        }
    }

    pub fn poll_read<S: AsyncRead + AsyncWrite + Unpin + ?Sized>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(patience) = self.gate.patience()
            && self.is_late(patience, context)
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if self.gate.is_closed(context) {
            return Poll::Pending;
        }
        self.tell(stream, context);
        if self.is_ended {
            return self.after_the_server(context);
        }
        let before = buf.filled().len();
        match Pin::new(stream).poll_read(context, buf) {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                self.heard
                    .read(buf.filled().get(before..).unwrap_or_default());
                if self.client != Told::No {
                    self.deadline = None;
                }
                Poll::Ready(Ok(()))
            }
            // It declines, or is asked for no bytes.
            Poll::Ready(Ok(())) if !self.heard.has_switched() || buf.remaining() == 0 => {
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) => {
                self.is_ended = true;
                self.deadline = None;
                self.gate
                    .server_finished(self.heard.behind_the_head(), context);
                self.after_the_server(context)
            }
            Poll::Pending if self.client != Told::No && self.is_late(LAST_WORDS, context) => {
                // A client that is gone looks like one that still listens.
                Poll::Ready(Ok(()))
            }
            read => read,
        }
    }

    pub fn poll_write<S: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut *stream).poll_write(context, bytes);
        match &written {
            Poll::Ready(Ok(written)) => {
                self.gate.wrote(*written);
                if self.is_ended {
                    self.deadline = None;
                }
                if self.gate.is_finished() {
                    context.waker().wake_by_ref();
                }
            }
            Poll::Ready(Err(_)) => {
                self.is_broken = true;
                context.waker().wake_by_ref();
            }
            Poll::Pending => {}
        }
        written
    }

    pub fn flushed(&self) {
        self.gate.flushed();
    }

    /// Tells the server of the client's end, once, behind its last byte.
    fn tell<S: AsyncWrite + Unpin + ?Sized>(&mut self, stream: &mut S, context: &mut Context<'_>) {
        if self.client == Told::No && self.gate.is_finished() {
            self.client = Told::Telling;
            self.deadline = None;
        }
        // An error says that the connection is gone; the next read says it better.
        if self.client == Told::Telling && Pin::new(stream).poll_shutdown(context).is_ready() {
            self.client = Told::Yes;
        }
    }

    /// The tunnel lives on for the client, which is told of the server's end and may not be silent for long: most
    /// servers that end are gone.
    fn after_the_server(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_over = self.client == Told::Yes || self.is_broken;
        match is_over || self.is_late(LAST_WORDS, context) {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    /// Is it `within` that something must come by now? Each byte begins it anew.
    fn is_late(&mut self, within: Duration, context: &mut Context<'_>) -> bool {
        let begin = || Box::pin(sleep(within));
        let deadline = self.deadline.get_or_insert_with(begin);
        deadline.as_mut().poll(context).is_ready()
    }
}

/// How long one side may be silent after the other has finished. Most who finish are gone, and what their tunnel holds
/// is others' to have.
const LAST_WORDS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
