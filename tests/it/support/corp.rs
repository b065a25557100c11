//! Another issuer of tokens, such as a company's single sign-on: its keys, the place where it publishes
//! them, and whatever it may put into a token.

use std::time::SystemTime;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};

use super::origin::{Origin, Reply};
use super::token::encode;

/// One key of each kind, under the names `RS256-1`, `ES256-1`, `EdDSA-1` where they are of the first
/// generation.
pub struct Corp {
    pub rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    issuer: String,
    generation: u32,
}

pub const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];
/// Where the keys are published.
pub const JWKS: &str = "/jwks.json";

impl Corp {
    /// `issuer` is what its tokens' `iss` says.
    pub fn new(issuer: &str) -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key"),
            ed: Ed25519KeyPair::generate().expect("an Ed25519 key"),
            issuer: issuer.to_owned(),
            generation: 1,
        }
    }

    /// The same issuer with new keys under new names.
    pub fn rotated(&self) -> Self {
        Self {
            generation: self.generation + 1,
            ..Self::new(&self.issuer)
        }
    }

    /// Publishes these keys, in place of what was there.
    pub fn publish(&self, server: &Origin) {
        server.on(JWKS, Reply::new(200, self.jwks().to_string()));
    }

    pub fn jwks(&self) -> Value {
        let keys = ALGORITHMS.map(|algorithm| self.jwk(algorithm));
        json!({ "keys": keys })
    }

    pub fn jwk(&self, algorithm: &str) -> Value {
        let mut jwk = match algorithm {
            "RS256" => {
                let numbers: RsaPublicKeyComponents<Vec<u8>> = self.rsa.public_key().into();
                json!({ "kty": "RSA", "n": encode(&numbers.n), "e": encode(&numbers.e) })
            }
            "ES256" => {
                let point = self.p256.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y })
            }
            "EdDSA" => {
                let x = encode(self.ed.public_key().as_ref());
                json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
            }
            other => panic!("no key for {other}"),
        };
        jwk["kid"] = json!(self.kid(algorithm));
        jwk["alg"] = json!(algorithm);
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn header(&self, algorithm: &str) -> Value {
        json!({ "typ": "JWT", "alg": algorithm, "kid": self.kid(algorithm) })
    }

    /// The claims of an employee who may use the API, in the form of Keycloak.
    pub fn claims(&self) -> Value {
        json!({
            "iss": self.issuer, "aud": ["api", "account"], "sub": "employee-7", "typ": "Bearer",
            "iat": now(), "exp": now() + 300, "sid": "s7", "scope": "openid email",
            "email": "eve@corp.example", "email_verified": true,
            "realm_access": { "roles": ["staff", "flight_company"] },
        })
    }

    pub fn token(&self, algorithm: &str) -> String {
        self.forge(algorithm, &self.header(algorithm), &self.claims())
    }

    /// A sound token but for one claim; `Null` leaves it out.
    pub fn with_claim(&self, name: &str, value: impl Into<Value>) -> String {
        let mut claims = self.claims();
        change(&mut claims, name, value.into());
        self.forge("ES256", &self.header("ES256"), &claims)
    }

    /// A sound token but for one member of the header; `Null` leaves it out.
    pub fn with_header(&self, name: &str, value: impl Into<Value>) -> String {
        let mut header = self.header("ES256");
        change(&mut header, name, value.into());
        self.forge("ES256", &header, &self.claims())
    }

    /// Signed by the key for `algorithm`, whatever the header says.
    pub fn forge(&self, algorithm: &str, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let (bytes, random) = (message.as_bytes(), SystemRandom::new());
        let signature = match algorithm {
            "RS256" => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                let signed = self
                    .rsa
                    .sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature);
                signed.expect("a signature");
                signature
            }
            "ES256" => self
                .p256
                .sign(&random, bytes)
                .expect("a signature")
                .as_ref()
                .to_vec(),
            _ => self.ed.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", encode(signature))
    }

    fn kid(&self, algorithm: &str) -> String {
        format!("{algorithm}-{}", self.generation)
    }
}

/// What is signed of a token.
pub fn message(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    )
}

pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("a clock after 1970").as_secs()
}

fn change(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().expect("an object");
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
}
