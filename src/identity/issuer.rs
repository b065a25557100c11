//! From a user to an access token.

use std::time::Duration;

use super::session::SessionId;
use super::user::{User, uuid_v7};
use crate::token::{Claims, SignError, Signer};

/// Makes the access tokens of a sign-in.
#[derive(Debug)]
pub struct Issuer {
    /// What `iss` says.
    pub name: String,
    /// What `aud` says, and `client_id`: there is one client, the API itself.
    pub audience: String,
    pub ttl: Duration,
}

impl Issuer {
    /// A token that says who the user is now; a later change reaches the next one.
    pub fn issue(
        &self,
        signer: &Signer,
        user: &User,
        session: SessionId,
        unix_millis: u64,
    ) -> Result<String, SignError> {
        let id = user.id.to_string();
        let now = unix_millis / 1_000;
        signer.sign(&Claims {
            iss: self.name.clone(),
            aud: self.audience.clone(),
            sub: id.clone(),
            id,
            email: user.email.clone(),
            roles: user.roles.clone(),
            client_id: self.audience.clone(),
            iat: now,
            exp: now.saturating_add(self.ttl.as_secs()),
            nbf: None,
            jti: uuid_v7(unix_millis).to_string(),
            sid: session.to_string(),
            ver: user.token_version,
        })
    }
}
