//! What is known of a token once it was verified, and what must still hold when it comes again.

use std::sync::Arc;

use super::jwks::JwkSet;
use super::verify::TokenError;
use super::{Issuer, KeySet, Principal};

/// A token that was found good, by whom, and with which keys.
#[derive(Debug)]
pub struct Verified {
    pub(super) by: Issuer,
    pub(super) with: KeysThen,
    pub(super) life: Lifetime,
    /// The user's token version, where the token says one.
    pub(super) version: Option<u64>,
    /// When the token was made, in unix seconds.
    pub(super) made_at: u64,
    pub principal: Arc<Principal>,
}

/// The very set of keys that the signature was verified with. Holding it keeps its address from being
/// given to another set, so that "the same address" means "no key has changed".
#[derive(Debug)]
pub(super) enum KeysThen {
    Own(Arc<KeySet>),
    Foreign(Arc<JwkSet>),
}

/// When a token is good, in unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    from: u64,
    until: u64,
}

impl Verified {
    /// Is it by one of these issuers as they are now, and still good?
    pub(super) fn holds(&self, issuers: &[Issuer], now: u64) -> bool {
        let by = issuers.iter().find(|issuer| issuer.is(&self.by));
        by.is_some_and(|issuer| issuer.still_takes(self, now))
    }
}

impl Lifetime {
    pub(super) fn of(exp: u64, iat: u64, nbf: Option<u64>) -> Self {
        Self {
            from: iat.max(nbf.unwrap_or(0)),
            until: exp,
        }
    }

    /// RFC 7519 §4.1.4 and §4.1.5; a token from the future is refused as well.
    pub(super) fn check(&self, now: u64, leeway: u64) -> Result<(), TokenError> {
        if now >= self.until.saturating_add(leeway) {
            Err(TokenError::Expired)
        } else if self.from > now.saturating_add(leeway) {
            Err(TokenError::NotYetValid)
        } else {
            Ok(())
        }
    }

    /// When nothing can make it good any more, but for a leeway.
    pub(super) fn ends(&self) -> u64 {
        self.until
    }
}
