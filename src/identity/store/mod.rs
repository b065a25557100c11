//! What the rules need of a database, in the words of the domain. No SQL and no driver's type leaks
//! out; each verb is one transaction, and each change writes its audit row within it.

use async_trait::async_trait;

use super::email::EmailKey;
use super::password::PasswordHash;
use super::role::RoleName;
use super::user::{NewUser, User, UserId};
use super::workers::NotDone;

mod sqlite;

pub use sqlite::{Sqlite, StoreOpenError};

/// Where users, roles and the audit log are kept.
#[async_trait]
pub trait UserStore: Send + Sync {
    /// Errors: `EmailTaken`, `UnknownRole`.
    async fn create_user(&self, user: NewUser, origin: Origin) -> Result<User, StoreError>;

    /// What a sign-in needs to know.
    async fn credentials(&self, email: EmailKey) -> Result<Option<Credentials>, StoreError>;

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// All roles, by name.
    async fn roles(&self) -> Result<Vec<Role>, StoreError>;

    /// Errors: `RoleExists`.
    async fn create_role(&self, role: RoleName, origin: Origin) -> Result<Role, StoreError>;

    /// Changes nothing where the user has the role. Errors: `UnknownUser`, `UnknownRole`.
    async fn grant_role(
        &self,
        user: UserId,
        role: RoleName,
        origin: Origin,
    ) -> Result<(), StoreError>;

    /// Changes nothing where the user does not have the role. Errors: `UnknownUser`, `UnknownRole`,
    /// `LastAdmin`.
    async fn revoke_role(
        &self,
        user: UserId,
        role: RoleName,
        origin: Origin,
    ) -> Result<(), StoreError>;

    /// Does the store answer?
    async fn ping(&self) -> Result<(), StoreError>;
}

/// A user and what the password is checked against; `None` where the stored text is no hash of ours.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: User,
    pub password_hash: Option<PasswordHash>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    pub name: String,
    /// Unix milliseconds.
    pub created_at: u64,
}

/// Who changes something, when, and from where: for the audit log.
#[derive(Debug, Clone)]
pub struct Origin {
    pub actor: Actor,
    /// Unix milliseconds.
    pub at: u64,
    pub source: Source,
}

/// Where a request came from; empty for what no request asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// The addresses that it came through, as the gateway tells them.
    pub addresses: String,
    pub request_id: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    User(UserId),
    /// The command line.
    Shell,
    /// The service itself, as it starts.
    Start,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the e-mail address has an account")]
    EmailTaken,
    #[error("there is no such user")]
    UnknownUser,
    #[error("there is no such role")]
    UnknownRole,
    #[error("the role exists")]
    RoleExists,
    #[error("this is the last admin")]
    LastAdmin,
    /// Try again later; the cause is for the log.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Shell => f.write_str("shell"),
            Self::Start => f.write_str("start"),
        }
    }
}

impl From<NotDone> for StoreError {
    fn from(cause: NotDone) -> Self {
        Self::Unavailable(cause.to_string())
    }
}
