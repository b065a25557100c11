//! API keys at the edge: who a key speaks for, answered from memory: no lock, no I/O. Which keys there
//! are is identity's to know; it publishes them here whole.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{SHA256, digest};

use super::Principal;

/// The SHA-256 of a key's whole text: what stores keep, and what keys are found by. A slow hash is for
/// what people think up; a key has 256 random bits, which nobody finds by trying. For the same reason the
/// time of a look-up tells nothing: who does not have the key can't choose what is compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyHash(pub [u8; 32]);

/// A key that is good until it expires or is left out of the next publication.
#[derive(Debug, Clone)]
pub struct KnownKey {
    pub hash: ApiKeyHash,
    pub principal: Arc<Principal>,
}

/// The keys that are good now; clones share them.
#[derive(Debug, Clone, Default)]
pub struct ApiKeys {
    current: Arc<ArcSwap<Snapshot>>,
}

type Snapshot = HashMap<ApiKeyHash, Arc<Principal>, foldhash::fast::RandomState>;

/// Why a key is refused: for the log and the metric. The client always gets the same answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    #[error("the text does not have the form of an API key")]
    Malformed,
    #[error("there is no such API key, or it was revoked")]
    Unknown,
    #[error("the API key has expired")]
    Expired,
}

impl ApiKeyHash {
    /// The hash of a text that has a key's form; `None` for any other.
    pub fn of(key: &str) -> Option<Self> {
        let (id, secret) = key.strip_prefix(API_KEY_PREFIX)?.split_once('_')?;
        let hex = |text: &str, length| {
            let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            text.len() == length && text.bytes().all(digit)
        };
        if !hex(id, 32) || !hex(secret, 64) {
            return None;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
        Some(Self(hash))
    }
}

impl ApiKeys {
    /// Puts these keys in place of all others, for all who share them.
    pub fn publish(&self, keys: impl IntoIterator<Item = KnownKey>) {
        let keys = keys.into_iter().map(|key| (key.hash, key.principal));
        self.current.store(Arc::new(keys.collect()));
    }

    /// Who the key speaks for at this time, in unix seconds.
    pub fn verify(&self, key: &str, now: u64) -> Result<Arc<Principal>, ApiKeyError> {
        let hash = ApiKeyHash::of(key).ok_or(ApiKeyError::Malformed)?;
        let current = self.current.load();
        let principal = current.get(&hash).ok_or(ApiKeyError::Unknown)?;
        match now < principal.expires_at {
            true => Ok(Arc::clone(principal)),
            false => Err(ApiKeyError::Expired),
        }
    }
}

impl ApiKeyError {
    /// The value of a metric's `reason` label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown_api_key",
            Self::Expired => "expired",
        }
    }
}

/// Enough to find a key in a table by, and nothing that opens a door; yet logs are better off without it.
impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("ApiKeyHash")
    }
}

/// What a key begins with, so that programs which look for leaked secrets know one: then 32 hex digits of
/// its id, `_`, and 64 hex digits that are secret.
pub const API_KEY_PREFIX: &str = "airside_";

#[cfg(test)]
mod tests {
    use super::super::SignedClaims;
    use super::*;
    use crate::token::Kind;

    fn key(id: char, secret: char) -> String {
        let times = |c: char, n| c.to_string().repeat(n);
        format!("airside_{}_{}", times(id, 32), times(secret, 64))
    }

    fn known(key: &str, expires_at: u64) -> KnownKey {
        KnownKey {
            hash: ApiKeyHash::of(key).unwrap(),
            principal: Arc::new(Principal {
                claims: SignedClaims::default(),
                kind: Kind::ApiKey,
                user: "api_key:1".to_owned(),
                email: None,
                roles: vec!["auditor".to_owned()],
                issuer: "airside".into(),
                session: None,
                expires_at,
                said: Default::default(),
            }),
        }
    }

    #[test]
    fn a_key_is_known_until_it_expires_or_is_left_out() {
        let (keys, one, other) = (ApiKeys::default(), key('1', 'a'), key('1', 'b'));
        let shared = keys.clone();
        assert_eq!(keys.verify(&one, 0), Err(ApiKeyError::Unknown));
        shared.publish([known(&one, 10), known(&other, u64::MAX)]);
        assert_eq!(keys.verify(&one, 9).unwrap().user, "api_key:1");
        assert_eq!(keys.verify(&one, 10), Err(ApiKeyError::Expired));
        assert!(keys.verify(&other, u64::MAX - 1).is_ok());
        shared.publish([known(&one, 10)]);
        assert_eq!(keys.verify(&other, 0), Err(ApiKeyError::Unknown));
    }

    #[test]
    fn each_character_of_a_key_counts() {
        let (keys, right) = (ApiKeys::default(), key('1', 'a'));
        keys.publish([known(&right, 10)]);
        assert!(keys.verify(&right, 0).is_ok());
        for at in 0..right.len() {
            let mut wrong = right.clone().into_bytes();
            wrong[at] ^= 1;
            let wrong = String::from_utf8(wrong).unwrap();
            assert!(keys.verify(&wrong, 0).is_err(), "{wrong}");
        }
        for wrong in ["", "airside_", &right[1..], &right[..right.len() - 1]] {
            assert_eq!(keys.verify(wrong, 0), Err(ApiKeyError::Malformed));
        }
        for wrong in [
            right.to_uppercase(),
            format!("{right}a"),
            format!("{right} "),
        ] {
            assert_eq!(keys.verify(&wrong, 0), Err(ApiKeyError::Malformed));
        }
    }

    #[test]
    fn rule_23_a_hash_is_not_shown() {
        let shown = format!("{:?}", known(&key('1', 'a'), 10));
        assert!(shown.contains("hash: ApiKeyHash,"), "{shown}");
    }
}
