//! `issuers:`: the grammar; its feature is not built yet.

use std::time::Duration;

use crate::base::decode::{keys, mappings, words};
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
}
mappings!(Issuer);

words! {
    pub enum Algorithm {
        EdDsa = "EdDSA",
        Es256 = "ES256",
        Rs256 = "RS256",
        Hs256 = "HS256",
    }
}
