//! Tokens of another issuer, such as a company's single sign-on: verified like our own, from memory, with
//! keys that `keeper` brings in beside the traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arc_swap::{ArcSwapOption, Guard};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Notify;

use super::header::{self, Header};
use super::issuer::config;
use super::jwks::JwkSet;
use super::verified::{KeysThen, Lifetime, Verified};
use super::verify::{Segments, TokenError};
use super::{Issuer, Kind, Principal, SignedClaims};
use claims::{ForeignClaims, RolesClaim};

pub(super) mod claims;
mod fetch;
mod keeper;

pub use keeper::{Keeper, Kept, Source};

/// Verifies another issuer's tokens.
#[derive(Debug)]
pub struct ForeignVerifier {
    /// The issuer's in the configuration.
    name: Arc<str>,
    /// What `iss` must say.
    issuer: String,
    audiences: Vec<String>,
    algorithms: Vec<config::Algorithm>,
    roles: RolesClaim,
    leeway: u64,
    pub(super) keys: Keys,
}

/// The issuer's current keys, and the wish for newer ones. Reading takes no lock.
#[derive(Debug, Default)]
pub(super) struct Keys {
    current: ArcSwapOption<JwkSet>,
    /// Why there are none yet.
    trouble: ArcSwapOption<String>,
    wanted: AtomicBool,
    pub(super) wake: Notify,
}

impl ForeignVerifier {
    /// A verifier without keys: it knows no token before there are some.
    pub fn new(name: &str, config: &config::Issuer) -> Self {
        let audiences = config.audience.value.iter();
        Self {
            name: name.into(),
            issuer: config.issuer.value.clone(),
            audiences: audiences.map(|one| one.value.clone()).collect(),
            algorithms: config.algorithms.value.clone(),
            roles: RolesClaim::new(&config.roles_claim),
            leeway: config.leeway.value.as_secs(),
            keys: Keys::default(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the `iss` of its tokens says.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What its keys may be for.
    pub fn algorithms(&self) -> &[config::Algorithm] {
        &self.algorithms
    }

    /// Puts other keys in place of the current ones, and all that was verified with those is verified anew.
    /// The same keys again change nothing. Gives back whether something changed.
    pub fn publish(&self, keys: JwkSet) -> bool {
        let current = self.keys.current.load();
        let same = current
            .as_ref()
            .is_some_and(|current| current.is_same_as(&keys));
        if !same {
            self.keys.current.store(Some(Arc::new(keys)));
        }
        !same
    }

    /// Could any of its tokens be verified? Errors: why not, for `/readyz`.
    pub fn ready(&self) -> Result<(), String> {
        if self.has_keys() {
            return Ok(());
        }
        let trouble = self.keys.trouble.load();
        let trouble = trouble
            .as_ref()
            .map_or("not fetched yet", |why| why.as_str());
        Err(format!("no keys: {trouble}"))
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys.current.load().is_some()
    }

    /// Who the token speaks for at this time, in unix seconds. `this` is the issuer that this is.
    pub(super) fn verify(
        &self,
        this: &Issuer,
        token: &str,
        now: u64,
    ) -> Result<Verified, TokenError> {
        let segments = Segments::of(token)?;
        let keys = self.keys.current.load();
        let (claims, signed) = self.signed_claims(&segments, &keys)?;
        let life = Lifetime::of(claims.exp.0, claims.iat.0, claims.nbf.map(|nbf| nbf.0));
        if claims.iss != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if !claims.aud.names_one_of(&self.audiences) {
            return Err(TokenError::WrongAudience);
        }
        life.check(now, self.leeway)?;
        Ok(Verified {
            by: this.clone(),
            with: KeysThen::Foreign(Guard::into_inner(keys).ok_or(TokenError::NoKeys)?),
            life,
            version: None,
            made_at: claims.iat.0,
            principal: Arc::new(Principal {
                kind: Kind::Token,
                claims: signed,
                email: claims.email(),
                roles: claims.roles(&self.roles),
                user: claims.sub,
                issuer: Arc::clone(&self.name),
                session: claims.sid,
                expires_at: claims.exp.0,
                said: Default::default(),
            }),
        })
    }

    /// Would the same token still be good? The signature is not looked at again: the keys are the same.
    pub(super) fn still_takes(&self, verified: &Verified, now: u64) -> bool {
        let current = self.keys.current.load();
        let KeysThen::Foreign(then) = &verified.with else {
            return false;
        };
        let same = current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, then));
        same && verified.life.check(now, self.leeway).is_ok()
    }

    /// The claims, once the signature is known to be one of the issuer's.
    fn signed_claims(
        &self,
        segments: &Segments,
        keys: &Option<Arc<JwkSet>>,
    ) -> Result<(ForeignClaims, SignedClaims), TokenError> {
        let mut buffer = [0; size_of::<header::Buffer>()];
        let header = Header::read(segments.header, &mut buffer).ok_or(TokenError::BadHeader)?;
        if !header.may_be_access_token() {
            return Err(TokenError::BadHeader);
        }
        // Exact and case-sensitive. Also the guard against strangers who would have keys fetched.
        let mut algorithms = self.algorithms.iter();
        if !algorithms.any(|algorithm| algorithm.word() == header.alg) {
            return Err(TokenError::UnknownKey);
        }
        let keys = keys.as_ref().ok_or(TokenError::NoKeys)?;
        let Some(key) = keys.find(&header) else {
            if !keys.knows(&header) && claims::says(segments.claims, &self.issuer) {
                self.keys.want();
            }
            return Err(TokenError::UnknownKey);
        };
        let mut signature = [0; MAX_SIGNATURE];
        let length = URL_SAFE_NO_PAD.decode_slice(segments.signature, &mut signature);
        let signature = length.ok().and_then(|length| signature.get(..length));
        let signature = signature.ok_or(TokenError::BadSignature)?;
        if !key.verifies(segments.message.as_bytes(), signature) {
            // Where keys have no names, this is all that is seen of a new one.
            if header.kid.is_none() && claims::says(segments.claims, &self.issuer) {
                self.keys.want();
            }
            return Err(TokenError::BadSignature);
        }
        let claims = URL_SAFE_NO_PAD.decode(segments.claims);
        let signed = claims.map_err(|_| TokenError::BadClaims)?;
        let claims = ForeignClaims::read(&signed).ok_or(TokenError::BadClaims)?;
        Ok((claims, SignedClaims::new(signed)))
    }
}

impl Keys {
    /// Asks for a newer set. Once asked, asking again costs one read.
    fn want(&self) {
        if !self.wanted.load(Relaxed) && !self.wanted.swap(true, Relaxed) {
            self.wake.notify_one();
        }
    }

    /// From here on, a wish is one for a set newer than the one that is about to be fetched.
    pub(super) fn begin(&self) {
        self.wanted.store(false, Relaxed);
    }

    /// Gives the trouble back where it is new, for the log.
    pub(super) fn failed(&self, why: String) -> Option<String> {
        let known = self.trouble.load();
        if known.as_ref().is_some_and(|known| **known == why) {
            return None;
        }
        self.trouble.store(Some(Arc::new(why.clone())));
        Some(why)
    }

    pub(super) fn succeeded(&self) -> bool {
        self.trouble.swap(None).is_some()
    }
}

/// RSA of 8192 bits, and what the decoder wants beyond.
const MAX_SIGNATURE: usize = 1024 + 8;

#[cfg(test)]
pub(super) mod tests;
