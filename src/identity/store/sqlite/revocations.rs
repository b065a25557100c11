//! What ends access tokens before their time, as rows that every gateway reads in their order.

use rusqlite::{Connection, Transaction, params};

use crate::identity::session::SessionId;
use crate::identity::user::UserId;
use crate::token::{Revocation, Revoked};

/// Ends a user's tokens with a lower version.
pub(super) fn below(tx: &Transaction, user: UserId, version: u64, at: u64) -> rusqlite::Result<()> {
    let sql = "INSERT INTO revocations (user_id, version, created_at) VALUES (?, ?, ?)";
    tx.prepare_cached(sql)?
        .execute(params![user.to_string(), version, at])?;
    Ok(())
}

/// Ends a session's tokens.
pub(super) fn session(
    tx: &Transaction,
    user: UserId,
    id: SessionId,
    at: u64,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO revocations (user_id, session_id, created_at) VALUES (?, ?, ?)";
    tx.prepare_cached(sql)?
        .execute(params![user.to_string(), id.to_string(), at])?;
    Ok(())
}

pub(super) fn since(
    db: &Connection,
    from: u64,
    horizon: u64,
) -> rusqlite::Result<(Vec<Revoked>, u64)> {
    let mut select = db.prepare_cached(
        "SELECT sequence, user_id, session_id, version, created_at FROM revocations
         WHERE sequence >= ? AND created_at >= ? ORDER BY sequence",
    )?;
    let mut last = from;
    let rows = select.query_map([from, horizon], |row| {
        last = last.max(row.get("sequence")?);
        let session: Option<String> = row.get("session_id")?;
        let revocation = match session {
            Some(id) => Revocation::Session(id),
            None => Revocation::Below {
                user: row.get("user_id")?,
                version: row.get("version")?,
            },
        };
        Ok(Revoked {
            revocation,
            at: row.get("created_at")?,
        })
    })?;
    let revoked = rows.collect::<rusqlite::Result<_>>()?;
    Ok((revoked, last))
}

pub(super) fn forget(tx: &Transaction, horizon: u64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM revocations WHERE created_at < ?")?
        .execute([horizon])?;
    Ok(())
}
