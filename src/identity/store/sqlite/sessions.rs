//! Sessions' rows and their refresh tokens.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{audit, revocations, users};
use crate::identity::refresh::{RefreshHash, Sealed};
use crate::identity::session::{
    Judgement, NewSession, Rotated, Rotation, Session, SessionId, Shown,
};
use crate::identity::store::{Action, Origin, StoreError};
use crate::identity::user::{User, UserId};

pub(super) fn begin(
    tx: &Transaction,
    session: &NewSession,
    origin: &Origin,
) -> Result<User, StoreError> {
    let user = users::find(tx, session.user)?;
    let user = user
        .filter(|user| !user.disabled)
        .ok_or(StoreError::UnknownUser)?;
    let id = session.id.to_string();
    let mut insert = tx.prepare_cached(
        "INSERT INTO sessions (id, user_id, user_agent, source, created_at, used_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?;
    insert.execute(params![
        id,
        session.user.to_string(),
        session.user_agent,
        origin.source.addresses,
        origin.at,
        origin.at,
        session.expires_at,
    ])?;
    add_token(tx, &id, session.refresh, origin.at)?;
    audit::note(
        tx,
        origin,
        Action::SessionBegun,
        &session.user.to_string(),
        &id,
    )?;
    Ok(user)
}

pub(super) fn rotate(
    tx: &Transaction,
    rotation: &Rotation,
    origin: &Origin,
) -> Result<Rotated, StoreError> {
    let Some(shown) = find_token(tx, rotation.shown)? else {
        return Ok(Rotated::Unknown);
    };
    let user = users::find(tx, shown.user)?.filter(|user| !user.disabled);
    let Some(user) = user else {
        return Ok(Rotated::Unknown);
    };
    let id = shown.session.id.to_string();
    match rotation.judge(&shown, origin.at) {
        Judgement::Over => Ok(Rotated::Unknown),
        Judgement::Current => {
            replace_token(tx, rotation, &id, origin.at)?;
            let session = Session {
                used_at: origin.at,
                ..shown.session
            };
            Ok(Rotated::Next { session, user })
        }
        Judgement::Repeated(successor) => Ok(Rotated::Again {
            session: shown.session,
            user,
            successor,
        }),
        Judgement::Reused => {
            close(tx, shown.user, shown.session.id, origin.at)?;
            let owner = shown.user.to_string();
            audit::note(tx, origin, Action::SessionReused, &owner, &id)?;
            Ok(Rotated::Reused)
        }
    }
}

pub(super) fn of_user(db: &Connection, user: UserId, at: u64) -> rusqlite::Result<Vec<Session>> {
    let mut select = db.prepare_cached(
        "SELECT id AS session_id, user_agent, created_at, used_at, expires_at FROM sessions
         WHERE user_id = ? AND ended_at IS NULL AND expires_at > ? ORDER BY created_at DESC, id DESC",
    )?;
    let rows = select.query_map(params![user.to_string(), at], session)?;
    rows.collect()
}

pub(super) fn end(
    tx: &Transaction,
    user: UserId,
    id: SessionId,
    origin: &Origin,
) -> Result<(), StoreError> {
    if !close(tx, user, id, origin.at)? {
        return Err(StoreError::UnknownSession);
    }
    audit::note(
        tx,
        origin,
        Action::SessionEnded,
        &user.to_string(),
        &id.to_string(),
    )?;
    Ok(())
}

pub(super) fn end_all(tx: &Transaction, user: UserId, origin: &Origin) -> Result<(), StoreError> {
    if !users::exists(tx, user)? {
        return Err(StoreError::UnknownUser);
    }
    close_all(tx, user, origin.at)?;
    users::raise_token_version(tx, user, origin.at)?;
    audit::note(tx, origin, Action::AllSessionsEnded, &user.to_string(), "")?;
    Ok(())
}

/// Ends all sessions; their access tokens are ended by the user's version.
pub(super) fn close_all(tx: &Transaction, user: UserId, at: u64) -> rusqlite::Result<()> {
    let user = user.to_string();
    let sql = "DELETE FROM refresh_tokens WHERE session_id IN
               (SELECT id FROM sessions WHERE user_id = ? AND ended_at IS NULL)";
    tx.prepare_cached(sql)?.execute([&user])?;
    let sql = "UPDATE sessions SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL";
    tx.prepare_cached(sql)?.execute(params![at, user])?;
    Ok(())
}

/// Ends one session with its refresh and access tokens. `false`: there is none.
fn close(tx: &Transaction, user: UserId, id: SessionId, at: u64) -> rusqlite::Result<bool> {
    let sql = "UPDATE sessions SET ended_at = ? WHERE id = ? AND user_id = ? AND ended_at IS NULL";
    let closed = tx
        .prepare_cached(sql)?
        .execute(params![at, id.to_string(), user.to_string()])?;
    if closed == 0 {
        return Ok(false);
    }
    tx.prepare_cached("DELETE FROM refresh_tokens WHERE session_id = ?")?
        .execute([id.to_string()])?;
    revocations::session(tx, user, id, at)?;
    Ok(true)
}

/// Their refresh tokens go with them.
pub(super) fn forget(tx: &Transaction, before: u64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM sessions WHERE ended_at < ?1 OR expires_at < ?1";
    tx.prepare_cached(sql)?.execute([before])?;
    Ok(())
}

fn find_token(tx: &Transaction, hash: RefreshHash) -> rusqlite::Result<Option<Shown>> {
    let mut select = tx.prepare_cached(
        "SELECT session_id, user_id, user_agent, sessions.created_at AS created_at, used_at, expires_at,
                ended_at, replaced_at, successor
         FROM refresh_tokens JOIN sessions ON sessions.id = session_id WHERE token_hash = ?",
    )?;
    let shown = |row: &Row| {
        let user: String = row.get("user_id")?;
        Ok(Shown {
            session: session(row)?,
            user: UserId::parse(&user).ok_or_else(|| invalid("user_id"))?,
            ended: row.get::<_, Option<u64>>("ended_at")?.is_some(),
            replaced_at: row.get("replaced_at")?,
            successor: row.get::<_, Option<Vec<u8>>>("successor")?.map(Sealed),
        })
    };
    select.query_row([hash.0], shown).optional()
}

fn replace_token(
    tx: &Transaction,
    rotation: &Rotation,
    session: &str,
    at: u64,
) -> rusqlite::Result<()> {
    // What is sealed is kept no longer than it is of use.
    let sql = "UPDATE refresh_tokens SET successor = NULL
               WHERE session_id = ? AND successor IS NOT NULL AND replaced_at <= ?";
    tx.prepare_cached(sql)?
        .execute(params![session, at.saturating_sub(rotation.grace)])?;
    let sql = "UPDATE refresh_tokens SET replaced_at = ?, successor = ? WHERE token_hash = ?";
    tx.prepare_cached(sql)?
        .execute(params![at, rotation.sealed.0, rotation.shown.0])?;
    add_token(tx, session, rotation.next, at)?;
    let sql = "UPDATE sessions SET used_at = ? WHERE id = ?";
    tx.prepare_cached(sql)?.execute(params![at, session])?;
    Ok(())
}

fn add_token(tx: &Transaction, session: &str, hash: RefreshHash, at: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES (?, ?, ?)";
    tx.prepare_cached(sql)?
        .execute(params![hash.0, session, at])?;
    Ok(())
}

fn session(row: &Row) -> rusqlite::Result<Session> {
    let id: String = row.get("session_id")?;
    Ok(Session {
        id: SessionId::parse(&id).ok_or_else(|| invalid("session_id"))?,
        user_agent: row.get("user_agent")?,
        created_at: row.get("created_at")?,
        used_at: row.get("used_at")?,
        expires_at: row.get("expires_at")?,
    })
}

fn invalid(column: &str) -> rusqlite::Error {
    rusqlite::Error::InvalidColumnType(0, column.to_owned(), Type::Text)
}
