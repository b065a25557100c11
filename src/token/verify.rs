//! Is this token ours, whole, and in its time? Answered from memory alone: no lock, no I/O.

use std::sync::Arc;

use super::shared::{ForeignClaims, is_object};
use super::{Claims, KeyRing, KeySet, Kind, Principal, Revocations, SharedKey, VerifyKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

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
        if token.len() > MAX_LENGTH {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        // Nothing of the claims is parsed before the signature is known to be right.
        let signed = |right: bool| right.then_some(()).ok_or(TokenError::BadSignature);
        let message = message.as_bytes();
        let keys = self.keys.load();
        match &**keys {
            KeySet::Public(keys) => {
                let key = by_header(keys, header).ok_or(TokenError::UnknownKey)?;
                signed(key.verifies(message, signature))?;
                self.own(parse(claims)?, now)
            }
            KeySet::Shared(key) if key.is_own(header) => {
                signed(key.verifies(message, signature))?;
                self.own(parse(claims)?, now)
            }
            KeySet::Shared(key) if key.may_bear(header) => {
                signed(key.verifies(message, signature))?;
                self.foreign(key, parse(claims)?, now)
            }
            KeySet::Shared(_) => Err(TokenError::UnknownKey),
        }
    }

    /// A token that this service made.
    fn own(&self, claims: Claims, now: u64) -> Result<Arc<Principal>, TokenError> {
        let is_ours = claims.aud == self.audience;
        self.check(
            &claims.iss,
            is_ours,
            [claims.iat, claims.exp],
            claims.nbf,
            now,
        )?;
        if self.revoked.end(&claims.sub, claims.ver, &claims.sid) {
            return Err(TokenError::Revoked);
        }
        Ok(Arc::new(Principal {
            kind: Kind::Token,
            user: claims.sub,
            email: Some(claims.email),
            roles: claims.roles,
            issuer: Arc::clone(&self.name),
            session: Some(claims.sid),
            expires_at: claims.exp,
        }))
    }

    /// A token that another program made with the secret that it shares with this one.
    fn foreign(
        &self,
        key: &SharedKey,
        claims: ForeignClaims,
        now: u64,
    ) -> Result<Arc<Principal>, TokenError> {
        if !claims.are_fit() {
            return Err(TokenError::BadClaims);
        }
        let end = key.end_of(&claims);
        let is_ours = claims.are_for(&self.audience);
        self.check(&claims.iss, is_ours, [claims.iat, end], claims.nbf, now)?;
        let (user, session) = (&claims.sub, claims.sid.as_deref());
        if self
            .revoked
            .end_foreign(user, claims.ver, session, claims.iat)
        {
            return Err(TokenError::Revoked);
        }
        Ok(Arc::new(Principal {
            kind: Kind::Token,
            user: claims.sub,
            email: claims.email,
            roles: claims.roles,
            issuer: Arc::clone(&self.name),
            session: claims.sid,
            expires_at: end,
        }))
    }

    /// From whom, for whom, and in its time?
    fn check(
        &self,
        issuer: &str,
        is_ours: bool,
        [begin, end]: [u64; 2],
        not_before: Option<u64>,
        now: u64,
    ) -> Result<(), TokenError> {
        let latest = now.saturating_add(self.leeway);
        if issuer != self.issuer {
            Err(TokenError::WrongIssuer)
        } else if !is_ours {
            Err(TokenError::WrongAudience)
        } else if now >= end.saturating_add(self.leeway) {
            Err(TokenError::Expired)
        } else if begin > latest || not_before.is_some_and(|start| start > latest) {
            Err(TokenError::NotYetValid)
        } else {
            Ok(())
        }
    }
}

impl TokenError {
    /// The value of a metric's `reason` label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
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

/// The key whose tokens bear exactly this header segment.
fn by_header<'a>(keys: &'a [VerifyKey], header: &str) -> Option<&'a VerifyKey> {
    keys.iter().find(|key| key.header == header)
}

fn parse<T: DeserializeOwned>(claims: &str) -> Result<T, TokenError> {
    let claims = URL_SAFE_NO_PAD.decode(claims);
    let claims = claims.map_err(|_| TokenError::BadClaims)?;
    // The reader would take a list of the values in their order, too.
    if !is_object(&claims) {
        return Err(TokenError::BadClaims);
    }
    serde_json::from_slice(&claims).map_err(|_| TokenError::BadClaims)
}

const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests;
