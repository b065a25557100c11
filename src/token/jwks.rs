//! From a JWK set (RFC 7517 §5) to the keys that another issuer's tokens are verified with. The library's
//! own reader looks at neither `alg`, `use`, `crv` nor length; this one takes a key for what it says it is,
//! or not at all.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::header::{Header, MAX_KID};
use super::issuer::config::Algorithm;

/// The keys of an issuer at one moment: public ones only, by construction.
#[derive(Debug)]
pub struct JwkSet {
    keys: Vec<PublicKey>,
}

/// One key, and the one algorithm that it is for.
pub(super) struct PublicKey {
    kid: Option<String>,
    algorithm: Algorithm,
    key: ParsedPublicKey,
}

/// Why a document brings no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    #[error("it is no JWK set: a JSON object with a list `keys`")]
    Malformed,
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    #[error("no key in it can be used{}", .0.first().map(|first| format!(": {first}")).unwrap_or_default())]
    NothingUsable(Vec<LeftOut>),
}

/// A key that is not used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    pub kid: String,
    pub why: &'static str,
}

impl JwkSet {
    /// The keys of a document that are for signatures by one of `algorithms`, and those that are left out.
    pub fn read(
        document: &[u8],
        algorithms: &[Algorithm],
    ) -> Result<(Self, Vec<LeftOut>), JwksError> {
        let mut document: Value =
            serde_json::from_slice(document).map_err(|_| JwksError::Malformed)?;
        let Some(Value::Array(jwks)) = document.get_mut("keys").map(Value::take) else {
            return Err(JwksError::Malformed);
        };
        if jwks.len() > MAX_KEYS {
            return Err(JwksError::TooMany);
        }
        let (mut keys, mut left_out): (Vec<PublicKey>, _) = (Vec::new(), Vec::new());
        for jwk in jwks {
            let kid = jwk
                .get("kid")
                .and_then(Value::as_str)
                .unwrap_or("without a kid");
            let kid: String = kid.chars().take(64).collect();
            match Jwk::read(jwk).and_then(|jwk| jwk.key(algorithms)) {
                Ok(key)
                    if keys
                        .iter()
                        .any(|known| known.kid == key.kid && key.kid.is_some()) =>
                {
                    let why = "another key has the same `kid`";
                    left_out.push(LeftOut { kid, why });
                }
                Ok(key) => keys.push(key),
                Err(why) => left_out.push(LeftOut { kid, why }),
            }
        }
        match keys.is_empty() {
            true => Err(JwksError::NothingUsable(left_out)),
            false => Ok((Self { keys }, left_out)),
        }
    }

    /// The key that a header names, if it is for the header's algorithm. Without a `kid` it is the only one
    /// for the algorithm: none of several is tried.
    pub(super) fn find(&self, header: &Header) -> Option<&PublicKey> {
        let fits = |key: &&PublicKey| key.algorithm.word() == header.alg;
        match &header.kid {
            Some(kid) => {
                let mut named = self.keys.iter();
                let named = named.find(|key| key.kid.as_deref() == Some(&**kid));
                named.filter(fits)
            }
            None => {
                let mut fitting = self.keys.iter().filter(fits);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        }
    }

    /// Has the key that the header names been seen? Without a `kid` there is nothing to look for.
    pub(super) fn knows(&self, header: &Header) -> bool {
        let known = |kid: &str| self.keys.iter().any(|key| key.kid.as_deref() == Some(kid));
        header.kid.as_deref().is_none_or(known)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The same keys under the same names?
    pub fn is_same_as(&self, other: &Self) -> bool {
        let same = |(one, other): (&PublicKey, &PublicKey)| {
            one.kid == other.kid
                && one.algorithm == other.algorithm
                && one.key.as_ref() == other.key.as_ref()
        };
        self.keys.len() == other.keys.len() && self.keys.iter().zip(&other.keys).all(same)
    }
}

impl PublicKey {
    /// Is this the signature of that message, by the key's own algorithm?
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.kid, self.algorithm.word())
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.kid.escape_debug(), self.why)
    }
}

/// The members that are looked at (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Jwk {
    fn read(jwk: Value) -> Result<Self, &'static str> {
        // Whoever can read the set could sign with such a key, and so could who only verifies.
        if SECRET.iter().any(|name| jwk.get(name).is_some()) {
            return Err("it holds what signs: a shared secret, or a private half");
        }
        // The reader would take a list of the values in their order, too.
        let jwk = jwk
            .is_object()
            .then_some(jwk)
            .ok_or("it is no JSON object")?;
        serde_json::from_value(jwk).map_err(|_| "its members are of wrong types")
    }

    /// Errors: why the key is left out.
    fn key(self, algorithms: &[Algorithm]) -> Result<PublicKey, &'static str> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return Err("it is not for signatures");
        }
        let verifies = |operations: &Vec<String>| operations.iter().any(|one| one == "verify");
        if !self.key_ops.as_ref().is_none_or(verifies) {
            return Err("it is not for verifying");
        }
        if self.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err("its `kid` is too long");
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return Err("it is of a kind that is not known here"),
        };
        if self
            .alg
            .as_deref()
            .is_some_and(|alg| alg != algorithm.word())
        {
            return Err("its `alg` is not known here, or not of its kind of key");
        }
        if !algorithms.contains(&algorithm) {
            return Err("its algorithm is not one of `algorithms`");
        }
        let key = match algorithm {
            Algorithm::Rs256 => self.rsa()?,
            Algorithm::Es256 => self.p256()?,
            Algorithm::EdDsa => self.ed25519()?,
        };
        Ok(PublicKey {
            kid: self.kid,
            algorithm,
            key,
        })
    }

    fn rsa(&self) -> Result<ParsedPublicKey, &'static str> {
        let (n, e) = (number(&self.n)?, number(&self.e)?);
        let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err("it is shorter than 2048 bits, or longer than 8192");
        }
        // Exponents below make forging easy (1) or have a history of it (3); even ones are none.
        let odd = e.last().is_some_and(|last| last % 2 == 1);
        if !odd || !(3..=4).contains(&e.len()) || n.last().is_some_and(|last| last % 2 == 0) {
            return Err("its exponent or its modulus is not sound");
        }
        let components = RsaPublicKeyComponents { n, e };
        let parsed = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
        parsed.map_err(|_| "its numbers are no RSA key")
    }

    fn p256(&self) -> Result<ParsedPublicKey, &'static str> {
        let (x, y) = (number(&self.x)?, number(&self.y)?);
        if (x.len(), y.len()) != (32, 32) {
            return Err("its numbers have another length than 32 bytes");
        }
        // The uncompressed point (SEC 1 §2.3.3); the library refuses one that is not on the curve.
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        parsed.map_err(|_| "its point is not on the curve")
    }

    fn ed25519(&self) -> Result<ParsedPublicKey, &'static str> {
        let x = number(&self.x)?;
        if x.len() != 32 || self.y.is_some() {
            return Err("its number has another length than 32 bytes");
        }
        ParsedPublicKey::new(&ED25519, x).map_err(|_| "its number is no key")
    }
}

fn number(text: &Option<String>) -> Result<Vec<u8>, &'static str> {
    let text = text.as_ref().ok_or("a number is missing")?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| "a number is not base64url")
}

/// RFC 7518 §6.2.2, §6.3.2 and §6.4.
const SECRET: [&str; 8] = ["k", "d", "p", "q", "dp", "dq", "qi", "oth"];
/// RFC 7518 §3.3, and what the library takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;
/// Issuers publish fewer than ten.
const MAX_KEYS: usize = 64;

#[cfg(test)]
mod tests;
