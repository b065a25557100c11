//! API keys' rows. None is ever removed: see `KeysVersion`.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, Transaction, params};

use super::{audit, roles};
use crate::identity::api_key::{ApiKey, ApiKeyId, KeysVersion, LiveApiKey, NewApiKey};
use crate::identity::store::{Action, Origin, StoreError};
use crate::token::ApiKeyHash;

pub(super) fn create(
    tx: &Transaction,
    key: &NewApiKey,
    origin: &Origin,
) -> Result<ApiKey, StoreError> {
    let (id, by) = (key.id.to_string(), origin.actor.to_string());
    tx.prepare_cached(
        "INSERT INTO api_keys (id, name, key_hash, created_by, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        id,
        key.name,
        key.hash.0,
        by,
        origin.at,
        key.expires_at
    ])?;
    for role in &key.roles {
        if !roles::exists(tx, role)? {
            return Err(StoreError::UnknownRole);
        }
        tx.prepare_cached("INSERT INTO api_key_roles (api_key_id, role) VALUES (?, ?)")?
            .execute([&id, role.as_str()])?;
    }
    audit::note(tx, origin, Action::ApiKeyCreated, &id, &key.told())?;
    Ok(ApiKey {
        id: key.id,
        name: key.name.clone(),
        roles: key.roles.iter().map(ToString::to_string).collect(),
        created_by: by,
        created_at: origin.at,
        expires_at: key.expires_at,
    })
}

pub(super) fn revoke(tx: &Transaction, id: ApiKeyId, origin: &Origin) -> Result<(), StoreError> {
    let id = id.to_string();
    let sql = "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
    let revoked = tx.prepare_cached(sql)?.execute(params![origin.at, id])?;
    if revoked == 0 {
        return Err(StoreError::UnknownApiKey);
    }
    tx.prepare_cached("DELETE FROM api_key_roles WHERE api_key_id = ?")?
        .execute([&id])?;
    audit::note(tx, origin, Action::ApiKeyRevoked, &id, "")?;
    Ok(())
}

pub(super) fn list(
    db: &Connection,
    after: Option<ApiKeyId>,
    limit: u32,
) -> rusqlite::Result<Vec<ApiKey>> {
    // Every id is greater than the empty text.
    let sql = format!("{COLUMNS} WHERE revoked_at IS NULL AND id > ? ORDER BY id LIMIT ?");
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(params![after, limit], |row| {
        Ok(ApiKey {
            id: id(row)?,
            name: row.get("name")?,
            roles: role_names(row)?,
            created_by: row.get("created_by")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
        })
    })?;
    rows.collect()
}

/// All keys that are not revoked, with their version; nothing where that is `known`. The version is read
/// first: a change in between shows at the next question.
pub(super) fn live(
    db: &Connection,
    known: Option<KeysVersion>,
) -> rusqlite::Result<Option<(KeysVersion, Vec<LiveApiKey>)>> {
    let mut select = db.prepare_cached("SELECT COUNT(*), COUNT(revoked_at) FROM api_keys")?;
    let version = select.query_row([], |row| {
        Ok(KeysVersion {
            made: row.get(0)?,
            revoked: row.get(1)?,
        })
    })?;
    if known == Some(version) {
        return Ok(None);
    }
    let mut select = db.prepare_cached(&format!("{COLUMNS} WHERE revoked_at IS NULL"))?;
    let rows = select.query_map([], |row| {
        Ok(LiveApiKey {
            id: id(row)?,
            hash: ApiKeyHash(row.get("key_hash")?),
            roles: role_names(row)?,
            expires_at: row.get("expires_at")?,
        })
    })?;
    Ok(Some((version, rows.collect::<rusqlite::Result<_>>()?)))
}

fn id(row: &Row) -> rusqlite::Result<ApiKeyId> {
    let id: String = row.get("id")?;
    let invalid = || rusqlite::Error::InvalidColumnType(0, "id".to_owned(), Type::Text);
    ApiKeyId::parse(&id).ok_or_else(invalid)
}

fn role_names(row: &Row) -> rusqlite::Result<Vec<String>> {
    let roles: Option<String> = row.get("roles")?;
    Ok(roles.map_or_else(Vec::new, |roles| {
        roles.split(',').map(str::to_owned).collect()
    }))
}

/// Role names have no comma.
const COLUMNS: &str = "SELECT id, name, key_hash, created_by, created_at, expires_at,
     (SELECT group_concat(role, ',' ORDER BY role) FROM api_key_roles WHERE api_key_id = id) AS roles
     FROM api_keys";
