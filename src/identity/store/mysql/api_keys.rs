//! API keys' rows. None is ever removed: see `KeysVersion`.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::failure::Failure;
use super::{audit, roles};
use crate::identity::api_key::{ApiKey, ApiKeyId, KeysVersion, LiveApiKey, NewApiKey};
use crate::identity::store::{Action, Origin, StoreError};
use crate::token::ApiKeyHash;

pub(super) async fn create(
    tx: &mut Transaction<'_>,
    key: &NewApiKey,
    origin: &Origin,
) -> Result<ApiKey, Failure> {
    let (id, by) = (key.id.to_string(), origin.actor.to_string());
    let insert = "INSERT INTO api_keys (id, name, key_hash, created_by, created_at, expires_at)
                  VALUES (?, ?, ?, ?, ?, ?)";
    let hash = key.hash.0.as_slice();
    let row = (&id, &key.name, hash, &by, origin.at, key.expires_at);
    tx.exec_drop(insert, row).await?;
    for role in &key.roles {
        // The row stays until this transaction ends, so that the role can't go meanwhile.
        if !roles::keep(tx, role).await? {
            return Err(StoreError::UnknownRole.into());
        }
        let insert = "INSERT INTO api_key_roles (api_key_id, role) VALUES (?, ?)";
        tx.exec_drop(insert, (&id, role.as_str())).await?;
    }
    audit::note(tx, origin, Action::ApiKeyCreated, &id, &key.told()).await?;
    Ok(ApiKey {
        id: key.id,
        name: key.name.clone(),
        roles: key.roles.iter().map(ToString::to_string).collect(),
        created_by: by,
        created_at: origin.at,
        expires_at: key.expires_at,
    })
}

pub(super) async fn revoke(
    tx: &mut Transaction<'_>,
    id: ApiKeyId,
    origin: &Origin,
) -> Result<(), Failure> {
    let id = id.to_string();
    let update = "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL";
    tx.exec_drop(update, (origin.at, &id)).await?;
    if tx.affected_rows() == 0 {
        return Err(StoreError::UnknownApiKey.into());
    }
    tx.exec_drop("DELETE FROM api_key_roles WHERE api_key_id = ?", (&id,))
        .await?;
    Ok(audit::note(tx, origin, Action::ApiKeyRevoked, &id, "").await?)
}

pub(super) async fn list(
    db: &mut impl Queryable,
    after: Option<ApiKeyId>,
    limit: u32,
) -> Result<Vec<ApiKey>, Failure> {
    type Columns = (String, String, String, u64, Option<u64>, Option<String>);
    // The page is chosen first, then each of its keys brings one row for each role.
    let select = "SELECT id, name, created_by, created_at, expires_at, role FROM
                  (SELECT id, name, created_by, created_at, expires_at FROM api_keys
                   WHERE revoked_at IS NULL AND id > ? ORDER BY id LIMIT ?) AS page
                  LEFT JOIN api_key_roles ON api_key_id = id ORDER BY id, role";
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut keys: Vec<ApiKey> = Vec::new();
    for row in db.exec::<Row, _, _>(select, (after, limit)).await? {
        let (id, name, created_by, created_at, expires_at, role) = from_row_opt::<Columns>(row)?;
        let id = parse(&id)?;
        match keys.last_mut().filter(|last| last.id == id) {
            Some(last) => last.roles.extend(role),
            None => keys.push(ApiKey {
                id,
                name,
                roles: role.into_iter().collect(),
                created_by,
                created_at,
                expires_at,
            }),
        }
    }
    Ok(keys)
}

/// All keys that are not revoked, with their version; nothing where that is `known`. The version is read
/// first: a change in between shows at the next question.
pub(super) async fn live(
    db: &mut impl Queryable,
    known: Option<KeysVersion>,
) -> Result<Option<(KeysVersion, Vec<LiveApiKey>)>, Failure> {
    type Columns = (String, Vec<u8>, Option<u64>, Option<String>);
    let select = "SELECT COUNT(*), COUNT(revoked_at) FROM api_keys";
    let counts: Option<Row> = db.exec_first(select, ()).await?;
    let (made, revoked) = counts.map_or(Ok((0, 0)), from_row_opt)?;
    let version = KeysVersion { made, revoked };
    if known == Some(version) {
        return Ok(None);
    }
    let select = "SELECT id, key_hash, expires_at, role FROM api_keys
                  LEFT JOIN api_key_roles ON api_key_id = id
                  WHERE revoked_at IS NULL ORDER BY id, role";
    let mut keys: Vec<LiveApiKey> = Vec::new();
    for row in db.exec::<Row, _, _>(select, ()).await? {
        let (id, hash, expires_at, role) = from_row_opt::<Columns>(row)?;
        let id = parse(&id)?;
        let hash = ApiKeyHash(hash.try_into().map_err(|_| malformed())?);
        match keys.last_mut().filter(|last| last.id == id) {
            Some(last) => last.roles.extend(role),
            None => keys.push(LiveApiKey {
                id,
                hash,
                roles: role.into_iter().collect(),
                expires_at,
            }),
        }
    }
    Ok(Some((version, keys)))
}

fn parse(id: &str) -> Result<ApiKeyId, StoreError> {
    ApiKeyId::parse(id).ok_or_else(malformed)
}

fn malformed() -> StoreError {
    StoreError::Unavailable("an API key's row has an unexpected form".to_owned())
}
