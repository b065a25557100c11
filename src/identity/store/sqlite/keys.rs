//! Signing keys' rows: public halves and the times of their states.

use rusqlite::{Connection, Row, Transaction, params};

use super::audit;
use crate::identity::rotation::{KeyChange, StoredKey};
use crate::identity::store::{AT_ONCE, Action, Origin, StoreError};
use crate::token::VerifyKey;

/// By the time of publication; those that are retired only where they are asked for.
pub(super) fn all(db: &Connection, retired: bool) -> rusqlite::Result<Vec<StoredKey>> {
    let mut select = db.prepare_cached(
        "SELECT * FROM signing_keys WHERE ? OR retired_at IS NULL ORDER BY published_at, kid",
    )?;
    let rows = select.query_map([retired], stored)?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// `false`: nothing was to be changed.
pub(super) fn change(
    tx: &Transaction,
    change: &KeyChange,
    origin: &Origin,
) -> Result<bool, StoreError> {
    match change {
        KeyChange::Publish { key, token_life } => publish(tx, key, *token_life, origin),
        KeyChange::Activate { kid, replaced } => activate(tx, kid, replaced, origin),
        KeyChange::Retire { kid } => retire(tx, kid, origin),
        KeyChange::End { kid } => end(tx, kid, origin),
        KeyChange::Lengthen { kid, token_life } => Ok(lengthen(tx, kid, *token_life)?),
    }
}

fn publish(
    tx: &Transaction,
    key: &VerifyKey,
    token_life: u64,
    origin: &Origin,
) -> Result<bool, StoreError> {
    let alone = !tx
        .prepare_cached("SELECT 1 FROM signing_keys WHERE retired_at IS NULL")?
        .exists([])?;
    let (kid, algorithm) = (key.kid(), key.algorithm().name());
    let mut insert = tx.prepare_cached(
        "INSERT INTO signing_keys (kid, algorithm, jwk, token_life, published_at)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let jwk = key.jwk().to_string();
    if insert.execute(params![kid, algorithm, jwk, token_life, origin.at])? == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyPublished, kid, algorithm)?;
    if alone {
        activate(tx, kid, &[], origin)?;
    }
    Ok(true)
}

fn activate(
    tx: &Transaction,
    kid: &str,
    replaced: &[String],
    origin: &Origin,
) -> Result<bool, StoreError> {
    let sql = "UPDATE signing_keys SET active_at = ?
               WHERE kid = ? AND active_at IS NULL AND retiring_at IS NULL";
    if tx.prepare_cached(sql)?.execute(params![origin.at, kid])? == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyActivated, kid, "")?;
    for old in replaced {
        let sql = "UPDATE signing_keys SET retiring_at = ? WHERE kid = ? AND retiring_at IS NULL";
        if tx.prepare_cached(sql)?.execute(params![origin.at, old])? == 1 {
            audit::note(tx, origin, Action::KeyRetiring, old, kid)?;
        }
    }
    Ok(true)
}

fn retire(tx: &Transaction, kid: &str, origin: &Origin) -> Result<bool, StoreError> {
    let sql = "UPDATE signing_keys SET retired_at = ?
               WHERE kid = ? AND retiring_at IS NOT NULL AND retired_at IS NULL";
    if tx.prepare_cached(sql)?.execute(params![origin.at, kid])? == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyRetired, kid, "")?;
    Ok(true)
}

fn end(tx: &Transaction, kid: &str, origin: &Origin) -> Result<bool, StoreError> {
    let is_active = "active_at IS NOT NULL AND retiring_at IS NULL AND retired_at IS NULL";
    let one = |sql: String| tx.prepare_cached(&sql)?.exists([kid]);
    if one(format!(
        "SELECT 1 FROM signing_keys WHERE kid = ? AND {is_active}"
    ))? && !one(format!(
        "SELECT 1 FROM signing_keys WHERE kid <> ? AND {is_active}"
    ))? {
        return Err(StoreError::LastKey);
    }
    let sql = "UPDATE signing_keys SET retiring_at = COALESCE(retiring_at, ?1), retired_at = ?1
               WHERE kid = ?2 AND retired_at IS NULL";
    if tx.prepare_cached(sql)?.execute(params![origin.at, kid])? == 0 {
        return Ok(false);
    }
    audit::note(tx, origin, Action::KeyRetired, kid, AT_ONCE)?;
    Ok(true)
}

fn lengthen(tx: &Transaction, kid: &str, token_life: u64) -> rusqlite::Result<bool> {
    let sql = "UPDATE signing_keys SET token_life = ? WHERE kid = ? AND token_life < ?";
    let lengthened = tx
        .prepare_cached(sql)?
        .execute(params![token_life, kid, token_life])?;
    Ok(lengthened == 1)
}

/// `None`: a key that this version can't read, or one that somebody else has written.
fn stored(row: &Row) -> rusqlite::Result<Option<StoredKey>> {
    let jwk: String = row.get("jwk")?;
    let Some(key) = VerifyKey::from_jwk(&jwk) else {
        return Ok(None);
    };
    Ok(Some(StoredKey {
        key,
        token_life: row.get("token_life")?,
        published_at: row.get("published_at")?,
        active_at: row.get("active_at")?,
        retiring_at: row.get("retiring_at")?,
        retired_at: row.get("retired_at")?,
    }))
}
