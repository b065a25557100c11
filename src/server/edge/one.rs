//! What the bytes of an HTTP/1 connection are at the moment, how long the client may take for them, and why its
//! request is refused before any phase hears of it.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::time::Instant;

use super::watched::STEP;
use crate::base::reply::Refusal;
use crate::base::trailers::{Follower, Kind, Tail};
use crate::plan::Patience;
use crate::proxy::{Line, Phase, Unheard};

/// One connection, with the request that it is at.
pub struct One {
    line: Arc<Line>,
    seen: Phase,
    /// Bytes that a head may have before it ends.
    most: usize,
    /// No request came before this one.
    is_first: bool,
    /// When the connection began.
    opened: Instant,
    /// Bytes of this head, or of this step of a body.
    read: usize,
    /// Line ends of a head that is not all of what was read.
    lines: usize,
    /// When the head was seen to come in pieces.
    began: Option<Instant>,
    /// Bytes of an answer went out.
    is_answered: bool,
    /// Of a request that may have trailers.
    follower: Follower,
    follows: bool,
    /// Of an answer that may have some, or of a tunnel.
    tail: Option<Box<Tail>>,
    is_told: bool,
    refused: Option<(Option<Refusal>, &'static str)>,
}

/// What becomes of a client that was too late.
pub enum Wait {
    /// The connection ends without a word; counted where there is a name for it.
    Quiet(Option<&'static str>),
    Refused(&'static str),
    Broken(&'static str),
}

impl One {
    pub fn new(line: Arc<Line>, most: usize, opened: Instant) -> Self {
        Self {
            opened,
            line,
            seen: Phase::Fresh,
            most,
            is_first: true,
            read: 0,
            lines: 0,
            began: None,
            is_answered: false,
            follower: Follower::new(Kind::Request),
            follows: false,
            tail: None,
            is_told: false,
            refused: None,
        }
    }

    /// Goes with the request into its next phase; true where it is another one.
    pub fn follow(&mut self) -> bool {
        let phase = self.line.phase();
        if phase == self.seen && phase != Phase::Fresh {
            return false;
        }
        self.read = 0;
        if phase == Phase::Fresh {
            self.is_first = self.seen == Phase::Fresh;
            self.line.set(Phase::Head);
            self.lines = 0;
            self.began = None;
            self.is_answered = false;
            self.follows = false;
            self.tail = None;
            self.seen = Phase::Head;
        } else {
            self.seen = phase;
        }
        true
    }

    pub fn phase(&self) -> Phase {
        self.seen
    }

    /// Is the request refused? A head that is longer than any may be is from here on.
    pub fn is_refused(&mut self) -> bool {
        if self.seen == Phase::Head && self.read > self.most {
            // Nobody can tell how long it would have been.
            match self.lines {
                0 => self.refuse(Some(Refusal::UriTooLong), "uri"),
                _ => self.refuse(Some(Refusal::HeadersTooLarge), "headers"),
            }
        }
        self.refused.is_some()
    }

    pub fn refuse(&mut self, refusal: Option<Refusal>, reason: &'static str) {
        self.refused.get_or_insert((refusal, reason));
    }

    pub fn is_within_a_head(&self) -> bool {
        self.seen == Phase::Head && self.read > 0
    }

    /// Bytes came, or none at the end; false where the end cuts a head off.
    pub fn took(&mut self, got: &[u8], due: &mut Option<Instant>) -> bool {
        match self.seen {
            Phase::Head => {
                if got.is_empty() {
                    return self.read == 0;
                }
                if self.read == 0 {
                    if !self.is_first {
                        // It is no longer idle.
                        *due = None;
                    }
                    self.begin(got);
                }
                self.pass(got);
                self.read += got.len();
                if !got.ends_with(b"\r\n\r\n") || self.read > got.len() || got.len() > LONG {
                    self.lines += memchr::memchr_iter(b'\n', got).count();
                }
            }
            Phase::Body => {
                self.pass(got);
                self.read += got.len();
                // However long nobody was reading: what a client sends in that time at the least is a step, too.
                if self.read >= STEP {
                    self.read = 0;
                    *due = None;
                }
            }
            Phase::Tunnel => *due = None,
            Phase::Fresh | Phase::Answering => {}
        }
        true
    }

    /// The client has finished: is this a tunnel that goes on all the same?
    pub fn goes_on(&self, context: &Context) -> bool {
        self.line.outlives_the_client(context)
    }

    /// The connection's answer, as it is followed on its way out, and who says how it ends.
    pub fn tail(&mut self) -> Option<(&mut Tail, &Line)> {
        if !self.line.follows_answer() {
            return None;
        }
        let tail = self
            .tail
            .get_or_insert_with(|| Box::new(Tail::new(Kind::Answer)));
        Some((tail, &self.line))
    }

    /// Is the client to be told that its tunnel's server has finished, behind the last byte?
    pub fn is_to_be_told(&self) -> bool {
        let tail = self.tail.as_ref().filter(|_| !self.is_told);
        tail.is_some_and(|tail| self.line.outlives_the_server(tail.behind_the_head()))
    }

    pub fn told(&mut self) {
        self.is_told = true;
    }

    /// A request's first bytes. `GET`, which is most of them, has no body whose trailers mean anything.
    fn begin(&mut self, got: &[u8]) {
        self.follows = !got.starts_with(b"G");
        self.line.begin_request(self.follows);
        if self.follows {
            self.follower.restart();
        }
    }

    fn pass(&mut self, got: &[u8]) {
        if self.follows {
            self.follower.read(got);
            if self.follower.is_over() {
                self.line.found(self.follower.found());
                self.follows = false;
            }
        }
    }

    /// Bytes go out; true where that makes reading wait anew.
    pub fn wrote(&mut self) -> bool {
        let changed = self.follow();
        self.is_answered = true;
        changed || self.seen == Phase::Tunnel
    }

    /// What Pingora answers while no phase has heard of the request, which tells why.
    pub fn answered_by_pingora(&mut self, bytes: &[u8]) {
        match bytes.get(9..12) {
            Some(b"405") => self.refuse(Some(Refusal::MethodNotAllowed), "method"),
            _ if self.lines > MAX_FIELDS => self.refuse(Some(Refusal::HeadersTooLarge), "headers"),
            _ => self.refuse(Some(Refusal::BadRequest), "malformed"),
        }
    }

    /// How long the client may take for what is read now; `None` where it has no say in it.
    pub fn patience(&mut self, patience: &Patience) -> Option<Duration> {
        match self.seen {
            Phase::Head if self.read > 0 => {
                self.began.get_or_insert_with(Instant::now);
                Some(patience.header)
            }
            Phase::Head if self.is_first => Some(patience.header),
            Phase::Head => Some(patience.idle),
            Phase::Body => Some(patience.body),
            Phase::Tunnel => Some(patience.tunnel),
            Phase::Fresh | Phase::Answering => None,
        }
    }

    /// From when on that is counted.
    pub fn since(&self) -> Instant {
        match self.is_first && self.seen == Phase::Head {
            true => self.opened,
            false => Instant::now(),
        }
    }

    /// It took longer.
    pub fn late(&mut self) -> Wait {
        match self.seen {
            Phase::Head if self.read > 0 => {
                self.refuse(Some(Refusal::TooSlow), HEADER);
                Wait::Refused(HEADER)
            }
            Phase::Head => Wait::Quiet(self.is_first.then_some(HEADER)),
            Phase::Tunnel => Wait::Broken("tunnel_timeout"),
            _ => Wait::Broken("body_timeout"),
        }
    }

    /// Is there an answer of ours to send, or may there be bytes on their way from the client?
    pub fn has_more_to_say(&self) -> bool {
        match self.refused {
            Some((refusal, _)) => refusal.is_some(),
            None => self.line.phase() == Phase::Body && self.is_answered,
        }
    }

    /// The connection ends: what is said for a request that no phase can answer. Word of it is left for the log.
    pub fn last_word(&mut self, panicking: bool) -> Option<Vec<u8>> {
        let heard = !matches!(self.line.phase(), Phase::Fresh | Phase::Head);
        let (refusal, reason) = match self.refused {
            Some(refused) => refused,
            None if panicking => (Some(Refusal::Internal), "panic"),
            None => return None,
        };
        let mut unheard = Unheard::new(refusal, reason);
        unheard.took = self.began.map(|began| began.elapsed()).unwrap_or_default();
        self.line.leave_word(unheard);
        let begun = heard && self.is_answered;
        unheard.bytes().filter(|_| !begun)
    }
}

const HEADER: &str = "header_timeout";
/// As in the proxy's own reading of a head.
const MAX_FIELDS: usize = 100;
/// A head of more bytes may have more fields than that.
const LONG: usize = 300;

#[cfg(test)]
mod tests;
