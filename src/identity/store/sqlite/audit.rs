//! The audit log's rows, each written in the transaction of the change that it tells of.

use rusqlite::{Transaction, params};

use crate::identity::store::Origin;

/// What was done.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    UserCreated,
    RoleCreated,
    RoleGranted,
    RoleRevoked,
    SessionBegun,
    SessionEnded,
    SessionReused,
    AllSessionsEnded,
    PasswordChanged,
}

/// Notes an action on a subject, a user's id or a role; `detail` is what else belongs to it.
pub(super) fn note(
    tx: &Transaction,
    origin: &Origin,
    action: Action,
    subject: &str,
    detail: &str,
) -> rusqlite::Result<()> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO audit_log (created_at, actor, action, subject, detail, source, request_id)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        origin.at,
        origin.actor.to_string(),
        action.word(),
        subject,
        detail,
        origin.source.addresses,
        origin.source.request_id,
    ])?;
    Ok(())
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Self::UserCreated => "user_created",
            Self::RoleCreated => "role_created",
            Self::RoleGranted => "role_granted",
            Self::RoleRevoked => "role_revoked",
            Self::SessionBegun => "session_begun",
            Self::SessionEnded => "session_ended",
            Self::SessionReused => "refresh_token_reused",
            Self::AllSessionsEnded => "all_sessions_ended",
            Self::PasswordChanged => "password_changed",
        }
    }
}
