//! Whose tokens a route takes: the built-in issuer's, others', or several side by side. One that was
//! verified is remembered, so that it costs a comparison when it comes again.

use std::sync::Arc;

use super::cache::TokenCache;
use super::verified::Verified;
use super::verify::{Segments, TokenError};
use super::{ForeignVerifier, Principal, Verifier, foreign};

pub mod config;

/// One issuer. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Issuer {
    Own(Arc<Verifier>),
    Foreign(Arc<ForeignVerifier>),
}

/// The issuers that one route takes tokens of.
#[derive(Debug)]
pub struct Accepted {
    issuers: Vec<Issuer>,
    cache: Arc<TokenCache>,
}

impl Issuer {
    /// What the `iss` of its tokens says.
    fn issuer(&self) -> &str {
        match self {
            Self::Own(own) => own.issuer(),
            Self::Foreign(foreign) => foreign.issuer(),
        }
    }

    fn verify(&self, token: &str, now: u64) -> Result<Verified, TokenError> {
        match self {
            Self::Own(own) => own.verify_for(self, token, now),
            Self::Foreign(foreign) => foreign.verify(self, token, now),
        }
    }

    pub(super) fn still_takes(&self, verified: &Verified, now: u64) -> bool {
        match self {
            Self::Own(own) => own.still_takes(verified, now),
            Self::Foreign(foreign) => foreign.still_takes(verified, now),
        }
    }

    /// Not only of the same name: one that was configured anew is another.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own(one), Self::Own(other)) => Arc::ptr_eq(one, other),
            (Self::Foreign(one), Self::Foreign(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Accepted {
    pub fn new(issuers: Vec<Issuer>, cache: Arc<TokenCache>) -> Self {
        Self { issuers, cache }
    }

    /// Who the token speaks for at this time, in unix seconds.
    pub fn verify(&self, token: &str, now: u64) -> Result<Arc<Principal>, TokenError> {
        let known = |verified: &Verified| {
            let holds = verified.holds(&self.issuers, now);
            holds.then(|| Arc::clone(&verified.principal))
        };
        if let Some(principal) = self.cache.find(token, now, known) {
            return Ok(principal);
        }
        let segments = Segments::of(token)?;
        if self.issuers.is_empty() {
            return Err(TokenError::NoIssuer);
        }
        let issuer = self.named_by(&segments).ok_or(TokenError::UnknownIssuer)?;
        let verified = issuer.verify(token, now)?;
        let principal = Arc::clone(&verified.principal);
        self.cache.keep(token, verified, now);
        Ok(principal)
    }

    /// The only issuer, or of several the one that the token names: its keys alone are tried, and signed
    /// claims must name it again.
    fn named_by(&self, segments: &Segments) -> Option<&Issuer> {
        if let [only] = self.issuers.as_slice() {
            return Some(only);
        }
        let mut named = None;
        foreign::claims::said_issuer(segments.claims, |said| {
            named = self.issuers.iter().find(|issuer| issuer.issuer() == said);
            named.is_some()
        });
        named
    }
}
