//! What ends access tokens before their time, as rows that every gateway reads in their order.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::failure::Failure;
use crate::identity::session::SessionId;
use crate::identity::user::UserId;
use crate::token::{Revocation, Revoked};

/// Ends a user's tokens with a lower version.
pub(super) async fn below(
    tx: &mut Transaction<'_>,
    user: UserId,
    version: u64,
    at: u64,
) -> Result<(), Failure> {
    let insert = "INSERT INTO revocations (user_id, version, created_at) VALUES (?, ?, ?)";
    Ok(tx
        .exec_drop(insert, (user.to_string(), version, at))
        .await?)
}

/// Ends a session's tokens.
pub(super) async fn session(
    tx: &mut Transaction<'_>,
    user: UserId,
    id: SessionId,
    at: u64,
) -> Result<(), Failure> {
    let insert = "INSERT INTO revocations (user_id, session_id, created_at) VALUES (?, ?, ?)";
    Ok(tx
        .exec_drop(insert, (user.to_string(), id.to_string(), at))
        .await?)
}

pub(super) async fn since(
    db: &mut impl Queryable,
    from: u64,
    horizon: u64,
) -> Result<(Vec<Revoked>, u64), Failure> {
    type Columns = (u64, String, Option<String>, Option<u64>, u64);
    let select = "SELECT sequence, user_id, session_id, version, created_at FROM revocations
                  WHERE sequence >= ? AND created_at >= ? ORDER BY sequence";
    let mut last = from;
    let mut revoked = Vec::new();
    for row in db.exec::<Row, _, _>(select, (from, horizon)).await? {
        let (sequence, user, session, version, at) = from_row_opt::<Columns>(row)?;
        last = last.max(sequence);
        let revocation = match (session, version) {
            (Some(id), _) => Revocation::Session(id),
            (None, Some(version)) => Revocation::Below { user, version },
            // The table's CHECK does not let one in.
            (None, None) => continue,
        };
        revoked.push(Revoked { revocation, at });
    }
    Ok((revoked, last))
}

pub(super) async fn forget(tx: &mut Transaction<'_>, horizon: u64) -> Result<(), Failure> {
    Ok(tx
        .exec_drop("DELETE FROM revocations WHERE created_at < ?", (horizon,))
        .await?)
}
