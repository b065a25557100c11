//! `issuers:` and `redis:`: the grammar; their features are not built yet.

use std::time::Duration;

use crate::base::decode::{keys, mappings, words};
use crate::base::secret::Secret;
use crate::base::yaml::At;

keys! {
    /// An issuer of tokens other than the built-in one.
    pub struct Issuer {
        pub issuer: String,
        pub audience: Vec<At<String>>,
        pub algorithms: Vec<Algorithm>,
        pub jwks: Option<String>,
        pub keys: Option<String>,
        pub roles_claim: Option<String>,
        pub leeway: Duration = Duration::from_secs(5),
    }

    pub struct Redis {
        pub url: Url,
        pub timeout: Duration = Duration::from_millis(20),
    }
}
mappings!(Issuer, Redis);

words! {
    pub enum Algorithm {
        EdDsa = "EdDSA",
        Es256 = "ES256",
        Rs256 = "RS256",
        Hs256 = "HS256",
    }
}

/// It may hold a password.
#[derive(Debug, Clone, PartialEq)]
pub struct Url(pub Secret);

impl crate::base::decode::FromText for Url {
    const EXPECTED: &'static str = "an address such as `redis://127.0.0.1:6379/0`";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.starts_with("redis://") || text.starts_with("rediss://") {
            true => Ok(Self(Secret::new(text))),
            false => Err("it begins with neither `redis://` nor `rediss://`".to_owned()),
        }
    }
}
