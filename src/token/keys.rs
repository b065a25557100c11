//! The keys that own tokens are verified with, and the ring through which a change of keys reaches all
//! who verify.

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Value, json};

/// One public key, together with the header that every token signed by its other half bears.
#[derive(Clone)]
pub struct VerifyKey {
    kid: String,
    pub(super) header: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    jwk: Value,
}

/// The keys that are valid at one moment.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<VerifyKey>,
}

/// The current keys, shared: reading takes no lock, and clones see what any one of them publishes.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    current: Arc<ArcSwap<KeySet>>,
}

impl VerifyKey {
    /// An Ed25519 key by its 32 public bytes. `header` is the encoded header segment of its tokens.
    pub(super) fn ed25519(header: String, kid: &str, public: &[u8]) -> Self {
        Self {
            kid: kid.to_owned(),
            header,
            algorithm: Algorithm::EdDSA,
            key: DecodingKey::from_ed_der(public),
            // RFC 8037 §2: `x` is the public half; the private one would be `d`.
            jwk: json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": "EdDSA",
                "use": "sig",
                "kid": kid,
                "x": super::sign::base64(public),
            }),
        }
    }
}

impl KeySet {
    pub fn new(keys: Vec<VerifyKey>) -> Self {
        Self { keys }
    }

    /// The document behind `/.well-known/jwks.json` (RFC 7517 §5). It is written from public halves
    /// alone, so that it can't hold a `k` or a `d`.
    pub fn jwks(&self) -> Value {
        let keys: Vec<_> = self.keys.iter().map(|key| &key.jwk).collect();
        json!({ "keys": keys })
    }

    /// The key whose tokens bear exactly this header segment.
    pub(super) fn by_header(&self, header: &str) -> Option<&VerifyKey> {
        self.keys.iter().find(|key| key.header == header)
    }
}

impl KeyRing {
    pub fn new(keys: KeySet) -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(keys)),
        }
    }

    /// Puts a new set in place of the current one, for all who share the ring.
    pub fn publish(&self, keys: KeySet) {
        self.current.store(Arc::new(keys));
    }

    pub fn load(&self) -> Guard<Arc<KeySet>> {
        self.current.load()
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "VerifyKey({})", self.kid)
    }
}
