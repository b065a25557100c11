//! Roles' rows, and who has which.

use rusqlite::{Connection, Transaction, params};

use super::audit;
use super::users;
use crate::identity::role::RoleName;
use crate::identity::store::{Action, Origin, Role, StoreError};
use crate::identity::user::UserId;

pub(super) fn all(db: &Connection) -> rusqlite::Result<Vec<Role>> {
    let mut select = db.prepare_cached("SELECT name, created_at FROM roles ORDER BY name")?;
    let rows = select.query_map([], |row| {
        Ok(Role {
            name: row.get("name")?,
            created_at: row.get("created_at")?,
        })
    })?;
    rows.collect()
}

pub(super) fn create(
    tx: &Transaction,
    role: &RoleName,
    origin: &Origin,
) -> Result<Role, StoreError> {
    let sql = "INSERT INTO roles (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
    let inserted = tx
        .prepare_cached(sql)?
        .execute(params![role.as_str(), origin.at])?;
    if inserted == 0 {
        return Err(StoreError::RoleExists);
    }
    audit::note(tx, origin, Action::RoleCreated, role.as_str(), "")?;
    Ok(Role {
        name: role.to_string(),
        created_at: origin.at,
    })
}

pub(super) fn delete(tx: &Transaction, role: &RoleName, origin: &Origin) -> Result<(), StoreError> {
    if !exists(tx, role)? {
        return Err(StoreError::UnknownRole);
    }
    // `admin` stays even where nobody has it: everything hangs on it.
    let sql = "SELECT 1 FROM user_roles WHERE role = ?1 UNION ALL SELECT 1 FROM api_key_roles WHERE role = ?1";
    if role.is_admin() || tx.prepare_cached(sql)?.exists([role.as_str()])? {
        return Err(StoreError::RoleInUse);
    }
    tx.prepare_cached("DELETE FROM roles WHERE name = ?")?
        .execute([role.as_str()])?;
    audit::note(tx, origin, Action::RoleDeleted, role.as_str(), "")?;
    Ok(())
}

pub(super) fn grant(
    tx: &Transaction,
    user: UserId,
    role: &RoleName,
    origin: &Origin,
) -> Result<(), StoreError> {
    if !users::exists(tx, user)? {
        return Err(StoreError::UnknownUser);
    }
    let id = user.to_string();
    if insert(tx, &id, role, origin)? {
        users::raise_token_version(tx, user, origin.at)?;
        audit::note(tx, origin, Action::RoleGranted, &id, role.as_str())?;
    }
    Ok(())
}

pub(super) fn revoke(
    tx: &Transaction,
    user: UserId,
    role: &RoleName,
    origin: &Origin,
) -> Result<(), StoreError> {
    if !users::exists(tx, user)? {
        return Err(StoreError::UnknownUser);
    }
    if !exists(tx, role)? {
        return Err(StoreError::UnknownRole);
    }
    let id = user.to_string();
    let sql = "DELETE FROM user_roles WHERE user_id = ? AND role = ?";
    let deleted = tx.prepare_cached(sql)?.execute([&id, role.as_str()])?;
    if deleted == 0 {
        return Ok(());
    }
    // An error rolls the deletion back.
    if role.is_admin() && !any_admin(tx)? {
        return Err(StoreError::LastAdmin);
    }
    users::raise_token_version(tx, user, origin.at)?;
    audit::note(tx, origin, Action::RoleRevoked, &id, role.as_str())?;
    Ok(())
}

/// Gives an existing user a role. `false`: the user had it.
pub(super) fn insert(
    tx: &Transaction,
    user: &str,
    role: &RoleName,
    origin: &Origin,
) -> Result<bool, StoreError> {
    if !exists(tx, role)? {
        return Err(StoreError::UnknownRole);
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO user_roles (user_id, role, granted_by, granted_at)
         VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    let by = origin.actor.to_string();
    let inserted = insert.execute(params![user, role.as_str(), by, origin.at])?;
    Ok(inserted == 1)
}

pub(super) fn exists(tx: &Transaction, role: &RoleName) -> rusqlite::Result<bool> {
    let mut select = tx.prepare_cached("SELECT 1 FROM roles WHERE name = ?")?;
    select.exists([role.as_str()])
}

/// Is there an admin who can sign in?
pub(super) fn any_admin(tx: &Transaction) -> rusqlite::Result<bool> {
    let mut select = tx.prepare_cached(
        "SELECT 1 FROM user_roles JOIN users ON users.id = user_id
         WHERE role = ? AND disabled_at IS NULL",
    )?;
    select.exists([RoleName::admin().as_str()])
}
