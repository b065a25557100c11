//! Tokens: keys, claims, signing and verifying. The edge and identity share this folder and nothing
//! else; it needs no database, and only `foreign/keeper` goes to the network, beside the traffic.
//!
//! An own token's header is constant per key. The verifier compares those bytes with the ones that each
//! of its keys would write: a match names the key and with it the algorithm, and nothing that a client
//! writes into a header is ever interpreted. Other issuers' headers are read, strictly, for a `kid`.

mod bearer;
mod cache;
mod claims;
mod foreign;
mod header;
pub mod issuer;
mod jwks;
mod keys;
pub(crate) mod private;
mod revoked;
mod sign;
mod verified;
mod verify;

pub use bearer::{BearerError, bearer};
pub use cache::TokenCache;
pub use claims::{Claims, Principal};
pub use foreign::{ForeignVerifier, Source, keep};
pub use issuer::{Accepted, Issuer};
pub use jwks::{JwkSet, JwksError, LeftOut};
pub use keys::{KeyRing, KeySet, VerifyKey};
pub use revoked::{Revocation, Revocations, Revoked};
pub use sign::{KeyError, SignError, SigningKey};
pub use verify::{TokenError, Verifier};

/// Chooses the process's crypto backend for tokens, once; further calls change nothing. Without it the
/// library picks by its compiled features and panics on the first token if another crate added a second.
pub fn install_crypto() {
    // An error means that a backend is installed already.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
