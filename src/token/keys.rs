//! The keys that own tokens are verified with, and the ring through which a change of keys reaches all
//! who verify.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use serde_json::{Value, json};

use super::{SharedKey, VerifyKey};

/// The keys that are valid at one moment: public ones, or one shared secret. Never both (RFC 8725 §3.1).
#[derive(Debug, Clone)]
pub enum KeySet {
    Public(Vec<VerifyKey>),
    Shared(SharedKey),
}

/// The current keys, shared: reading takes no lock, and clones see what any one of them publishes.
#[derive(Debug, Clone, Default)]
pub struct KeyRing {
    current: Arc<ArcSwap<KeySet>>,
}

impl KeySet {
    pub fn new(keys: Vec<VerifyKey>) -> Self {
        Self::Public(keys)
    }

    /// The document behind `/.well-known/jwks.json` (RFC 7517 §5). A shared secret is never in it.
    pub fn jwks(&self) -> Value {
        let keys: Vec<_> = match self {
            Self::Public(keys) => keys.iter().map(VerifyKey::jwk).collect(),
            Self::Shared(_) => Vec::new(),
        };
        json!({ "keys": keys })
    }
}

impl Default for KeySet {
    fn default() -> Self {
        Self::Public(Vec::new())
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
