//! Tokens taken apart and made anew: right ones, and ones that only a forger would send.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// A token's header and claims, and a key to sign them with.
pub struct Token {
    pub header: Value,
    pub claims: Value,
    key: Ed25519KeyPair,
}

impl Token {
    /// What a token says, to be signed with the gateway's own key, which lies in `folder`.
    pub fn of(token: &str, folder: &Path) -> Self {
        let segments: Vec<_> = token.split('.').map(decode).collect();
        let document = std::fs::read(folder.join("signing.pk8")).expect("a signing key");
        Self {
            header: serde_json::from_slice(&segments[0]).expect("a header"),
            claims: serde_json::from_slice(&segments[1]).expect("claims"),
            key: Ed25519KeyPair::from_pkcs8(&document).expect("an Ed25519 key"),
        }
    }

    /// Changes one claim; `Null` leaves it out.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        change(&mut self.claims, name, value.into());
        self
    }

    /// Changes one member of the header; `Null` leaves it out.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        change(&mut self.header, name, value.into());
        self
    }

    /// Signs with another key, which nobody knows.
    pub fn of_another_key(mut self) -> Self {
        self.key = Ed25519KeyPair::generate().expect("a new key");
        self
    }

    /// The key's public half.
    pub fn public(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// The token, its header with the members in the order of the gateway's own.
    pub fn signed(&self) -> String {
        self.signed_with_claims(&self.claims.to_string())
    }

    /// The same, with claims that need not be JSON.
    pub fn signed_with_claims(&self, claims: &str) -> String {
        let message = format!("{}.{}", encode(self.header_text()), encode(claims));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    /// Header and claims, for a signature of another kind.
    pub fn message(&self) -> String {
        let claims = self.claims.to_string();
        format!("{}.{}", encode(self.header_text()), encode(claims))
    }

    /// `typ`, `alg`, `kid`, then what else there is.
    fn header_text(&self) -> String {
        let header = self.header.as_object().expect("an object");
        let first = ["typ", "alg", "kid"];
        let rest = header
            .keys()
            .map(String::as_str)
            .filter(|name| !first.contains(name));
        let members = first.into_iter().chain(rest);
        let members = members.filter_map(|name| Some(format!("{name:?}:{}", header.get(name)?)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(segment: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(segment).expect("base64url")
}

/// The token with the character at `index` of its segment replaced by another.
pub fn altered(token: &str, segment: usize, index: usize) -> String {
    let mut segments: Vec<_> = token.split('.').map(str::to_owned).collect();
    let old = segments[segment].as_bytes()[index];
    let new = if old == b'A' { "B" } else { "A" };
    segments[segment].replace_range(index..=index, new);
    segments.join(".")
}

fn change(object: &mut Value, name: &str, value: Value) {
    let object = object.as_object_mut().expect("an object");
    match value {
        Value::Null => object.remove(name),
        value => object.insert(name.to_owned(), value),
    };
}
