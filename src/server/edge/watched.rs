//! A client's connection whose bytes are watched on their way to and from Pingora: they come in time, there are not too
//! many of them, and what Pingora answers on its own is said in our words.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pingora::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::farewell;
use super::one::{One, Wait};
use super::two::Two;
use crate::base::timer::Timer;
use crate::plan::Patience;
use crate::proxy::Phase;
use crate::server::crowd::Crowd;

mod digests;

/// Such a connection.
pub struct Watched {
    /// Taken when this is dropped.
    inner: Option<Stream>,
    crowd: Arc<Crowd>,
    patience: Patience,
    timer: Timer,
    /// When reading is too late, and writing, as far as either waits.
    due: Option<Instant>,
    write_due: Option<Instant>,
    /// Bytes that went out since writing began to wait.
    written: usize,
    speaks: Speaks,
}

/// What it carries.
pub enum Speaks {
    Http1(One),
    Http2(Two),
}

impl Watched {
    pub fn new(inner: Stream, crowd: Arc<Crowd>, patience: Patience, speaks: Speaks) -> Self {
        Self {
            inner: Some(inner),
            crowd,
            patience,
            timer: Timer::new(),
            due: None,
            write_due: None,
            written: 0,
            speaks,
        }
    }

    fn read_one(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.tell_the_end(context);
        let (Speaks::Http1(one), Some(inner)) = (&mut self.speaks, &mut self.inner) else {
            return Poll::Ready(Ok(()));
        };
        if one.follow() {
            self.due = None;
        }
        if one.is_refused() {
            return spoil(buf);
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        let read = Pin::new(inner).poll_read(context, buf);
        let got = buf.filled().get(before..).unwrap_or_default();
        match read {
            Poll::Ready(Ok(())) if room > 0 && got.is_empty() && one.goes_on(context) => {
                Poll::Pending
            }
            Poll::Ready(Ok(())) if one.took(got, &mut self.due) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) if !one.is_within_a_head() => Poll::Ready(Err(error)),
            Poll::Ready(_) => {
                one.refuse(None, "client_gone");
                spoil(buf)
            }
            Poll::Pending => {
                let Some(patience) = one.patience(&self.patience) else {
                    return Poll::Pending;
                };
                let due = *self.due.get_or_insert_with(|| one.since() + patience);
                if !self.timer.is_over(due, context) {
                    return Poll::Pending;
                }
                self.due = None;
                match one.late() {
                    // As if the client had closed.
                    Wait::Quiet(cut) => {
                        cut.into_iter().for_each(|why| self.crowd.cut(why));
                        Poll::Ready(Ok(()))
                    }
                    Wait::Refused(why) => {
                        self.crowd.cut(why);
                        spoil(buf)
                    }
                    Wait::Broken(why) => {
                        self.crowd.cut(why);
                        Poll::Ready(Err(ErrorKind::TimedOut.into()))
                    }
                }
            }
        }
    }

    fn read_two(
        &mut self,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (Speaks::Http2(two), Some(inner)) = (&mut self.speaks, &mut self.inner) else {
            return Poll::Ready(Ok(()));
        };
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(inner).poll_read(context, buf) {
            let got = buf.filled().get(before..).unwrap_or_default();
            if two.took(got, &self.crowd) {
                self.due = None;
            }
            if two.is_wrong() {
                two.cut("malformed", &self.crowd);
                buf.set_filled(before);
                return Poll::Ready(Err(ErrorKind::InvalidData.into()));
            }
            return Poll::Ready(read);
        }
        if !two.waits() {
            self.due = None;
            return Poll::Pending;
        }
        let header = self.patience.header;
        let due = *self.due.get_or_insert_with(|| Instant::now() + header);
        if !self.timer.is_over(due, context) {
            return Poll::Pending;
        }
        self.due = None;
        two.cut("header_timeout", &self.crowd);
        match two.has_begun() {
            // Whoever drives the connection ends it with a word.
            true => Poll::Pending,
            false => Poll::Ready(Err(ErrorKind::TimedOut.into())),
        }
    }

    /// Passes on what a write came to, unless the client has taken nothing for too long.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        bytes: impl FnOnce(&T) -> usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match &written {
            Poll::Ready(Ok(done)) => {
                let bytes = bytes(done);
                if let Speaks::Http1(one) = &mut self.speaks
                    && bytes > 0
                    && one.wrote()
                {
                    self.due = None;
                }
                if let Some(due) = self.write_due {
                    self.written += bytes;
                    // Later than due: nobody was writing.
                    if self.written >= STEP || Instant::now() > due {
                        self.write_due = None;
                        self.written = 0;
                    }
                }
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let body = self.patience.body;
                let due = *self.write_due.get_or_insert_with(|| Instant::now() + body);
                if !self.timer.is_over(due, context) {
                    return Poll::Pending;
                }
                self.crowd.cut("body_timeout");
                Poll::Ready(Err(ErrorKind::TimedOut.into()))
            }
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(Ok(0));
        };
        let written = match &mut self.speaks {
            Speaks::Http1(one) => match one.tail() {
                Some((tail, line)) => {
                    tail.poll_write_first(inner, context, bufs, || line.take_end())
                }
                None => write(inner, context, bufs),
            },
            Speaks::Http2(_) => write(inner, context, bufs),
        };
        let written = self.written(written, |bytes| *bytes, context);
        self.tell_the_end(context);
        written
    }

    /// Tells the client of its tunnel's server's end, once.
    fn tell_the_end(&mut self, context: &mut Context<'_>) {
        if let (Speaks::Http1(one), Some(inner)) = (&mut self.speaks, &mut self.inner)
            && one.is_to_be_told()
            && Pin::new(inner).poll_shutdown(context).is_ready()
        {
            // An error says that it is gone, which the next read says better.
            one.told();
        }
    }

    /// Is this an answer to a request that no phase heard of? It gets ours in its place.
    fn is_in_place_of_ours(&mut self, buf: &[u8]) -> bool {
        let Speaks::Http1(one) = &mut self.speaks else {
            return false;
        };
        if one.follow() {
            self.due = None;
        }
        if one.phase() != Phase::Head {
            return false;
        }
        one.answered_by_pingora(buf);
        true
    }
}

/// Makes the parser refuse what it reads: no head has such a byte. It is how Pingora is told to end a connection
/// without writing an error into the log, which clients could fill.
fn spoil(buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
    let count = buf.remaining().min(SPOILT.len());
    buf.put_slice(SPOILT.get(..count).unwrap_or_default());
    Poll::Ready(Ok(()))
}

/// One piece goes as one, as Pingora had it.
fn write(
    inner: &mut Stream,
    context: &mut Context<'_>,
    bufs: &[io::IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    match bufs {
        [one] => Pin::new(inner).poll_write(context, one),
        several => Pin::new(inner).poll_write_vectored(context, several),
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.speaks {
            Speaks::Http1(_) => this.read_one(context, buf),
            Speaks::Http2(_) => this.read_two(context, buf),
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_in_place_of_ours(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        this.write(context, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_in_place_of_ours(bufs.first().map_or(&[][..], |buf| buf)) {
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        this.write(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner
            .as_ref()
            .is_some_and(|inner| inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else {
            return Poll::Ready(Ok(()));
        };
        if let Speaks::Http1(one) = &mut this.speaks
            && let Some((tail, _)) = one.tail()
        {
            ready!(tail.poll_rest(inner, context))?;
        }
        let flushed = Pin::new(inner).poll_flush(context);
        if flushed.is_ready() {
            // All that was written is the system's now.
            this.write_due = None;
            this.written = 0;
        }
        this.written(flushed, |()| 0, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // There is something to say first, or to wait for: see `drop`.
        if let Speaks::Http1(one) = &this.speaks
            && one.has_more_to_say()
        {
            return Poll::Ready(Ok(()));
        }
        match &mut this.inner {
            Some(inner) => Pin::new(inner).poll_shutdown(context),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let (Some(inner), Speaks::Http1(one)) = (self.inner.take(), &mut self.speaks) else {
            return;
        };
        let last = one.last_word(std::thread::panicking());
        if last.is_some() || one.has_more_to_say() {
            farewell::say(inner, last);
        }
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Watched")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Of a body, in the time that a client has for a step.
pub const STEP: usize = 1 << 10;
const SPOILT: &[u8] = &[0; 16];
