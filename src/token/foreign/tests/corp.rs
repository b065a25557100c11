//! Another issuer: its keys, and what it signs with them.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{ISSUER, NOW};

/// An issuer with one key of each kind.
pub(in crate::token) struct Corp {
    pub(super) rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

impl Corp {
    pub(in crate::token) fn new() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
        }
    }

    pub(in crate::token) fn jwk(&self, algorithm: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match algorithm {
            "RS256" => {
                let numbers: RsaPublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
                json!({ "kty": "RSA", "n": encode(&numbers.n), "e": encode(&numbers.e) })
            }
            "ES256" => {
                let point = self.p256.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            _ => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(self.ed.public_key().as_ref()) })
            }
        };
        jwk["kid"] = json!(format!("{algorithm}-1"));
        jwk["alg"] = json!(algorithm);
        jwk["use"] = json!("sig");
        jwk
    }

    pub(in crate::token) fn jwks(&self) -> Value {
        let keys = ["RS256", "ES256", "EdDSA"].map(|algorithm| self.jwk(algorithm));
        json!({ "keys": keys })
    }

    fn sign(&self, algorithm: &str, message: &str) -> Vec<u8> {
        let (message, random) = (message.as_bytes(), SystemRandom::new());
        match algorithm {
            "RS256" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let signed = self
                    .rsa
                    .sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.unwrap();
                signature
            }
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            _ => self.ed.sign(message).as_ref().to_vec(),
        }
    }

    /// Signed by the key for `algorithm`, whatever the header says.
    pub(super) fn forge(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.sign(algorithm, &message));
        format!("{message}.{signature}")
    }

    pub(in crate::token) fn token(&self, algorithm: &str) -> String {
        self.forge(
            algorithm,
            &header(algorithm).to_string(),
            &claims().to_string(),
        )
    }

    pub(super) fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = claims();
        claims[name] = value;
        self.forge("ES256", &header("ES256").to_string(), &claims.to_string())
    }

    pub(super) fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = header("ES256");
        match value {
            Value::Null => drop(header.as_object_mut().unwrap().remove(name)),
            value => header[name] = value,
        }
        self.forge("ES256", &header.to_string(), &claims().to_string())
    }
}

pub(super) fn header(algorithm: &str) -> Value {
    json!({ "typ": "JWT", "alg": algorithm, "kid": format!("{algorithm}-1") })
}

pub(super) fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": ["api", "account"], "sub": "u1", "iat": NOW, "exp": NOW + 300, "sid": "s1",
        "email": "ann@corp.example", "email_verified": true, "realm_access": { "roles": ["staff"] },
    })
}
