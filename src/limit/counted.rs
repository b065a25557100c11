//! What one limit did about one call, and what the call holds of it until it is over. Dropping it is the
//! end of the call, however that came about: what is held then goes back or becomes a count.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::count::Hold;
use super::decision::Decision;
use super::headers::Names;
use super::key::Key;
use super::rule::Limit;
use super::shared::End;
use super::tally::Ruling;

/// A limit's word on a call.
#[derive(Debug)]
pub struct Counted {
    pub(super) limit: Arc<Limit>,
    pub(super) decision: Decision,
    pub(super) key: Key,
    pub(super) tier: usize,
    pub(super) hold: Hold,
    /// When it was decided.
    pub(super) at_millis: u64,
}

impl Counted {
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// The decision in one word.
    pub fn ruling(&self) -> Ruling {
        match (self.decision.admitted, self.limit.is_shadow()) {
            (true, _) => Ruling::Admitted,
            (false, false) => Ruling::Refused,
            (false, true) => Ruling::ShadowRefused,
        }
    }

    /// Is the call to be refused? Never by a limit that only watches.
    pub fn refuses(&self) -> bool {
        !self.decision.admitted && !self.limit.is_shadow()
    }

    /// How it appears in the response's fields; a limit that only watches does not.
    pub fn names(&self) -> Option<&Names> {
        (!self.limit.is_shadow()).then(|| self.limit.names(self.tier))
    }

    /// The call was refused for another limit: as if this one had never counted it. What is told is
    /// then what the next call would find.
    pub fn give_back(&mut self) {
        if !self.is_holding() {
            return;
        }
        self.decision = match self.release_shared(End::Undone, 0) {
            Some(decision) => decision,
            None => {
                self.release();
                self.limit.look_again(self.tier, self.key, self.at_millis)
            }
        };
    }

    /// The answer is known, so long `after` the call. Where only failures count, a success takes its call
    /// back.
    pub fn settle(&mut self, failed: bool, after: impl Fn() -> Duration) {
        if !self.limit.counts_failures() || !self.is_holding() {
            return;
        }
        let after_millis = after().as_millis() as u64;
        let end = match failed {
            true => End::Failed,
            false => End::Undone,
        };
        let left = match self.release_shared(end, after_millis) {
            Some(decision) => decision,
            None => {
                match failed {
                    true => self.fail(),
                    false => self.release(),
                }
                let now = self.at_millis + after_millis;
                self.limit.look_again(self.tier, self.key, now)
            }
        };
        self.decision = Decision {
            admitted: true,
            ..left
        };
    }

    /// The call has had its answer: it is not in flight any more.
    pub fn leave(&mut self) {
        if matches!(self.hold, Hold::Place(_)) {
            self.release();
        }
    }

    fn is_holding(&self) -> bool {
        !matches!(self.hold, Hold::Nothing)
    }

    /// Ends what the call holds in Redis, if it is there that it was counted; and what is left.
    fn release_shared(&mut self, end: End, after_millis: u64) -> Option<Decision> {
        match mem::replace(&mut self.hold, Hold::Nothing) {
            Hold::Shared(taken) => Some(taken.end(end, after_millis)),
            hold => {
                self.hold = hold;
                None
            }
        }
    }

    fn release(&mut self) {
        let hold = mem::replace(&mut self.hold, Hold::Nothing);
        let limit = &self.limit;
        limit
            .count()
            .give_back(self.tier, self.key, hold, self.at_millis);
    }

    /// Windows have counted the call already; a bucket only holds it.
    fn fail(&mut self) {
        if let Hold::Held = mem::replace(&mut self.hold, Hold::Nothing) {
            self.limit
                .count()
                .failed(self.tier, self.key, self.at_millis);
        }
    }
}

impl Drop for Counted {
    /// A call that ends without an answer counts as failed: who hangs up must not try for nothing.
    fn drop(&mut self) {
        match &self.hold {
            Hold::Place(_) => self.release(),
            Hold::Held => self.fail(),
            Hold::Shared(taken) if taken.is_held() => {
                self.release_shared(End::Failed, 0);
            }
            Hold::Nothing | Hold::Windows(_) | Hold::Bucket | Hold::Shared(_) => {}
        }
    }
}
