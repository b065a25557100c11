//! Sessions' rows and their refresh tokens. Whoever changes a user's sessions keeps the user's row first, so
//! that two changes of one user come one after another.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::failure::Failure;
use super::{audit, revocations, users};
use crate::identity::refresh::{RefreshHash, Sealed};
use crate::identity::session::{
    Judgement, NewSession, Rotated, Rotation, Session, SessionId, Shown,
};
use crate::identity::store::{Action, Origin, StoreError};
use crate::identity::user::{User, UserId};

pub(super) async fn begin(
    tx: &mut Transaction<'_>,
    session: &NewSession,
    origin: &Origin,
) -> Result<User, Failure> {
    users::lock(tx, session.user).await?;
    let user = users::find(tx, session.user).await?;
    let user = user
        .filter(|user| !user.disabled)
        .ok_or(StoreError::UnknownUser)?;
    let (id, owner) = (session.id.to_string(), session.user.to_string());
    let insert =
        "INSERT INTO sessions (id, user_id, user_agent, source, created_at, used_at, expires_at)
                  VALUES (?, ?, ?, ?, ?, ?, ?)";
    let row = (
        &id,
        &owner,
        session.user_agent.as_str(),
        origin.source.addresses.as_str(),
        origin.at,
        origin.at,
        session.expires_at,
    );
    tx.exec_drop(insert, row).await?;
    add_token(tx, &id, session.refresh, origin.at).await?;
    audit::note(tx, origin, Action::SessionBegun, &owner, &id).await?;
    Ok(user)
}

pub(super) async fn rotate(
    tx: &mut Transaction<'_>,
    rotation: &Rotation,
    origin: &Origin,
) -> Result<Rotated, Failure> {
    // Whose it is, to keep the user's row; then again, as it is now that nobody else changes it.
    let Some(owner) = find_token(tx, rotation.shown)
        .await?
        .map(|shown| shown.user)
    else {
        return Ok(Rotated::Unknown);
    };
    users::lock(tx, owner).await?;
    let Some(shown) = find_token(tx, rotation.shown).await? else {
        return Ok(Rotated::Unknown);
    };
    let user = users::find(tx, shown.user)
        .await?
        .filter(|user| !user.disabled);
    let Some(user) = user else {
        return Ok(Rotated::Unknown);
    };
    let id = shown.session.id.to_string();
    match rotation.judge(&shown, origin.at) {
        Judgement::Over => Ok(Rotated::Unknown),
        Judgement::Current => {
            replace_token(tx, rotation, &id, origin.at).await?;
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
            close(tx, shown.user, shown.session.id, origin.at).await?;
            let owner = shown.user.to_string();
            audit::note(tx, origin, Action::SessionReused, &owner, &id).await?;
            Ok(Rotated::Reused)
        }
    }
}

pub(super) async fn of_user(
    db: &mut impl Queryable,
    user: UserId,
    at: u64,
) -> Result<Vec<Session>, Failure> {
    let select = "SELECT id, user_agent, created_at, used_at, expires_at FROM sessions
                  WHERE user_id = ? AND ended_at IS NULL AND expires_at > ? ORDER BY created_at DESC, id DESC";
    let rows: Vec<Row> = db.exec(select, (user.to_string(), at)).await?;
    rows.into_iter()
        .map(|row| session(from_row_opt(row)?))
        .collect()
}

pub(super) async fn end(
    tx: &mut Transaction<'_>,
    user: UserId,
    id: SessionId,
    origin: &Origin,
) -> Result<(), Failure> {
    match users::lock(tx, user).await {
        // Who is not there has no session.
        Err(Failure::Refused(_)) => return Err(StoreError::UnknownSession.into()),
        locked => locked?,
    }
    if !close(tx, user, id, origin.at).await? {
        return Err(StoreError::UnknownSession.into());
    }
    Ok(audit::note(
        tx,
        origin,
        Action::SessionEnded,
        &user.to_string(),
        &id.to_string(),
    )
    .await?)
}

pub(super) async fn end_all(
    tx: &mut Transaction<'_>,
    user: UserId,
    origin: &Origin,
) -> Result<(), Failure> {
    users::lock(tx, user).await?;
    close_all(tx, user, origin.at).await?;
    users::raise_token_version(tx, user, origin.at).await?;
    Ok(audit::note(tx, origin, Action::AllSessionsEnded, &user.to_string(), "").await?)
}

/// Ends all sessions; their access tokens are ended by the user's version.
pub(super) async fn close_all(
    tx: &mut Transaction<'_>,
    user: UserId,
    at: u64,
) -> Result<(), Failure> {
    let user = user.to_string();
    let delete =
        "DELETE refresh_tokens FROM refresh_tokens JOIN sessions ON sessions.id = session_id
                  WHERE user_id = ? AND ended_at IS NULL";
    tx.exec_drop(delete, (&user,)).await?;
    let update = "UPDATE sessions SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL";
    Ok(tx.exec_drop(update, (at, &user)).await?)
}

/// Their refresh tokens go with them.
pub(super) async fn forget(tx: &mut Transaction<'_>, before: u64) -> Result<(), Failure> {
    let delete = "DELETE FROM sessions WHERE ended_at < ? OR expires_at < ?";
    Ok(tx.exec_drop(delete, (before, before)).await?)
}

/// Ends one session with its refresh and access tokens. `false`: there is none.
async fn close(
    tx: &mut Transaction<'_>,
    user: UserId,
    id: SessionId,
    at: u64,
) -> Result<bool, Failure> {
    let update =
        "UPDATE sessions SET ended_at = ? WHERE id = ? AND user_id = ? AND ended_at IS NULL";
    tx.exec_drop(update, (at, id.to_string(), user.to_string()))
        .await?;
    if tx.affected_rows() == 0 {
        return Ok(false);
    }
    tx.exec_drop(
        "DELETE FROM refresh_tokens WHERE session_id = ?",
        (id.to_string(),),
    )
    .await?;
    revocations::session(tx, user, id, at).await?;
    Ok(true)
}

type SessionColumns = (String, String, u64, u64, u64);

async fn find_token(tx: &mut Transaction<'_>, hash: RefreshHash) -> Result<Option<Shown>, Failure> {
    type Columns = (
        String,
        String,
        u64,
        u64,
        u64,
        String,
        Option<u64>,
        Option<u64>,
        Option<Vec<u8>>,
    );
    let select = "SELECT session_id, user_agent, sessions.created_at, used_at, expires_at, user_id, ended_at,
                         replaced_at, successor
                  FROM refresh_tokens JOIN sessions ON sessions.id = session_id WHERE token_hash = ?";
    let Some(row) = tx
        .exec_first::<Row, _, _>(select, (hash.0.as_slice(),))
        .await?
    else {
        return Ok(None);
    };
    let (id, agent, created_at, used_at, expires_at, user, ended_at, replaced_at, successor) =
        from_row_opt::<Columns>(row)?;
    Ok(Some(Shown {
        session: session((id, agent, created_at, used_at, expires_at))?,
        user: UserId::parse(&user).ok_or_else(no_id)?,
        ended: ended_at.is_some(),
        replaced_at,
        successor: successor.map(Sealed),
    }))
}

async fn replace_token(
    tx: &mut Transaction<'_>,
    rotation: &Rotation,
    session: &str,
    at: u64,
) -> Result<(), Failure> {
    // What is sealed is kept no longer than it is of use.
    let update = "UPDATE refresh_tokens SET successor = NULL
                  WHERE session_id = ? AND successor IS NOT NULL AND replaced_at <= ?";
    tx.exec_drop(update, (session, at.saturating_sub(rotation.grace)))
        .await?;
    let update = "UPDATE refresh_tokens SET replaced_at = ?, successor = ? WHERE token_hash = ?";
    let row = (
        at,
        rotation.sealed.0.as_slice(),
        rotation.shown.0.as_slice(),
    );
    tx.exec_drop(update, row).await?;
    add_token(tx, session, rotation.next, at).await?;
    Ok(tx
        .exec_drop(
            "UPDATE sessions SET used_at = ? WHERE id = ?",
            (at, session),
        )
        .await?)
}

async fn add_token(
    tx: &mut Transaction<'_>,
    session: &str,
    hash: RefreshHash,
    at: u64,
) -> Result<(), Failure> {
    let insert = "INSERT INTO refresh_tokens (token_hash, session_id, created_at) VALUES (?, ?, ?)";
    Ok(tx
        .exec_drop(insert, (hash.0.as_slice(), session, at))
        .await?)
}

fn session(
    (id, user_agent, created_at, used_at, expires_at): SessionColumns,
) -> Result<Session, Failure> {
    Ok(Session {
        id: SessionId::parse(&id).ok_or_else(no_id)?,
        user_agent,
        created_at,
        used_at,
        expires_at,
    })
}

fn no_id() -> StoreError {
    StoreError::Unavailable("a session's id is none".to_owned())
}
