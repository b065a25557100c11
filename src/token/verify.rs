//! Is this token ours, whole, and in its time? Answered from memory alone: no lock, no I/O.

use std::sync::Arc;

use arc_swap::Guard;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use super::shared::{ForeignClaims, is_object};
use super::verified::{KeysThen, Lifetime, Verified};
use super::{
    Claims, Issuer, KeyRing, KeySet, Kind, Principal, Revocations, SharedKey, SignedClaims,
    VerifyKey,
};

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
    #[error("the route takes no tokens")]
    NoIssuer,
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
        let good = self.look(token, &self.keys.load(), now)?;
        Ok(Arc::new(good.principal))
    }

    /// The same, with what must still hold when the token comes again. `this` is the issuer that this is.
    pub(super) fn verify_for(
        &self,
        this: &Issuer,
        token: &str,
        now: u64,
    ) -> Result<Verified, TokenError> {
        let keys = self.keys.load();
        let good = self.look(token, &keys, now)?;
        Ok(Verified {
            by: this.clone(),
            with: KeysThen::Own(Guard::into_inner(keys)),
            life: good.life,
            version: good.version,
            made_at: good.made_at,
            principal: Arc::new(good.principal),
        })
    }

    /// Would the same token still be good? The signature is not looked at again: the keys are the same.
    pub(super) fn still_takes(&self, verified: &Verified, now: u64) -> bool {
        let KeysThen::Own(then) = &verified.with else {
            return false;
        };
        let (user, session) = (&verified.principal.user, &verified.principal.session);
        let (version, made_at) = (verified.version, verified.made_at);
        Arc::ptr_eq(&self.keys.load(), then)
            && verified.life.check(now, self.leeway).is_ok()
            && !self
                .revoked
                .end_foreign(user, version, session.as_deref(), made_at)
    }

    /// What `iss` must say.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Nothing of the claims is parsed before the signature is known to be right.
    fn look(&self, token: &str, keys: &KeySet, now: u64) -> Result<Good, TokenError> {
        let token = Segments::of(token)?;
        let signed = |right: bool| right.then_some(()).ok_or(TokenError::BadSignature);
        let message = token.message.as_bytes();
        let good = match keys {
            KeySet::Public(keys) => {
                let key = by_header(keys, token.header).ok_or(TokenError::UnknownKey)?;
                signed(key.verifies(message, token.signature))?;
                self.own(parse(token.claims)?)?
            }
            KeySet::Shared(key) if key.is_own(token.header) => {
                signed(key.verifies(message, token.signature))?;
                self.own(parse(token.claims)?)?
            }
            KeySet::Shared(key) if key.may_bear(token.header) => {
                signed(key.verifies(message, token.signature))?;
                self.foreign(key, parse(token.claims)?)?
            }
            KeySet::Shared(_) => return Err(TokenError::UnknownKey),
        };
        good.life.check(now, self.leeway)?;
        let (user, session) = (&good.principal.user, good.principal.session.as_deref());
        match self
            .revoked
            .end_foreign(user, good.version, session, good.made_at)
        {
            true => Err(TokenError::Revoked),
            false => Ok(good),
        }
    }

    /// A token that this service made.
    fn own(&self, (claims, signed): (Claims, SignedClaims)) -> Result<Good, TokenError> {
        self.check(&claims.iss, claims.aud == self.audience)?;
        Ok(Good {
            life: Lifetime::of(claims.exp, claims.iat, claims.nbf),
            version: Some(claims.ver),
            made_at: claims.iat,
            principal: Principal {
                kind: Kind::Token,
                user: claims.sub,
                email: Some(claims.email),
                roles: claims.roles,
                issuer: Arc::clone(&self.name),
                session: Some(claims.sid),
                expires_at: claims.exp,
                claims: signed,
                said: Default::default(),
            },
        })
    }

    /// A token that another program made with the secret that it shares with this one.
    fn foreign(
        &self,
        key: &SharedKey,
        (claims, signed): (ForeignClaims, SignedClaims),
    ) -> Result<Good, TokenError> {
        if !claims.are_fit() {
            return Err(TokenError::BadClaims);
        }
        let end = key.end_of(&claims);
        self.check(&claims.iss, claims.are_for(&self.audience))?;
        Ok(Good {
            life: Lifetime::of(end, claims.iat, claims.nbf),
            version: claims.ver,
            made_at: claims.iat,
            principal: Principal {
                kind: Kind::Token,
                user: claims.sub,
                email: claims.email,
                roles: claims.roles,
                issuer: Arc::clone(&self.name),
                session: claims.sid,
                expires_at: end,
                claims: signed,
                said: Default::default(),
            },
        })
    }

    /// From whom, and for whom?
    fn check(&self, issuer: &str, is_ours: bool) -> Result<(), TokenError> {
        if issuer != self.issuer {
            Err(TokenError::WrongIssuer)
        } else if !is_ours {
            Err(TokenError::WrongAudience)
        } else {
            Ok(())
        }
    }
}

/// What a signed token says, for us and by whom it should.
struct Good {
    life: Lifetime,
    version: Option<u64>,
    /// Unix seconds.
    made_at: u64,
    principal: Principal,
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
            Self::NoIssuer => "no_issuer",
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

/// The key whose tokens bear exactly this header segment.
fn by_header<'a>(keys: &'a [VerifyKey], header: &str) -> Option<&'a VerifyKey> {
    keys.iter().find(|key| key.header == header)
}

/// The claims, and the JSON that they stand in.
fn parse<T: DeserializeOwned>(claims: &str) -> Result<(T, SignedClaims), TokenError> {
    let claims = URL_SAFE_NO_PAD.decode(claims);
    let claims = claims.map_err(|_| TokenError::BadClaims)?;
    // The reader would take a list of the values in their order, too.
    if !is_object(&claims) {
        return Err(TokenError::BadClaims);
    }
    // Of members that nobody asks for the reader would take any bytes.
    let text = str::from_utf8(&claims).map_err(|_| TokenError::BadClaims)?;
    let parsed = serde_json::from_str(text).map_err(|_| TokenError::BadClaims)?;
    Ok((parsed, SignedClaims::new(claims)))
}

/// Issuer and verifier of own tokens are one machine, or a few that keep time.
pub const OWN_LEEWAY_SECONDS: u64 = 5;
const MAX_LENGTH: usize = 4096;

#[cfg(test)]
mod tests;
