//! What the rules need of a database, in the words of the domain. No SQL and no driver's type leaks
//! out; each verb is one transaction, and each change writes its audit row within it.

use async_trait::async_trait;

use super::api_key::{ApiKey, ApiKeyId, KeysVersion, LiveApiKey, NewApiKey};
use super::email::EmailKey;
use super::password::PasswordHash;
use super::role::RoleName;
use super::rotation::{KeyChange, StoredKey};
use super::session::{NewSession, Rotated, Rotation, Session, SessionId};
use super::throttle::{Attempt, Outcome, Reserved, Ticket};
use super::user::{NewUser, User, UserId};
use super::workers::NotDone;
use crate::token::Revoked;

mod mysql;
mod room;
mod sqlite;

pub use mysql::{Mysql, MysqlOpenError, PrepareError};
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

    /// Begins a session, unless the user is disabled by now; gives the user as of this moment. Errors:
    /// `UnknownUser`, for a disabled one too.
    async fn begin_session(&self, session: NewSession, origin: Origin) -> Result<User, StoreError>;

    /// Replaces a refresh token; one that was replaced too long ago ends its session.
    async fn rotate_session(
        &self,
        rotation: Rotation,
        origin: Origin,
    ) -> Result<Rotated, StoreError>;

    /// A user's current sessions, newest first.
    async fn sessions(&self, user: UserId, at: u64) -> Result<Vec<Session>, StoreError>;

    /// Ends one session of a user. Errors: `UnknownSession`.
    async fn end_session(
        &self,
        user: UserId,
        session: SessionId,
        origin: Origin,
    ) -> Result<(), StoreError>;

    /// Ends all sessions and tokens of a user. Errors: `UnknownUser`.
    async fn end_all_sessions(&self, user: UserId, origin: Origin) -> Result<(), StoreError>;

    /// Sets a new password and ends all sessions and tokens. Errors: `UnknownUser`.
    async fn change_password(
        &self,
        user: UserId,
        hash: PasswordHash,
        origin: Origin,
    ) -> Result<(), StoreError>;

    /// Puts a hash of the same password in place of an older one, unless that has changed meanwhile.
    async fn replace_hash(
        &self,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), StoreError>;

    /// The revocations from a place in their sequence on, and made since `horizon`; with the last place.
    async fn revocations(&self, from: u64, horizon: u64)
    -> Result<(Vec<Revoked>, u64), StoreError>;

    /// Users in the order of their ids, after `after`; those whose address has `query` in it, which has the
    /// form of a key.
    async fn users(
        &self,
        query: String,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>, StoreError>;

    /// Disables a user and ends their sessions and tokens, or lets them in again; changes nothing where it
    /// is so already. Errors: `UnknownUser`, `LastAdmin`.
    async fn set_disabled(
        &self,
        user: UserId,
        disabled: bool,
        origin: Origin,
    ) -> Result<(), StoreError>;

    /// Removes a role that no user and no API key has. Errors: `UnknownRole`, `RoleInUse`.
    async fn delete_role(&self, role: RoleName, origin: Origin) -> Result<(), StoreError>;

    /// What was done, newest first, before a place in the log.
    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// Errors: `UnknownRole`.
    async fn create_api_key(&self, key: NewApiKey, origin: Origin) -> Result<ApiKey, StoreError>;

    /// Keys that are not revoked in the order of their ids, after `after`.
    async fn api_keys(
        &self,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// Errors: `UnknownApiKey`, for a revoked one too.
    async fn revoke_api_key(&self, id: ApiKeyId, origin: Origin) -> Result<(), StoreError>;

    /// All keys that are not revoked, with their version; `None` where that is the one known, which costs
    /// next to nothing.
    async fn live_api_keys(
        &self,
        known: Option<KeysVersion>,
    ) -> Result<Option<(KeysVersion, Vec<LiveApiKey>)>, StoreError>;

    /// Forgets revocations from before `horizon`, and sessions that ended or expired before `ended`.
    async fn tidy(&self, horizon: u64, ended: u64) -> Result<(), StoreError>;

    /// Signing keys by the time of their publication; those that are retired only where asked for.
    async fn signing_keys(&self, retired: bool) -> Result<Vec<StoredKey>, StoreError>;

    /// Changes a signing key's state. `false`: it was so already, by whomever. Errors: `LastKey`.
    async fn change_key(&self, change: KeyChange, origin: Origin) -> Result<bool, StoreError>;

    /// Counts an attempt at a password as being made, before it is: of many at once no more are granted than
    /// may fail.
    async fn reserve_attempt(&self, attempt: Attempt) -> Result<Reserved, StoreError>;

    /// Notes how a granted attempt ended.
    async fn settle_attempt(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        at: u64,
    ) -> Result<(), StoreError>;

    /// Forgets counts that have had their time, a part of them at once; gives how many.
    async fn forget_attempts(&self, at: u64, most: u32) -> Result<u64, StoreError>;

    /// Does the store answer, and keep what it is given?
    async fn ping(&self) -> Result<(), StoreError>;

    /// Waits until the schema was brought up to date, or could not be: for who has time. A store that
    /// is opened in one go has that behind it.
    async fn prepared(&self) -> Result<(), StoreError> {
        Ok(())
    }
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

/// One row of the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    pub sequence: u64,
    /// Unix milliseconds.
    pub at: u64,
    /// A user's id, or `shell`, `session`, `start`, `upkeep`.
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: String,
    pub source: String,
    pub request_id: String,
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
    /// Whoever holds a session's refresh token.
    Session,
    /// The command line.
    Shell,
    /// The service itself, as it starts.
    Start,
    /// The service itself, as time goes by.
    Upkeep,
}

/// What the audit log says was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    UserCreated,
    RoleCreated,
    RoleGranted,
    RoleRevoked,
    RoleDeleted,
    SessionBegun,
    SessionEnded,
    SessionReused,
    AllSessionsEnded,
    PasswordChanged,
    UserDisabled,
    UserEnabled,
    KeyPublished,
    KeyActivated,
    KeyRetiring,
    KeyRetired,
    ApiKeyCreated,
    ApiKeyRevoked,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the e-mail address has an account")]
    EmailTaken,
    #[error("there is no such user")]
    UnknownUser,
    #[error("there is no such role")]
    UnknownRole,
    #[error("there is no such session")]
    UnknownSession,
    #[error("there is no such API key")]
    UnknownApiKey,
    #[error("the role exists")]
    RoleExists,
    #[error("somebody has the role")]
    RoleInUse,
    #[error("this is the last admin")]
    LastAdmin,
    #[error("no other key is active")]
    LastKey,
    /// The store answers, and can keep nothing more; the cause is for the log.
    #[error("the store is full: {0}")]
    Full(String),
    /// Try again later; the cause is for the log.
    #[error("the store is not available: {0}")]
    Unavailable(String),
}

/// Of a key that was ended, in the audit log.
const AT_ONCE: &str = "at once";

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::RoleCreated => "role_created",
            Self::RoleGranted => "role_granted",
            Self::RoleRevoked => "role_revoked",
            Self::RoleDeleted => "role_deleted",
            Self::SessionBegun => "session_begun",
            Self::SessionEnded => "session_ended",
            Self::SessionReused => "refresh_token_reused",
            Self::AllSessionsEnded => "all_sessions_ended",
            Self::PasswordChanged => "password_changed",
            Self::UserDisabled => "user_disabled",
            Self::UserEnabled => "user_enabled",
            Self::KeyPublished => "key_published",
            Self::KeyActivated => "key_activated",
            Self::KeyRetiring => "key_retiring",
            Self::KeyRetired => "key_retired",
            Self::ApiKeyCreated => "api_key_created",
            Self::ApiKeyRevoked => "api_key_revoked",
        }
    }
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Session => f.write_str("session"),
            Self::Shell => f.write_str("shell"),
            Self::Start => f.write_str("start"),
            Self::Upkeep => f.write_str("upkeep"),
        }
    }
}

impl From<NotDone> for StoreError {
    fn from(cause: NotDone) -> Self {
        Self::Unavailable(cause.to_string())
    }
}
