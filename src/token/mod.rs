//! Tokens: keys, claims, signing and verifying. The edge and identity share this folder and nothing
//! else; it needs neither a database nor the network.
//!
//! An own token's header is constant per key. The verifier compares those bytes with the ones that each
//! of its keys would write: a match names the key and with it the algorithm, and nothing that a client
//! writes into a header is ever interpreted. Only where a secret is shared (HS256) may another program's
//! header be read, and it has nothing to choose from. Other issuers' headers are read, strictly, for a `kid`.

mod api_key;
mod bearer;
mod cache;
mod claim;
mod claims;
mod folder;
mod foreign;
mod header;
pub mod issuer;
mod jwks;
mod keys;
mod public;
mod revoked;
mod said;
mod shared;
mod sign;
mod verified;
mod verify;

pub use api_key::{API_KEY_PREFIX, ApiKeyError, ApiKeyHash, ApiKeys, KnownKey};
pub use bearer::{BearerError, Credential, X_API_KEY, bearer, credential, is_api_key};
pub use cache::{TokenCache, Uses};
pub use claim::{Claim, SignedClaims};
pub use claims::{Claims, Kind, Principal};
pub use folder::{KeyError, KeyFolder};
pub use foreign::{ForeignVerifier, Keeper, Kept, Source};
pub use issuer::{Accepted, Issuer};
pub use jwks::{JwkSet, JwksError, LeftOut};
pub use keys::{KeyRing, KeySet};
pub use public::{Algorithm, VerifyKey};
pub use revoked::{Revocation, Revocations, Revoked};
pub use said::{Said, Words};
pub use shared::SharedKey;
pub use sign::{SignError, Signer, SigningKey};
pub use verify::{OWN_LEEWAY_SECONDS, TokenError, Verifier};

/// Chooses the process's crypto backend for tokens, once; further calls change nothing. Without it the
/// library picks by its compiled features and panics on the first token if another crate added a second.
pub fn install_crypto() {
    // An error means that a backend is installed already.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
