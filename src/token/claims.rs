//! What a token says, as it is written and as the gateway uses it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::claim::SignedClaims;
use super::said::Said;

/// The claims of an own access token (RFC 9068 §2.2). No field is optional but `nbf`, so that parsing
/// is the check that all are there, once, and of the right type; unknown ones are ignored (RFC 7519 §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: String,
    /// The same as `sub`, for clients that look for it under this name.
    pub id: String,
    pub email: String,
    pub roles: Vec<String>,
    pub client_id: String,
    /// Unix seconds, like the other two times.
    pub iat: u64,
    pub exp: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    pub jti: String,
    /// The sign-in that the token comes from.
    pub sid: String,
    /// The user's token version when it was made; raising the version ends the token.
    pub ver: u64,
}

/// Who a request comes from, as far as a verified token or API key tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    pub kind: Kind,
    /// The user's id, or `api_key:` and the key's.
    pub user: String,
    pub email: Option<String>,
    pub roles: Vec<String>,
    /// The issuer's name in the configuration; the built-in one is `airside`.
    pub issuer: Arc<str>,
    pub session: Option<String>,
    /// Unix seconds; the greatest number for a key that does not expire.
    pub expires_at: u64,
    /// All that the token says, for those who ask for a claim by its name.
    pub claims: SignedClaims,
    /// What upstreams are told of it.
    pub said: Said,
}

/// What a principal showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Token,
    ApiKey,
}

impl Principal {
    /// The API key that the caller brought in place of a token: what tells it from other keys.
    pub fn api_key(&self) -> Option<&str> {
        (self.kind == Kind::ApiKey).then_some(self.user.as_str())
    }

    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|held| held == role)
    }
}
