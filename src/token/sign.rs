//! What own tokens are signed with: a private key, or the secret that is shared.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};

use serde::Serialize;

use super::public::{Algorithm, Numbers, VerifyKey, base64};
use super::{Claims, SharedKey};

/// A private key, and the one header that all of its tokens bear. Cheap to clone.
#[derive(Clone)]
pub struct SigningKey {
    public: VerifyKey,
    private: Arc<Private>,
}

/// Who signs: one or the other, by the configuration's algorithm.
#[derive(Debug, Clone)]
pub enum Signer {
    Pair(SigningKey),
    Shared(SharedKey),
}

/// The library could not sign, which a key that was read with success does not explain.
#[derive(Debug, thiserror::Error)]
#[error("can't sign a token: {0}")]
pub struct SignError(pub(super) String);

/// Read once: an RSA key is checked at length when it is read.
enum Private {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl SigningKey {
    /// A new key and its PKCS#8 form. RSA keys have 2048 bits, and take a moment.
    pub(super) fn generate(algorithm: Algorithm) -> Result<(Self, Vec<u8>), Unspecified> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::EdDsa => {
                let document = Ed25519KeyPair::generate_pkcs8(&random)?;
                document.as_ref().to_vec()
            }
            Algorithm::Es256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(curve, &random)?;
                document.as_ref().to_vec()
            }
            Algorithm::Rs256 => {
                let document: Pkcs8V1Der = RsaKeyPair::generate(KeySize::Rsa2048)?.as_der()?;
                document.as_ref().to_vec()
            }
        };
        let key = Self::from_pkcs8(&document).ok_or(Unspecified)?;
        Ok((key, document))
    }

    /// A key from its PKCS#8 form, which tells what kind it is; `None` where it is of none that signs
    /// tokens, or an RSA key of less than 2048 bits.
    pub fn from_pkcs8(document: &[u8]) -> Option<Self> {
        let (public, private) = if let Ok(pair) = Ed25519KeyPair::from_pkcs8(document) {
            let x = pair.public_key().as_ref();
            (
                VerifyKey::of(&Numbers::Ed25519 { x }),
                Private::Ed25519(pair),
            )
        } else if let Ok(pair) =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document)
        {
            // The uncompressed point: a four, then both coordinates.
            let (_, point) = pair.public_key().as_ref().split_first()?;
            let (x, y) = point.split_at_checked(32)?;
            (VerifyKey::of(&Numbers::P256 { x, y }), Private::P256(pair))
        } else {
            let pair = RsaKeyPair::from_pkcs8(document).ok()?;
            let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
            let (n, e) = (&public.n, &public.e);
            (VerifyKey::of(&Numbers::Rsa { n, e }), Private::Rsa(pair))
        };
        Some(Self {
            public: public?,
            private: Arc::new(private),
        })
    }

    /// A key that is kept nowhere, for tests of a configuration; `None` without randomness.
    pub fn ephemeral() -> Option<Self> {
        Self::generate(Algorithm::EdDsa).ok().map(|(key, _)| key)
    }

    /// The token for these claims: our own, or such as another issuer makes.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SignError> {
        let signature = |message: &[u8]| {
            let random = SystemRandom::new();
            match &*self.private {
                Private::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
                Private::P256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
                Private::Rsa(pair) => {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                    Ok(signature)
                }
            }
        };
        seal(&self.public.header, claims, signature)
    }

    /// The public half, for those who verify.
    pub fn verify_key(&self) -> VerifyKey {
        self.public.clone()
    }

    pub fn kid(&self) -> &str {
        self.public.kid()
    }

    pub fn algorithm(&self) -> Algorithm {
        self.public.algorithm()
    }
}

impl Signer {
    /// The token for these claims.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        match self {
            Self::Pair(key) => key.sign(claims),
            Self::Shared(key) => key.sign(claims),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid())
    }
}

/// Header, claims and their signature (RFC 7515 §7.1).
pub(super) fn seal(
    header: &str,
    claims: &impl Serialize,
    signature: impl FnOnce(&[u8]) -> Result<Vec<u8>, Unspecified>,
) -> Result<String, SignError> {
    let claims = serde_json::to_vec(claims).map_err(|error| SignError(error.to_string()))?;
    let mut token = format!("{header}.{}", base64(claims));
    let signature = signature(token.as_bytes()).map_err(|error| SignError(error.to_string()))?;
    token.push('.');
    token.push_str(&base64(signature));
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::KeySet;

    #[test]
    fn rule_23_neither_jwks_nor_debug_shows_a_private_half() {
        for (algorithm, members) in [
            (
                Algorithm::EdDsa,
                &["alg", "crv", "kid", "kty", "use", "x"][..],
            ),
            (
                Algorithm::Es256,
                &["alg", "crv", "kid", "kty", "use", "x", "y"],
            ),
            (Algorithm::Rs256, &["alg", "e", "kid", "kty", "n", "use"]),
        ] {
            let (key, _) = SigningKey::generate(algorithm).unwrap();
            let jwks = KeySet::new(vec![key.verify_key()]).jwks();
            let found: Vec<_> = jwks["keys"][0].as_object().unwrap().keys().collect();
            assert_eq!(found, members);
            assert_eq!(jwks["keys"][0]["alg"], algorithm.name());
            assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.kid()));
        }
    }

    #[test]
    fn a_key_is_found_again_in_its_pkcs8_form() {
        for algorithm in Algorithm::ALL {
            let (key, document) = SigningKey::generate(algorithm).unwrap();
            let again = SigningKey::from_pkcs8(&document).unwrap();
            assert_eq!((again.kid(), again.algorithm()), (key.kid(), algorithm));
        }
        assert!(SigningKey::from_pkcs8(b"no key").is_none());
    }

    #[test]
    fn rule_5_an_rsa_key_of_less_than_2048_bits_is_none() {
        assert!(SigningKey::from_pkcs8(include_bytes!("sign/rsa-1024.pk8")).is_none());
    }
}
