//! Puts trailers into the end of a body in chunks while it is written. Pingora writes that end, `0` and an empty line,
//! in one piece of its own; that piece is replaced.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

use super::{Follower, Kind};

/// Where a message that is written is, and what is to go out before anything else.
#[derive(Debug)]
pub struct Tail {
    follower: Follower,
    rest: Bytes,
}

impl Tail {
    pub fn new(kind: Kind) -> Self {
        Self {
            follower: Follower::new(kind),
            rest: Bytes::new(),
        }
    }

    /// The next byte begins another message.
    pub fn restart(&mut self) {
        self.follower.restart();
    }

    /// Bytes behind the head so far.
    pub fn behind_the_head(&self) -> u64 {
        self.follower.behind_the_head()
    }

    /// Writes `bytes`; `end` is asked for another end of the body when this one is at its own.
    pub fn poll_write<S: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        bytes: &[u8],
        end: impl FnOnce() -> Option<Bytes>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(stream, context))?;
        if bytes == LAST_CHUNK
            && self.follower.is_between_chunks()
            && let Some(end) = end()
        {
            self.follower.read(bytes);
            self.rest = end;
            return match self.poll_rest(stream, context) {
                Poll::Ready(Err(why)) => Poll::Ready(Err(why)),
                // What is not out yet goes with the next flush.
                _ => Poll::Ready(Ok(bytes.len())),
            };
        }
        let written = ready!(Pin::new(stream).poll_write(context, bytes))?;
        self.follower.read(bytes.get(..written).unwrap_or_default());
        Poll::Ready(Ok(written))
    }

    /// Writes the first of `pieces` that has a byte.
    pub fn poll_write_first<S: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
        end: impl FnOnce() -> Option<Bytes>,
    ) -> Poll<io::Result<usize>> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        self.poll_write(stream, context, first.map_or(&[], |piece| piece), end)
    }

    /// Writes what has taken a piece's place and is not out yet.
    pub fn poll_rest<S: AsyncWrite + Unpin + ?Sized>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.rest.is_empty() {
            match ready!(Pin::new(&mut *stream).poll_write(context, &self.rest))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.rest.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
