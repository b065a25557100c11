//! The life of a signing key: next, active, retiring, retired; and what is to be done about it now. No
//! store and no files: what is known goes in, the next step comes out.
//!
//! Each gateway signs with a key whose private half it has. What all gateways verify with is every key
//! in the store that is not retired, so that a key must be there for a while before it signs: `next`.

use std::collections::HashMap;

use crate::token::{Algorithm, SigningKey, VerifyKey};

/// A key as the store has it. Times are unix milliseconds; `None` is not yet.
#[derive(Debug, Clone)]
pub struct StoredKey {
    pub key: VerifyKey,
    /// The longest life of a token that it has signed, in milliseconds.
    pub token_life: u64,
    pub published_at: u64,
    pub active_at: Option<u64>,
    pub retiring_at: Option<u64>,
    pub retired_at: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// Published, and not used yet: those who verify get to know it.
    Next,
    /// Signs.
    Active,
    /// Signs no more; its last tokens are still good.
    Retiring,
    /// Nothing signed by it is valid any more.
    Retired,
}

/// A change of the store's keys; each is one transaction.
#[derive(Debug, Clone)]
pub enum KeyChange {
    /// A new key, `next`; or `active`, where no other one is known that might be in use.
    Publish { key: VerifyKey, token_life: u64 },
    /// A next key becomes active, and others retiring.
    Activate { kid: String, replaced: Vec<String> },
    /// A retiring key becomes retired.
    Retire { kid: String },
    /// A key becomes retired at once, whatever it was, and its tokens are not valid any more. Not the only active one.
    End { kid: String },
    /// A key's tokens live longer than before, in milliseconds. No state, and no row in the audit log.
    Lengthen { kid: String, token_life: u64 },
}

/// What a gateway does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell the store of this one, which is in the folder alone.
    Publish { kid: String },
    /// Make a key of the configured algorithm.
    Make,
    /// Note that tokens now live longer.
    Lengthen { kid: String },
    /// Sign with this one from now on, and with those no more.
    Activate { kid: String, replaced: Vec<String> },
    /// The last token of this one has expired.
    Retire { kid: String },
}

/// What one gateway knows of its own: private halves, and since when it has seen which key.
#[derive(Debug)]
pub(super) struct Own {
    pub algorithm: Algorithm,
    /// In milliseconds, of the tokens that it makes.
    pub token_life: u64,
    pub keys: HashMap<String, SigningKey>,
    /// By key, on the clock that never goes back: no clock of another machine counts.
    pub seen: HashMap<String, u64>,
}

impl StoredKey {
    pub fn state(&self) -> KeyState {
        match (self.retired_at, self.retiring_at, self.active_at) {
            (Some(_), _, _) => KeyState::Retired,
            (None, Some(_), _) => KeyState::Retiring,
            (None, None, Some(_)) => KeyState::Active,
            (None, None, None) => KeyState::Next,
        }
    }

    pub fn kid(&self) -> &str {
        self.key.kid()
    }

    /// When no token that it has signed is valid any more.
    fn ends_at(&self) -> Option<u64> {
        let life = self.token_life.saturating_add(MARGIN);
        Some(self.retiring_at?.saturating_add(life))
    }
}

impl KeyState {
    pub fn word(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

impl Own {
    /// The next step, if there is one. `stored` is every key that is not retired; `monotonic` and `now`
    /// are in milliseconds, the latter since 1970.
    pub(super) fn step(&self, stored: &[StoredKey], monotonic: u64, now: u64) -> Option<Step> {
        if let Some(over) = stored
            .iter()
            .find(|key| key.ends_at().is_some_and(|end| end <= now))
        {
            let kid = over.kid().to_owned();
            return Some(Step::Retire { kid });
        }
        let own: Vec<_> = stored
            .iter()
            .filter(|key| self.keys.contains_key(key.kid()))
            .filter(|key| matches!(key.state(), KeyState::Next | KeyState::Active))
            .collect();
        let is_right = |algorithm| algorithm == self.algorithm;
        if !own.iter().any(|key| is_right(key.key.algorithm())) {
            // What was in use before there was a store counts on, whatever it signs with.
            let may_serve = |key: &&SigningKey| {
                let is_known = stored.iter().any(|known| known.kid() == key.kid());
                !is_known && (own.is_empty() || is_right(key.algorithm()))
            };
            let unpublished = self.keys.values().filter(may_serve);
            let first = unpublished.min_by_key(|key| (!is_right(key.algorithm()), key.kid()));
            return Some(first.map_or(Step::Make, |key| Step::Publish {
                kid: key.kid().to_owned(),
            }));
        }
        if let Some(short) = own.iter().find(|key| key.token_life < self.token_life) {
            let kid = short.kid().to_owned();
            return Some(Step::Lengthen { kid });
        }
        let is_due = |key: &&&StoredKey| {
            let seen = self.seen.get(key.kid());
            key.state() == KeyState::Next
                && seen.is_some_and(|seen| monotonic.saturating_sub(*seen) >= PUBLISHED_FOR)
        };
        let order = |key: &StoredKey| (key.published_at, key.kid().to_owned());
        let due = own.iter().filter(is_due).max_by_key(|key| order(key))?;
        let replaced = own.iter().filter(|key| {
            key.kid() != due.kid() && (key.state() == KeyState::Active || order(key) < order(due))
        });
        Some(Step::Activate {
            kid: due.kid().to_owned(),
            replaced: replaced.map(|key| key.kid().to_owned()).collect(),
        })
    }

    /// The key to sign with; `None` where none of the own ones may yet.
    pub(super) fn signer(&self, stored: &[StoredKey]) -> Option<&SigningKey> {
        let active = stored
            .iter()
            .filter(|key| key.state() == KeyState::Active && self.keys.contains_key(key.kid()));
        let latest = active.max_by_key(|key| (key.active_at, key.kid()))?;
        self.keys.get(latest.kid())
    }
}

/// How long a key is published before it signs: every gateway asks a few times a second, and others may
/// keep the public keys for as long, `/.well-known/jwks.json` tells them.
pub(super) const PUBLISHED_FOR: u64 = 5_000;
/// Leeway, clocks of gateways that differ, and a gateway that has not yet heard that its key retires.
const MARGIN: u64 = 120_000;

#[cfg(test)]
mod tests;
