//! API keys: what a program shows in place of a person's token. The key in plain exists in the one answer
//! that gives it, and nowhere else.

use std::fmt;

use uuid::Uuid;

use super::role::RoleName;
use super::user::uuid_v7;
use crate::token::{API_KEY_PREFIX, ApiKeyHash};

/// An API key's id: a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ApiKeyId(Uuid);

/// A key as admins see it. Times are unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    /// Sorted by name.
    pub roles: Vec<String>,
    /// A user's id, or `shell`.
    pub created_by: String,
    pub created_at: u64,
    pub expires_at: Option<u64>,
}

/// A key to be kept.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub hash: ApiKeyHash,
    pub roles: Vec<RoleName>,
    pub expires_at: Option<u64>,
}

/// A key in plain. Not `Debug`.
pub struct PlainApiKey(String);

/// A key that was not revoked, as those who verify need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveApiKey {
    pub id: ApiKeyId,
    pub hash: ApiKeyHash,
    pub roles: Vec<String>,
    pub expires_at: Option<u64>,
}

/// How many keys were ever made and how many of them revoked. No key is removed and no revocation taken
/// back, so that equal numbers mean equal keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeysVersion {
    pub made: u64,
    pub revoked: u64,
}

impl ApiKeyId {
    pub fn new(unix_millis: u64) -> Self {
        Self(uuid_v7(unix_millis))
    }

    /// The id in its usual form: 36 characters, lower-case.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.to_string() == text).then_some(Self(id))
    }
}

impl NewApiKey {
    /// What the audit log says of it, as much as fits.
    pub fn told(&self) -> String {
        let roles: Vec<_> = self.roles.iter().map(RoleName::as_str).collect();
        let told = format!("{}: {}", self.name, roles.join(","));
        told.chars().take(255).collect()
    }
}

impl PlainApiKey {
    /// A key with 256 random bits. Errors: the system's source of randomness failed.
    pub fn random(id: ApiKeyId) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut secret = [0_u8; 32];
        aws_lc_rs::rand::fill(&mut secret)?;
        let secret = secret.map(|byte| format!("{byte:02x}")).concat();
        Ok(Self(format!("{API_KEY_PREFIX}{}_{secret}", id.0.simple())))
    }

    /// The key as its holder gets it, once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `None` for a text without a key's form, which none made here is.
    pub fn hash(&self) -> Option<ApiKeyHash> {
        ApiKeyHash::of(&self.0)
    }
}

impl fmt::Display for ApiKeyId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_form_tells_its_id_and_is_never_made_twice() {
        let id = ApiKeyId::new(1_800_000_000_000);
        let [one, other] = [0; 2].map(|_| PlainApiKey::random(id).unwrap());
        assert!(one.hash().is_some() && one.hash() != other.hash());
        let digits = id.to_string().replace('-', "");
        let start = format!("airside_{digits}_");
        assert!(one.reveal().starts_with(&start), "{}", one.reveal());
        assert_eq!(one.reveal().len(), start.len() + 64);
        assert_eq!(ApiKeyId::parse(&id.to_string()), Some(id));
        assert_eq!(ApiKeyId::parse(&digits), None);
    }
}
