//! Public keys: which algorithm each is for, what its tokens bear, how they are verified, and the JWK,
//! which is all that is kept or published of a pair.

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, crypto};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a pair of keys signs with. HS256 has no public half, so that it is none of these: where a pair
/// is asked for, a shared secret can't be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037 §3.1).
    EdDsa,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 §3.4).
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3).
    Rs256,
}

/// One public key, together with the header that every token signed by its other half bears.
#[derive(Clone)]
pub struct VerifyKey {
    kid: String,
    pub(super) header: String,
    algorithm: Algorithm,
    key: DecodingKey,
    jwk: Value,
}

/// A public key's numbers, as RFC 7518 §6 names them; big-endian.
pub(super) enum Numbers<'a> {
    Ed25519 { x: &'a [u8] },
    P256 { x: &'a [u8], y: &'a [u8] },
    Rsa { n: &'a [u8], e: &'a [u8] },
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The name in a token's header and a JWK (RFC 7518 §3.1).
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
        }
    }

    /// Exact: names are case-sensitive.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl VerifyKey {
    /// A key by its numbers; `None` where they have not the size that the algorithm asks for.
    pub(super) fn of(numbers: &Numbers) -> Option<Self> {
        let (algorithm, key, members) = match *numbers {
            Numbers::Ed25519 { x } => {
                let key = (x.len() == 32).then(|| DecodingKey::from_ed_der(x))?;
                let members = json!({ "crv": "Ed25519", "kty": "OKP", "x": base64(x) });
                (Algorithm::EdDsa, key, members)
            }
            Numbers::P256 { x, y } => {
                // The uncompressed point (SEC 1 §2.3.3); one that is not on the curve verifies nothing.
                let point = [&[4], x, y].concat();
                let fits = x.len() == 32 && y.len() == 32;
                let key = fits.then(|| DecodingKey::from_ec_der(&point))?;
                let members =
                    json!({ "crv": "P-256", "kty": "EC", "x": base64(x), "y": base64(y) });
                (Algorithm::Es256, key, members)
            }
            Numbers::Rsa { n, e } => {
                let key = (RSA_BITS.contains(&bits(n)) && !e.is_empty())
                    .then(|| DecodingKey::from_rsa_raw_components(n, e))?;
                let members = json!({ "e": base64(e), "kty": "RSA", "n": base64(n) });
                (Algorithm::Rs256, key, members)
            }
        };
        let kid = thumbprint(&members);
        let name = algorithm.name();
        // Written by hand: the bytes must be the same in every process and every release.
        let header = base64(format!(
            r#"{{"typ":"at+jwt","alg":"{name}","kid":"{kid}"}}"#
        ));
        let mut jwk = members;
        let more = [("alg", name), ("use", "sig"), ("kid", &kid)];
        let more = more.map(|(member, value)| (member.to_owned(), json!(value)));
        jwk.as_object_mut()?.extend(more);
        Some(Self {
            kid,
            header,
            algorithm,
            key,
            jwk,
        })
    }

    /// A key from its JWK; `None` where that is not exactly what `jwk` writes for it: another member,
    /// such as a private one, another use, or an id that is not its thumbprint.
    pub fn from_jwk(text: &str) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(text).ok()?;
        let number = |text: Option<&String>| URL_SAFE_NO_PAD.decode(text?).ok();
        let (x, y) = (number(jwk.x.as_ref()), number(jwk.y.as_ref()));
        let (n, e) = (number(jwk.n.as_ref()), number(jwk.e.as_ref()));
        let numbers = match (jwk.kty.as_str(), &x, &y, &n, &e) {
            ("OKP", Some(x), None, None, None) => Numbers::Ed25519 { x },
            ("EC", Some(x), Some(y), None, None) => Numbers::P256 { x, y },
            ("RSA", None, None, Some(n), Some(e)) => Numbers::Rsa { n, e },
            _ => return None,
        };
        let key = Self::of(&numbers)?;
        let said: Value = serde_json::from_str(text).ok()?;
        (said == key.jwk).then_some(key)
    }

    /// The public JWK (RFC 7517 §4). It is written from public numbers alone, so that it can't hold a
    /// `k` or a `d`.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// The key's id: its RFC 7638 thumbprint, 43 characters.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Is this the signature, in base64url, of that message? By the key's own algorithm and no other.
    pub(super) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let algorithm = match self.algorithm {
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
        };
        // An error is a signature that is not base64url in its one canonical form.
        crypto::verify(signature, message, &self.key, algorithm).unwrap_or(false)
    }
}

impl fmt::Debug for VerifyKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "VerifyKey({})", self.kid)
    }
}

/// Base64url without padding, the form of all that stands in a token.
pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

/// The SHA-256 of a key's required members in lexical order, which is the order that `Value` keeps
/// (RFC 7638 §3, RFC 8037 §2).
fn thumbprint(members: &Value) -> String {
    base64(digest::digest(
        &digest::SHA256,
        members.to_string().as_bytes(),
    ))
}

fn bits(number: &[u8]) -> usize {
    let zeros = number
        .first()
        .map_or(0, |first| first.leading_zeros() as usize);
    // A number that begins with a whole zero is not in its shortest form (RFC 7518 §2).
    (number.len() * 8).saturating_sub(zeros)
}

/// The shortest that is still safe (RFC 7518 §3.3), and the longest that the library takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 8037 appendix A.3 and RFC 7638 §3.1.
    #[test]
    fn the_key_id_is_the_rfc_7638_thumbprint() {
        let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let x = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let key = VerifyKey::of(&Numbers::Ed25519 { x: &x }).unwrap();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        let n = decoded(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        );
        let key = VerifyKey::of(&Numbers::Rsa {
            n: &n,
            e: &[1, 0, 1],
        })
        .unwrap();
        assert_eq!(key.kid(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // One bit less than 2048.
        let short: Vec<u8> = std::iter::once(0x7f)
            .chain(n[1..].iter().copied())
            .collect();
        assert!(
            VerifyKey::of(&Numbers::Rsa {
                n: &short,
                e: &[1, 0, 1]
            })
            .is_none()
        );
    }

    #[test]
    fn rule_1_a_jwk_is_taken_only_as_it_was_written() {
        let key = VerifyKey::of(&Numbers::Ed25519 { x: &[7; 32] }).unwrap();
        let written = key.jwk().to_string();
        let read = VerifyKey::from_jwk(&written).unwrap();
        assert_eq!(
            (read.kid(), &read.header, read.jwk()),
            (key.kid(), &key.header, key.jwk())
        );
        for (from, to) in [
            ("EdDSA", "ES256"),
            ("EdDSA", "HS256"),
            ("OKP", "EC"),
            ("OKP", "oct"),
            ("Ed25519", "Ed448"),
            ("\"sig\"", "\"enc\""),
            (key.kid(), "another"),
            ("{", r#"{"d":"AAAA","#),
            ("{", r#"{"k":"AAAA","#),
            ("\"x\":\"", "\"x\":\"AA"),
        ] {
            let wrong = written.replacen(from, to, 1);
            assert_ne!(wrong, written);
            assert!(VerifyKey::from_jwk(&wrong).is_none(), "{wrong}");
        }
    }
}
