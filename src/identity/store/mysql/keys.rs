//! Signing keys' rows: public halves and the times of their states.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::audit;
use super::failure::{Failure, is_duplicate};
use crate::identity::role::RoleName;
use crate::identity::rotation::{KeyChange, StoredKey};
use crate::identity::store::{AT_ONCE, Action, Origin, StoreError};
use crate::token::VerifyKey;

/// By the time of publication; those that are retired only where they are asked for.
pub(super) async fn all(db: &mut impl Queryable, retired: bool) -> Result<Vec<StoredKey>, Failure> {
    type Columns = (String, u64, u64, Option<u64>, Option<u64>, Option<u64>);
    let select = "SELECT jwk, token_life, published_at, active_at, retiring_at, retired_at
                  FROM signing_keys WHERE ? OR retired_at IS NULL ORDER BY published_at, kid";
    let rows: Vec<Row> = db.exec(select, (retired,)).await?;
    let mut keys = Vec::new();
    for row in rows {
        let (jwk, token_life, published_at, active_at, retiring_at, retired_at) =
            from_row_opt::<Columns>(row)?;
        // Else a key that this version can't read, or one that somebody else has written.
        if let Some(key) = VerifyKey::from_jwk(&jwk) {
            keys.push(StoredKey {
                key,
                token_life,
                published_at,
                active_at,
                retiring_at,
                retired_at,
            });
        }
    }
    Ok(keys)
}

/// `false`: nothing was to be changed.
pub(super) async fn change(
    tx: &mut Transaction<'_>,
    change: &KeyChange,
    origin: &Origin,
) -> Result<bool, Failure> {
    match change {
        KeyChange::Publish { key, token_life } => publish(tx, key, *token_life, origin).await,
        KeyChange::Activate { kid, replaced } => activate(tx, kid, replaced, origin).await,
        KeyChange::Retire { kid } => retire(tx, kid, origin).await,
        KeyChange::End { kid } => end(tx, kid, origin).await,
        KeyChange::Lengthen { kid, token_life } => lengthen(tx, kid, *token_life).await,
    }
}

async fn publish(
    tx: &mut Transaction<'_>,
    key: &VerifyKey,
    token_life: u64,
    origin: &Origin,
) -> Result<bool, Failure> {
    // A row that is always there: of several who publish the first key, the second waits here.
    let lock = "SELECT 1 FROM roles WHERE name = ? FOR UPDATE";
    let _: Option<Row> = tx.exec_first(lock, (RoleName::admin().as_str(),)).await?;
    let others = "SELECT 1 FROM signing_keys WHERE retired_at IS NULL LIMIT 1";
    let other: Option<Row> = tx.query_first(others).await?;
    let (kid, algorithm) = (key.kid(), key.algorithm().name());
    let insert = "INSERT INTO signing_keys (kid, algorithm, jwk, token_life, published_at)
                  VALUES (?, ?, ?, ?, ?)";
    let row = (kid, algorithm, key.jwk().to_string(), token_life, origin.at);
    match tx.exec_drop(insert, row).await {
        Err(error) if is_duplicate(&error) => return Ok(false),
        done => done?,
    }
    audit::note(tx, origin, Action::KeyPublished, kid, algorithm).await?;
    if other.is_none() {
        activate(tx, kid, &[], origin).await?;
    }
    Ok(true)
}

async fn activate(
    tx: &mut Transaction<'_>,
    kid: &str,
    replaced: &[String],
    origin: &Origin,
) -> Result<bool, Failure> {
    let update = "UPDATE signing_keys SET active_at = ?
                  WHERE kid = ? AND active_at IS NULL AND retiring_at IS NULL";
    tx.exec_drop(update, (origin.at, kid)).await?;
    if tx.affected_rows() == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyActivated, kid, "").await?;
    for old in replaced {
        let update =
            "UPDATE signing_keys SET retiring_at = ? WHERE kid = ? AND retiring_at IS NULL";
        tx.exec_drop(update, (origin.at, old)).await?;
        if tx.affected_rows() == 1 {
            audit::note(tx, origin, Action::KeyRetiring, old, kid).await?;
        }
    }
    Ok(true)
}

async fn retire(tx: &mut Transaction<'_>, kid: &str, origin: &Origin) -> Result<bool, Failure> {
    let update = "UPDATE signing_keys SET retired_at = ?
                  WHERE kid = ? AND retiring_at IS NOT NULL AND retired_at IS NULL";
    tx.exec_drop(update, (origin.at, kid)).await?;
    if tx.affected_rows() == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyRetired, kid, "").await?;
    Ok(true)
}

async fn end(tx: &mut Transaction<'_>, kid: &str, origin: &Origin) -> Result<bool, Failure> {
    // In one order for all, so that of two who end the last two keys the second sees what the first has done.
    let lock = "SELECT kid FROM signing_keys
                WHERE active_at IS NOT NULL AND retiring_at IS NULL AND retired_at IS NULL
                ORDER BY kid FOR UPDATE";
    let active: Vec<String> = tx.query(lock).await?;
    if active == [kid] {
        return Err(StoreError::LastKey.into());
    }
    let update = "UPDATE signing_keys SET retiring_at = COALESCE(retiring_at, ?), retired_at = ?
                  WHERE kid = ? AND retired_at IS NULL";
    tx.exec_drop(update, (origin.at, origin.at, kid)).await?;
    if tx.affected_rows() == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyRetired, kid, AT_ONCE).await?;
    Ok(true)
}

async fn lengthen(tx: &mut Transaction<'_>, kid: &str, token_life: u64) -> Result<bool, Failure> {
    let update = "UPDATE signing_keys SET token_life = ? WHERE kid = ? AND token_life < ?";
    tx.exec_drop(update, (token_life, kid, token_life)).await?;
    Ok(tx.affected_rows() == 1)
}
