//! Tokens: keys, claims, signing and verifying. The edge and identity share this folder and nothing
//! else; it needs neither a database nor the network.
//!
//! An own token's header is constant per key. The verifier compares those bytes with the ones that each
//! of its keys would write: a match names the key and with it the algorithm, and nothing that a client
//! writes into a header is ever interpreted.

mod bearer;
mod claims;
mod keys;
pub(crate) use crate::base::private;
mod revoked;
mod sign;
mod verify;

pub use bearer::{BearerError, bearer};
pub use claims::{Claims, Principal};
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
