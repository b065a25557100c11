//! How failures are slowed down: what an attempt is counted under, and what becomes of it. The stores keep
//! the rows and ask here; nothing is stored in this file. `tally` is the arithmetic.

use std::net::IpAddr;

use aws_lc_rs::digest::{SHA256, digest};

use super::email::EmailKey;
use super::user::UserId;
use crate::base::net::masked;

mod tally;

pub use tally::{KeptFor, Rules, Tally};

use tally::Verdict;

/// What failures are counted under. A digest, so that rows have one length and hold no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject(pub [u8; 32]);

/// The account that an attempt is made at.
#[derive(Debug, Clone, Copy)]
pub struct Aim {
    /// Attempts from anywhere.
    pub account: Subject,
    /// Attempts from this network, which count by themselves once one of them has succeeded.
    pub from_here: Option<Subject>,
}

/// An attempt that asks to be made.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    pub address: Subject,
    /// `None` for a text that no account can have as its address.
    pub aim: Option<Aim>,
    /// Unix milliseconds.
    pub at: u64,
    pub rules: Rules,
}

/// What a store answers to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reserved {
    /// It counts as being made, until it is settled.
    Granted(Ticket),
    /// As many as may fail are being made just now: how they end decides.
    Pending,
    /// The account has failed too often; for so many milliseconds nobody may try.
    AccountDelayed(u64),
    /// The address has failed too often; for so many milliseconds it may not try.
    AddressSpent(u64),
}

/// An attempt that was granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub address: Option<Subject>,
    /// What the attempt counts under, beside the address.
    pub account: Option<Subject>,
    /// What a success makes known, or keeps known.
    pub from_here: Option<Subject>,
    pub kept_for: KeptFor,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Failed,
    Succeeded,
    /// No password was looked at.
    NotMade,
}

/// The rows that a store has found, and keeps for the time of its transaction.
#[derive(Debug, Clone, Default)]
pub struct Rows(pub Vec<(Subject, Tally)>);

/// What becomes of a row; `None` where it goes.
pub type Change = (Subject, Option<Tally>);

impl Rows {
    pub fn has(&self, subject: Subject) -> bool {
        self.0.iter().any(|(other, _)| *other == subject)
    }

    /// The tally of a row that counts.
    fn current(&self, subject: Subject, at: u64) -> Option<Tally> {
        let row = self.0.iter().find(|(other, _)| *other == subject);
        row.and_then(|(_, tally)| tally.as_of(at))
    }

    fn tally(&self, subject: Subject, at: u64) -> Tally {
        self.current(subject, at).unwrap_or_default()
    }
}

impl Attempt {
    /// The rows that are looked at, always in this order.
    pub fn subjects(&self) -> Vec<Subject> {
        let address = (self.rules.ip_per_minute > 0).then_some(self.address);
        let aim = self.counted_aim();
        let from_here = aim.and_then(|aim| aim.from_here);
        let account = aim.map(|aim| aim.account);
        [address, from_here, account]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Those that a store must keep others from making meanwhile. A network is made known by a success alone.
    pub fn is_made_by_attempts(&self, subject: Subject) -> bool {
        self.aim.is_none_or(|aim| aim.from_here != Some(subject))
    }

    /// Judges the attempt. One that is not made changes nothing at the account, so that who keeps trying makes
    /// nobody wait for longer.
    pub fn judge(&self, rows: &Rows) -> (Reserved, Vec<Change>) {
        let (rules, at) = (&self.rules, self.at);
        let mut changes = Vec::new();
        let mut ticket = Ticket {
            address: None,
            account: None,
            from_here: None,
            kept_for: rules.kept_for(),
        };
        let counts_address = rules.ip_per_minute > 0;
        let mut address = rows.tally(self.address, at);
        if counts_address {
            if let Verdict::Wait(millis) = address.grant_address(rules, at) {
                return (Reserved::AddressSpent(millis), Vec::new());
            }
            ticket.address = Some(self.address);
            changes.push((self.address, Some(address)));
        }
        if let Some(aim) = self.counted_aim() {
            let known = aim.from_here;
            let known = known.filter(|subject| rows.current(*subject, at).is_some());
            let subject = known.unwrap_or(aim.account);
            let mut tally = rows.tally(subject, at);
            match tally.grant_account(rules, at) {
                Verdict::Go => {}
                Verdict::Pending => return (Reserved::Pending, Vec::new()),
                Verdict::Wait(millis) => {
                    address.settle_address(Outcome::Failed);
                    let failed = counts_address.then_some((self.address, Some(address)));
                    return (
                        Reserved::AccountDelayed(millis),
                        failed.into_iter().collect(),
                    );
                }
            }
            ticket.account = Some(subject);
            ticket.from_here = aim.from_here;
            changes.push((subject, Some(tally)));
        }
        (Reserved::Granted(ticket), changes)
    }

    fn counted_aim(&self) -> Option<Aim> {
        self.aim.filter(|_| self.rules.account_failures > 0)
    }
}

impl Ticket {
    /// Was nothing counted?
    pub fn is_blank(&self) -> bool {
        self.address.is_none() && self.account.is_none()
    }

    /// The rows that are looked at, in the order of `Attempt::subjects`.
    pub fn subjects(&self) -> Vec<Subject> {
        let account = self.account.filter(|_| self.account != self.from_here);
        [self.address, self.from_here, account]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Notes how the attempt ended.
    pub fn settle(&self, rows: &Rows, outcome: Outcome, at: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(subject) = self.address {
            let mut tally = rows.tally(subject, at);
            tally.settle_address(outcome);
            changes.push((subject, tally.unless_nothing()));
        }
        if let Some(subject) = self.account {
            let mut tally = rows.tally(subject, at);
            tally.settle_account(outcome, self.kept_for, at);
            let is_known = self.from_here == Some(subject);
            if is_known && outcome == Outcome::Succeeded {
                tally.make_known(at);
            }
            let kept = if is_known {
                Some(tally)
            } else {
                tally.unless_nothing()
            };
            changes.push((subject, kept));
        }
        if let Some(subject) = self.from_here.filter(|_| self.from_here != self.account)
            && outcome == Outcome::Succeeded
        {
            let mut tally = rows.tally(subject, at);
            tally.make_known(at);
            changes.push((subject, Some(tally)));
        }
        changes
    }
}

impl Subject {
    /// No digest that anybody knows a text for.
    pub const NOBODY: Self = Self([0; 32]);

    pub fn address(client: IpAddr) -> Self {
        Self::of("address", &[network(client).as_bytes()])
    }

    fn of(kind: &str, parts: &[&[u8]]) -> Self {
        // No part has a NUL inside.
        let mut text = kind.as_bytes().to_vec();
        for part in parts {
            text.push(0);
            text.extend_from_slice(part);
        }
        let mut bytes = [0; 32];
        let hash = digest(&SHA256, &text);
        for (byte, hashed) in bytes.iter_mut().zip(hash.as_ref()) {
            *byte = *hashed;
        }
        Self(bytes)
    }
}

impl Aim {
    /// A sign-in. An address without an account is counted like any other, so that nobody learns from
    /// being slowed down who has one.
    pub fn sign_in(email: &EmailKey, client: IpAddr) -> Self {
        let network = network(client);
        Self {
            account: Subject::of("account", &[email.as_bytes()]),
            from_here: Some(Subject::of(
                "account from",
                &[email.as_bytes(), network.as_bytes()],
            )),
        }
    }

    /// The current password, asked of a token's bearer. Counted apart from sign-ins: strangers can't
    /// make it wait.
    pub fn current_password(user: UserId) -> Self {
        Self {
            account: Subject::of("current password", &[user.to_string().as_bytes()]),
            from_here: None,
        }
    }
}

fn network(client: IpAddr) -> String {
    masked(client, IPV6_PREFIX).to_string()
}

/// One subscriber holds at least a /64.
const IPV6_PREFIX: u8 = 64;

#[cfg(test)]
mod tests;
