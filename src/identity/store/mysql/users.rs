//! Users' rows.

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Transaction, Value, from_row_opt};

use super::failure::{Failure, is_duplicate};
use super::{audit, revocations, roles, sessions};
use crate::identity::email::EmailKey;
use crate::identity::password::PasswordHash;
use crate::identity::store::{Action, Credentials, Origin, StoreError};
use crate::identity::user::{NewUser, User, UserId};

pub(super) async fn create(
    tx: &mut Transaction<'_>,
    user: &NewUser,
    origin: &Origin,
) -> Result<User, Failure> {
    let id = user.id().to_string();
    let insert = "INSERT INTO users (id, email, email_key, password_hash, created_at)
                  VALUES (?, ?, ?, ?, ?)";
    let row = (
        &id,
        user.email().as_str(),
        user.email().key().as_bytes(),
        user.password_hash().as_str(),
        user.created_at(origin.at),
    );
    match tx.exec_drop(insert, row).await {
        Err(error) if is_duplicate(&error) => return Err(StoreError::EmailTaken.into()),
        done => done?,
    }
    for role in user.roles() {
        roles::insert(tx, &id, role, origin).await?;
    }
    let names: Vec<_> = user.roles().iter().map(|role| role.as_str()).collect();
    audit::note(tx, origin, Action::UserCreated, &id, &names.join(",")).await?;
    Ok(find(tx, user.id()).await?.ok_or(StoreError::UnknownUser)?)
}

pub(super) async fn find(db: &mut impl Queryable, id: UserId) -> Result<Option<User>, Failure> {
    let found = credentials_by(db, BY_ID, Value::from(id.to_string())).await?;
    Ok(found.map(|(user, _)| user))
}

pub(super) async fn credentials(
    db: &mut impl Queryable,
    email: &EmailKey,
) -> Result<Option<Credentials>, Failure> {
    let found = credentials_by(db, BY_EMAIL, Value::from(email.as_bytes())).await?;
    Ok(found.map(|(user, hash)| {
        let hash = PasswordHash::from_stored(hash);
        let report =
            |why| log::error!("the password's hash of user {} is unusable: {why}", user.id);
        Credentials {
            password_hash: hash.map_err(report).ok(),
            user,
        }
    }))
}

/// Keeps the user's row until the end of the transaction: changes of one user come one after another.
pub(super) async fn lock(tx: &mut Transaction<'_>, id: UserId) -> Result<(), Failure> {
    let select = "SELECT 1 FROM users WHERE id = ? FOR UPDATE";
    match tx
        .exec_first::<Row, _, _>(select, (id.to_string(),))
        .await?
    {
        Some(_) => Ok(()),
        None => Err(StoreError::UnknownUser.into()),
    }
}

/// Ends the access tokens that the user has, here and at every other gateway.
pub(super) async fn raise_token_version(
    tx: &mut Transaction<'_>,
    id: UserId,
    at: u64,
) -> Result<(), Failure> {
    let update = "UPDATE users SET token_version = token_version + 1 WHERE id = ?";
    tx.exec_drop(update, (id.to_string(),)).await?;
    let user = find(tx, id).await?.ok_or(StoreError::UnknownUser)?;
    revocations::below(tx, id, user.token_version, at).await
}

pub(super) async fn change_password(
    tx: &mut Transaction<'_>,
    user: UserId,
    hash: &PasswordHash,
    origin: &Origin,
) -> Result<(), Failure> {
    lock(tx, user).await?;
    let update = "UPDATE users SET password_hash = ? WHERE id = ?";
    tx.exec_drop(update, (hash.as_str(), user.to_string()))
        .await?;
    sessions::close_all(tx, user, origin.at).await?;
    raise_token_version(tx, user, origin.at).await?;
    Ok(audit::note(tx, origin, Action::PasswordChanged, &user.to_string(), "").await?)
}

/// The password is the same, so that nothing ends.
pub(super) async fn replace_hash(
    tx: &mut Transaction<'_>,
    user: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<(), Failure> {
    let update = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?";
    Ok(tx
        .exec_drop(update, (new.as_str(), user.to_string(), old.as_str()))
        .await?)
}

pub(super) async fn list(
    db: &mut impl Queryable,
    query: &str,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<User>, Failure> {
    // Every id is greater than the empty text; `LOCATE` finds the empty text in every address. The key
    // is in small letters, and its bytes are compared.
    let select =
        "SELECT id FROM users WHERE id > ? AND LOCATE(?, email_key) > 0 ORDER BY id LIMIT ?";
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let rows: Vec<Row> = db.exec(select, (after, query.as_bytes(), limit)).await?;
    let mut users = Vec::new();
    for row in rows {
        let (id,): (String,) = from_row_opt(row)?;
        let id = UserId::parse(&id)
            .ok_or_else(|| StoreError::Unavailable("a user's id is none".to_owned()))?;
        // One that goes in between is left out.
        users.extend(find(db, id).await?);
    }
    Ok(users)
}

pub(super) async fn set_disabled(
    tx: &mut Transaction<'_>,
    id: UserId,
    disabled: bool,
    origin: &Origin,
) -> Result<(), Failure> {
    let text = id.to_string();
    // Admins' rows are kept before any other, as where roles are taken away.
    let is_last_admin = disabled && roles::is_last_admin(tx, &text).await?;
    lock(tx, id).await?;
    let user = find(tx, id).await?.ok_or(StoreError::UnknownUser)?;
    if user.disabled == disabled {
        return Ok(());
    }
    if is_last_admin && user.is_admin() {
        return Err(StoreError::LastAdmin.into());
    }
    let since = disabled.then_some(origin.at);
    tx.exec_drop(
        "UPDATE users SET disabled_at = ? WHERE id = ?",
        (since, &text),
    )
    .await?;
    if !disabled {
        return Ok(audit::note(tx, origin, Action::UserEnabled, &text, "").await?);
    }
    sessions::close_all(tx, id, origin.at).await?;
    raise_token_version(tx, id, origin.at).await?;
    Ok(audit::note(tx, origin, Action::UserDisabled, &text, "").await?)
}

/// A user with the password's hash, from one row for each role. `GROUP_CONCAT` would cut a long list.
async fn credentials_by(
    db: &mut impl Queryable,
    select: &'static str,
    key: Value,
) -> Result<Option<(User, String)>, Failure> {
    type Columns = (
        String,
        String,
        String,
        u64,
        Option<u64>,
        u64,
        Option<String>,
    );
    let mut found: Option<(User, String)> = None;
    for row in db.exec::<Row, _, _>(select, (key,)).await? {
        let (id, email, hash, token_version, disabled_at, created_at, role) =
            from_row_opt::<Columns>(row)?;
        let no_id = || StoreError::Unavailable("a user's id is none".to_owned());
        let user = User {
            id: UserId::parse(&id).ok_or_else(no_id)?,
            email,
            roles: Vec::new(),
            token_version,
            disabled: disabled_at.is_some(),
            created_at,
        };
        let (user, _) = found.get_or_insert((user, hash));
        user.roles.extend(role);
    }
    Ok(found)
}

const BY_ID: &str = "
    SELECT id, email, password_hash, token_version, disabled_at, created_at, role
    FROM users LEFT JOIN user_roles ON user_id = id WHERE id = ? ORDER BY role";
const BY_EMAIL: &str = "
    SELECT id, email, password_hash, token_version, disabled_at, created_at, role
    FROM users LEFT JOIN user_roles ON user_id = id WHERE email_key = ? ORDER BY role";
