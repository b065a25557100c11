//! A subject's failures, and what they say of the next attempt. No time passes here.

use super::Outcome;

/// The numbers of the configuration; zero switches a rule off.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Failures of one account that cost no time.
    pub account_failures: u32,
    /// The longest delay of one account, in milliseconds.
    pub account_max_delay: u64,
    /// Failures that one address has in a minute.
    pub ip_per_minute: u32,
}

/// A row: the failures of a subject. One that is not there is all zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub failures: u32,
    /// Attempts that are being made.
    pub pending: u32,
    /// An account's last failure; the beginning of an address's minute.
    pub since: u64,
    /// When the last attempt was granted.
    pub reserved_at: u64,
    /// The row means nothing from then on.
    pub expires_at: u64,
}

/// May an attempt be made?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    Pending,
    Wait(u64),
}

/// How long an account's failures are remembered, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptFor(pub u64);

impl Rules {
    pub fn are_off(&self) -> bool {
        self.account_failures == 0 && self.ip_per_minute == 0
    }

    /// How long an account's failures are remembered after the last one: so long that whoever waits to be
    /// forgotten gets no more attempts than whoever goes on at the longest delay.
    pub fn kept_for(&self) -> KeptFor {
        let doublings = (self.account_max_delay / FIRST_DELAY).max(1).ilog2() + 1;
        let spree = u64::from(self.account_failures.saturating_add(doublings));
        KeptFor(spree.saturating_mul(self.account_max_delay))
    }

    /// The time between the latest of so many failures and the next attempt.
    fn delay(&self, failures: u32) -> u64 {
        let beyond = failures.saturating_sub(self.account_failures).min(40);
        (FIRST_DELAY << beyond).min(self.account_max_delay)
    }
}

impl Tally {
    /// The tally as it counts now; `None` where it counts no more.
    pub(super) fn as_of(self, at: u64) -> Option<Self> {
        if at >= self.expires_at {
            return None;
        }
        let mut now = self;
        if now.since.max(now.reserved_at) > at.saturating_add(SKEW) {
            // A clock that was put back must not lock anybody out.
            (now.failures, now.pending, now.since, now.reserved_at) = (0, 0, 0, 0);
        }
        if now.pending > 0 && at >= now.reserved_at.saturating_add(LOST) {
            now.failures = now.failures.saturating_add(now.pending);
            now.pending = 0;
        }
        Some(now)
    }

    /// Grants an attempt from an address, if it has one left in this minute.
    pub(super) fn grant_address(&mut self, rules: &Rules, at: u64) -> Verdict {
        if at.saturating_sub(self.since) >= MINUTE {
            self.failures = 0;
            self.since = at;
        }
        let limit = rules.ip_per_minute;
        if self.failures >= limit {
            return Verdict::Wait(self.since.saturating_add(MINUTE).saturating_sub(at));
        }
        if self.failures.saturating_add(self.pending) >= limit {
            // Most of them may succeed.
            return Verdict::Wait(1_000);
        }
        self.grant(at, MINUTE + LOST);
        Verdict::Go
    }

    /// Grants an attempt at an account, if its delay is over.
    pub(super) fn grant_account(&mut self, rules: &Rules, at: u64) -> Verdict {
        let limit = rules.account_failures;
        if self.failures >= limit {
            let next = self.since.saturating_add(rules.delay(self.failures));
            if at < next {
                return Verdict::Wait(next - at);
            }
            if self.pending > 0 {
                return Verdict::Pending;
            }
        } else if self.failures.saturating_add(self.pending) >= limit {
            return Verdict::Pending;
        }
        self.grant(at, rules.kept_for().0);
        Verdict::Go
    }

    fn grant(&mut self, at: u64, kept_for: u64) {
        self.pending = self.pending.saturating_add(1);
        self.reserved_at = at;
        self.keep(at, kept_for);
    }

    fn keep(&mut self, at: u64, kept_for: u64) {
        self.expires_at = self.expires_at.max(at.saturating_add(kept_for));
    }

    /// Notes how an attempt from an address ended. A success costs it nothing.
    pub(super) fn settle_address(&mut self, outcome: Outcome) {
        self.pending = self.pending.saturating_sub(1);
        if outcome == Outcome::Failed {
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Notes how an attempt at an account ended. A success wipes out the failures that it was counted with.
    pub(super) fn settle_account(&mut self, outcome: Outcome, kept_for: KeptFor, at: u64) {
        self.pending = self.pending.saturating_sub(1);
        match outcome {
            Outcome::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.since = at;
                self.keep(at, kept_for.0);
            }
            Outcome::Succeeded => self.failures = 0,
            Outcome::NotMade => {}
        }
    }

    /// From now on this network's attempts at the account count by themselves.
    pub(super) fn make_known(&mut self, at: u64) {
        self.keep(at, KNOWN);
    }

    /// `None` where the row would say no more than none does.
    pub(super) fn unless_nothing(self) -> Option<Self> {
        (self.failures > 0 || self.pending > 0).then_some(self)
    }
}

/// All in milliseconds.
const FIRST_DELAY: u64 = 1_000;
const MINUTE: u64 = 60_000;
/// An attempt that nobody settles counts as failed after this time: its process died.
const LOST: u64 = 30_000;
/// How long a network is known from which somebody signed in.
const KNOWN: u64 = 30 * 86_400_000;
/// Clocks of gateways differ by less.
const SKEW: u64 = 120_000;

#[cfg(test)]
mod tests;
