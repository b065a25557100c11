//! Roles' rows, and who has which.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, from_row_opt};

use super::failure::{Failure, is_duplicate, is_referenced};
use super::{audit, users};
use crate::identity::role::RoleName;
use crate::identity::store::{Action, Origin, Role, StoreError};
use crate::identity::user::UserId;

pub(super) async fn all(db: &mut impl Queryable) -> Result<Vec<Role>, Failure> {
    let select = "SELECT name, created_at FROM roles ORDER BY name";
    let rows: Vec<Row> = db.exec(select, ()).await?;
    let role = |row| {
        let (name, created_at) = from_row_opt(row)?;
        Ok(Role { name, created_at })
    };
    rows.into_iter().map(role).collect()
}

pub(super) async fn create(
    tx: &mut Transaction<'_>,
    role: &RoleName,
    origin: &Origin,
) -> Result<Role, Failure> {
    let insert = "INSERT INTO roles (name, created_at) VALUES (?, ?)";
    match tx.exec_drop(insert, (role.as_str(), origin.at)).await {
        Err(error) if is_duplicate(&error) => return Err(StoreError::RoleExists.into()),
        done => done?,
    }
    audit::note(tx, origin, Action::RoleCreated, role.as_str(), "").await?;
    Ok(Role {
        name: role.to_string(),
        created_at: origin.at,
    })
}

pub(super) async fn delete(
    tx: &mut Transaction<'_>,
    role: &RoleName,
    origin: &Origin,
) -> Result<(), Failure> {
    if !exists(tx, role).await? {
        return Err(StoreError::UnknownRole.into());
    }
    // `admin` stays even where nobody has it: everything hangs on it.
    if role.is_admin() {
        return Err(StoreError::RoleInUse.into());
    }
    // The foreign keys of `user_roles` and `api_key_roles` decide, also against what goes on at the same time.
    match tx
        .exec_drop("DELETE FROM roles WHERE name = ?", (role.as_str(),))
        .await
    {
        Err(error) if is_referenced(&error) => return Err(StoreError::RoleInUse.into()),
        done => done?,
    }
    Ok(audit::note(tx, origin, Action::RoleDeleted, role.as_str(), "").await?)
}

pub(super) async fn grant(
    tx: &mut Transaction<'_>,
    user: UserId,
    role: &RoleName,
    origin: &Origin,
) -> Result<(), Failure> {
    users::lock(tx, user).await?;
    let id = user.to_string();
    if insert(tx, &id, role, origin).await? {
        users::raise_token_version(tx, user, origin.at).await?;
        audit::note(tx, origin, Action::RoleGranted, &id, role.as_str()).await?;
    }
    Ok(())
}

pub(super) async fn revoke(
    tx: &mut Transaction<'_>,
    user: UserId,
    role: &RoleName,
    origin: &Origin,
) -> Result<(), Failure> {
    let id = user.to_string();
    let is_last_admin = role.is_admin() && is_last_admin(tx, &id).await?;
    users::lock(tx, user).await?;
    if !exists(tx, role).await? {
        return Err(StoreError::UnknownRole.into());
    }
    let delete = "DELETE FROM user_roles WHERE user_id = ? AND role = ?";
    tx.exec_drop(delete, (&id, role.as_str())).await?;
    if tx.affected_rows() == 0 {
        return Ok(());
    }
    if is_last_admin {
        return Err(StoreError::LastAdmin.into());
    }
    users::raise_token_version(tx, user, origin.at).await?;
    audit::note(tx, origin, Action::RoleRevoked, &id, role.as_str()).await?;
    Ok(())
}

/// Gives an existing user a role. `false`: the user had it.
pub(super) async fn insert(
    tx: &mut Transaction<'_>,
    user: &str,
    role: &RoleName,
    origin: &Origin,
) -> Result<bool, Failure> {
    if !exists(tx, role).await? {
        return Err(StoreError::UnknownRole.into());
    }
    let insert =
        "INSERT INTO user_roles (user_id, role, granted_by, granted_at) VALUES (?, ?, ?, ?)";
    let by = origin.actor.to_string();
    match tx
        .exec_drop(insert, (user, role.as_str(), by, origin.at))
        .await
    {
        Err(error) if is_duplicate(&error) => Ok(false),
        done => Ok(done.map(|()| true)?),
    }
}

/// Does the role exist? Then it does until the transaction ends.
pub(super) async fn keep(tx: &mut Transaction<'_>, role: &RoleName) -> Result<bool, Failure> {
    let select = "SELECT 1 FROM roles WHERE name = ? LOCK IN SHARE MODE";
    let found: Option<Row> = tx.exec_first(select, (role.as_str(),)).await?;
    Ok(found.is_some())
}

async fn exists(tx: &mut Transaction<'_>, role: &RoleName) -> Result<bool, Failure> {
    let select = "SELECT 1 FROM roles WHERE name = ?";
    let found: Option<Row> = tx.exec_first(select, (role.as_str(),)).await?;
    Ok(found.is_some())
}

/// Would nobody be left who can sign in as an admin? Locks all admins, and their users' rows, which is
/// always done before any other row: of two admins who remove each other the second waits here, and
/// then no longer finds the first.
pub(super) async fn is_last_admin(tx: &mut Transaction<'_>, user: &str) -> Result<bool, Failure> {
    let select = "SELECT user_id FROM user_roles STRAIGHT_JOIN users ON users.id = user_id
                  WHERE role = ? AND disabled_at IS NULL ORDER BY user_id FOR UPDATE";
    let admins: Vec<Row> = tx.exec(select, (RoleName::admin().as_str(),)).await?;
    for admin in admins {
        let (id,): (String,) = from_row_opt(admin)?;
        if id != user {
            return Ok(false);
        }
    }
    Ok(true)
}
