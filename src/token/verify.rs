//! Is this token ours, whole, and in its time? Answered from memory alone: no lock, no I/O.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto;

use super::{Claims, KeyRing, Principal, Revocations, SignedClaims};

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
        let (claims, signed) = self.signed_claims(token)?;
        self.check(&claims, now)?;
        Ok(Arc::new(Principal {
            user: claims.sub,
            email: Some(claims.email),
            roles: claims.roles,
            issuer: Arc::clone(&self.name),
            session: Some(claims.sid),
            expires_at: claims.exp,
            claims: signed,
        }))
    }

    /// The claims, once the signature is known to be one of ours. Nothing of a token is parsed before.
    fn signed_claims(&self, token: &str) -> Result<(Claims, SignedClaims), TokenError> {
        if token.len() > MAX_LENGTH {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Malformed)?;
        if claims.contains('.') {
            return Err(TokenError::Malformed);
        }
        let keys = self.keys.load();
        let key = keys.by_header(header).ok_or(TokenError::UnknownKey)?;
        // An error is a signature that is not base64url in its one canonical form.
        match crypto::verify(signature, message.as_bytes(), &key.key, key.algorithm) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(TokenError::BadSignature),
        }
        let claims = URL_SAFE_NO_PAD.decode(claims);
        let signed = claims.map_err(|_| TokenError::BadClaims)?;
        let claims = serde_json::from_slice(&signed).map_err(|_| TokenError::BadClaims)?;
        Ok((claims, SignedClaims::new(signed)))
    }

    fn check(&self, claims: &Claims, now: u64) -> Result<(), TokenError> {
        let latest = now.saturating_add(self.leeway);
        if claims.iss != self.issuer {
            Err(TokenError::WrongIssuer)
        } else if claims.aud != self.audience {
            Err(TokenError::WrongAudience)
        } else if now >= claims.exp.saturating_add(self.leeway) {
            Err(TokenError::Expired)
        } else if claims.iat > latest || claims.nbf.is_some_and(|start| start > latest) {
            Err(TokenError::NotYetValid)
        } else if self.revoked.end(&claims.sub, claims.ver, &claims.sid) {
            Err(TokenError::Revoked)
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

const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests;
