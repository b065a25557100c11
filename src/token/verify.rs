//! Is this token ours, whole, and in its time? Answered from memory alone: no lock, no I/O.

use std::sync::Arc;

use arc_swap::Guard;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto;

use super::verified::{KeysThen, Lifetime, Verified};
use super::{Claims, Issuer, KeyRing, KeySet, Principal, Revocations};

/// Verifies the built-in issuer's tokens.
#[derive(Debug, Clone)]
pub struct Verifier {
    name: Arc<str>,
    issuer: String,
    audience: String,
    keys: KeyRing,
    leeway: u64,
    revoked: Revocations,
}

/// Why a token is refused: for the log and the metric. The client always gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token has more than 4096 bytes")]
    TooLong,
    #[error("the token does not have three segments")]
    Malformed,
    #[error("the token's header is none that may be followed, or another kind of token's")]
    BadHeader,
    #[error("the token names none of the route's issuers")]
    UnknownIssuer,
    /// The one that says nothing of the token: who brought it may be right.
    #[error("the issuer's keys could not be had yet")]
    NoKeys,
    #[error("the token's header is not that of any current key")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    BadSignature,
    #[error("the token's claims are incomplete, doubled or of the wrong type")]
    BadClaims,
    #[error("the token is from another issuer")]
    WrongIssuer,
    #[error("the token is for another audience")]
    WrongAudience,
    #[error("the token has expired")]
    Expired,
    #[error("the token's time has not come")]
    NotYetValid,
    #[error("the token was ended before its time")]
    Revoked,
}

/// A token's parts, still encoded.
pub(super) struct Segments<'a> {
    /// What is signed: header and claims.
    pub(super) message: &'a str,
    pub(super) header: &'a str,
    pub(super) claims: &'a str,
    pub(super) signature: &'a str,
}

impl Verifier {
    /// `name` is the issuer's in the configuration, `issuer` and `audience` are what `iss` and `aud`
    /// must say, and `leeway_seconds` is how far clocks may differ.
    pub fn new(
        name: &str,
        issuer: String,
        audience: String,
        keys: KeyRing,
        leeway_seconds: u64,
    ) -> Self {
        Self {
            name: name.into(),
            issuer,
            audience,
            keys,
            leeway: leeway_seconds,
            revoked: Revocations::default(),
        }
    }

    /// Refuses tokens that were ended before their time, too.
    pub fn with_revocations(mut self, revoked: Revocations) -> Self {
        self.revoked = revoked;
        self
    }

    /// Who the token speaks for at this time, in unix seconds.
    pub fn verify(&self, token: &str, now: u64) -> Result<Arc<Principal>, TokenError> {
        let claims = self.signed_claims(token, &self.keys.load())?;
        self.check(&claims, now)?;
        Ok(Arc::new(self.principal(claims)))
    }

    /// The same, with what must still hold when the token comes again. `this` is the issuer that this is.
    pub(super) fn verify_for(
        &self,
        this: &Issuer,
        token: &str,
        now: u64,
    ) -> Result<Verified, TokenError> {
        let keys = self.keys.load();
        let claims = self.signed_claims(token, &keys)?;
        self.check(&claims, now)?;
        Ok(Verified {
            by: this.clone(),
            with: KeysThen::Own(Guard::into_inner(keys)),
            life: Lifetime::of(claims.exp, claims.iat, claims.nbf),
            version: claims.ver,
            principal: Arc::new(self.principal(claims)),
        })
    }

    /// Would the same token still be good? The signature is not looked at again: the keys are the same.
    pub(super) fn still_takes(&self, verified: &Verified, now: u64) -> bool {
        let KeysThen::Own(then) = &verified.with else {
            return false;
        };
        let (user, session) = (&verified.principal.user, &verified.principal.session);
        let session = session.as_deref().unwrap_or_default();
        Arc::ptr_eq(&self.keys.load(), then)
            && verified.life.check(now, self.leeway).is_ok()
            && !self.revoked.end(user, verified.version, session)
    }

    /// What `iss` must say.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    fn principal(&self, claims: Claims) -> Principal {
        Principal {
            user: claims.sub,
            email: Some(claims.email),
            roles: claims.roles,
            issuer: Arc::clone(&self.name),
            session: Some(claims.sid),
            expires_at: claims.exp,
        }
    }

    /// The claims, once the signature is known to be one of ours. Nothing of a token is parsed before.
    fn signed_claims(&self, token: &str, keys: &KeySet) -> Result<Claims, TokenError> {
        let token = Segments::of(token)?;
        let key = keys.by_header(token.header).ok_or(TokenError::UnknownKey)?;
        // An error is a signature that is not base64url in its one canonical form.
        let message = token.message.as_bytes();
        match crypto::verify(token.signature, message, &key.key, key.algorithm) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(TokenError::BadSignature),
        }
        let claims = URL_SAFE_NO_PAD.decode(token.claims);
        let claims = claims.map_err(|_| TokenError::BadClaims)?;
        serde_json::from_slice(&claims).map_err(|_| TokenError::BadClaims)
    }

    fn check(&self, claims: &Claims, now: u64) -> Result<(), TokenError> {
        if claims.iss != self.issuer {
            Err(TokenError::WrongIssuer)
        } else if claims.aud != self.audience {
            Err(TokenError::WrongAudience)
        } else {
            Lifetime::of(claims.exp, claims.iat, claims.nbf).check(now, self.leeway)?;
            match self.revoked.end(&claims.sub, claims.ver, &claims.sid) {
                true => Err(TokenError::Revoked),
                false => Ok(()),
            }
        }
    }
}

impl<'a> Segments<'a> {
    /// Cuts a token in three (RFC 7515 §3.1).
    pub(super) fn of(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        match claims.contains('.') {
            true => Err(TokenError::Malformed),
            false => Ok(Self {
                message,
                header,
                claims,
                signature,
            }),
        }
    }
}

impl TokenError {
    /// The value of a metric's `reason` label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::BadHeader => "bad_header",
            Self::UnknownIssuer => "no_issuer",
            Self::NoKeys => "no_issuer_keys",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::BadClaims => "bad_claims",
            Self::WrongIssuer => "wrong_issuer",
            Self::WrongAudience => "wrong_audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
        }
    }
}

const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests;
