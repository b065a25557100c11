//! HS256: one secret that signs and verifies, for those who make tokens in other programs with it.
//!
//! An own token bears one constant header, like everywhere. Another program writes its header as its
//! library does, so that it has to be read: it may say `alg`, `typ` and our `kid`, and nothing else.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::public::base64;
use super::sign::seal;
use super::{Claims, SignError};

/// A shared secret. Cheap to clone; it never shows itself.
#[derive(Clone)]
pub struct SharedKey {
    inner: Arc<Inner>,
}

struct Inner {
    kid: String,
    header: String,
    key: hmac::Key,
    life: u64,
}

/// The claims of a token that another program made: what RFC 9068 §2.2 demands of every token, and what
/// of ours may be left out.
#[derive(Debug, Deserialize)]
pub(super) struct ForeignClaims {
    pub iss: String,
    pub aud: Audience,
    pub sub: String,
    pub exp: u64,
    pub iat: u64,
    pub jti: String,
    pub nbf: Option<u64>,
    pub email: Option<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    pub sid: Option<String>,
    pub ver: Option<u64>,
}

/// One, or several (RFC 7519 §4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl SharedKey {
    /// `secret` was found long enough while the configuration was read. `life_seconds` is how long a
    /// token of another program counts from its `iat` on, whatever its `exp` says: what ends tokens
    /// before their time is remembered no longer than that.
    pub fn new(secret: &[u8], life_seconds: u64) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // A plain hash of a secret is not to be shown (RFC 7638 §7); this tells no more than any token.
        let kid = base64(hmac::sign(&key, KID_OF));
        let header = base64(format!(r#"{{"typ":"at+jwt","alg":"HS256","kid":"{kid}"}}"#));
        Self {
            inner: Arc::new(Inner {
                kid,
                header,
                key,
                life: life_seconds,
            }),
        }
    }

    /// The token for these claims.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        let tag = |message: &[u8]| Ok(hmac::sign(&self.inner.key, message).as_ref().to_vec());
        seal(&self.inner.header, claims, tag)
    }

    pub fn kid(&self) -> &str {
        &self.inner.kid
    }

    /// Is this the header of our own tokens?
    pub(super) fn is_own(&self, header: &str) -> bool {
        self.inner.header == header
    }

    /// May this be the header of a token made with the secret by another program? Nothing that it says is
    /// acted on: it must fit this key, or it is refused.
    pub(super) fn may_bear(&self, header: &str) -> bool {
        let Ok(header) = URL_SAFE_NO_PAD.decode(header) else {
            return false;
        };
        // The reader would take a list of the values in their order, too.
        if !is_object(&header) {
            return false;
        }
        let Ok(header) = serde_json::from_slice::<Header>(&header) else {
            return false;
        };
        let typ = header.typ.as_deref();
        header.alg == "HS256"
            && matches!(typ, None | Some("at+jwt" | "JWT"))
            && header.kid.is_none_or(|kid| kid == self.inner.kid)
    }

    /// Is this the signature, in base64url, of that message? In constant time.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let mut tag = [0; 32];
        let decoded = URL_SAFE_NO_PAD.decode_slice(signature, &mut tag);
        decoded.is_ok_and(|length| length == tag.len())
            && hmac::verify(&self.inner.key, message, &tag).is_ok()
    }

    /// When a token of another program ends, in unix seconds.
    pub(super) fn end_of(&self, claims: &ForeignClaims) -> u64 {
        claims.exp.min(claims.iat.saturating_add(self.inner.life))
    }
}

impl ForeignClaims {
    /// Texts that upstreams get as headers and logs as fields: none may be empty or endless, hold what
    /// can't be written there, or pass for several.
    pub(super) fn are_fit(&self) -> bool {
        let fits =
            |text: &String| (1..=LONGEST).contains(&text.len()) && !text.contains(char::is_control);
        let is_name = |role: &String| {
            let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            (1..=64).contains(&role.len()) && role.chars().all(sign)
        };
        [&self.sub, &self.jti].into_iter().all(fits)
            && [&self.email, &self.sid].into_iter().flatten().all(fits)
            && self.roles.iter().all(is_name)
    }

    pub(super) fn are_for(&self, audience: &str) -> bool {
        match &self.aud {
            Audience::One(one) => one == audience,
            Audience::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("SharedKey(***)")
    }
}

/// Does this text begin as a JSON object does?
pub(super) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

/// All that a header may say. Anything else, `jku jwk x5u x5c crit b64 zip` among it, and any member that
/// stands twice, is an error of the reader.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "said")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "said")]
    kid: Option<String>,
}

/// What is there is a string: `null` is not the same as nothing.
fn said<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(Some)
}

const KID_OF: &[u8] = b"airside: the id of this key";
const LONGEST: usize = 255;

#[cfg(test)]
mod tests;
