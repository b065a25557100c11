//! Users' rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::{audit, revocations, roles, sessions};
use crate::identity::email::EmailKey;
use crate::identity::password::PasswordHash;
use crate::identity::store::{Action, Credentials, Origin, StoreError};
use crate::identity::user::{NewUser, User, UserId};

pub(super) fn create(
    tx: &Transaction,
    user: &NewUser,
    origin: &Origin,
) -> Result<User, StoreError> {
    let id = user.id().to_string();
    let mut insert = tx.prepare_cached(
        "INSERT INTO users (id, email, email_key, password_hash, created_at)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT (email_key) DO NOTHING",
    )?;
    let inserted = insert.execute(params![
        id,
        user.email().as_str(),
        user.email().key().as_bytes(),
        user.password_hash().as_str(),
        user.created_at(origin.at),
    ])?;
    if inserted == 0 {
        return Err(StoreError::EmailTaken);
    }
    for role in user.roles() {
        roles::insert(tx, &id, role, origin)?;
    }
    let names: Vec<_> = user.roles().iter().map(|role| role.as_str()).collect();
    audit::note(tx, origin, Action::UserCreated, &id, &names.join(","))?;
    find(tx, user.id())?.ok_or(StoreError::UnknownUser)
}

pub(super) fn find(db: &Connection, id: UserId) -> rusqlite::Result<Option<User>> {
    let mut select = db.prepare_cached(&select("id"))?;
    select.query_row([id.to_string()], user).optional()
}

pub(super) fn credentials(
    db: &Connection,
    email: &EmailKey,
) -> rusqlite::Result<Option<Credentials>> {
    let mut select = db.prepare_cached(&select("email_key"))?;
    let credentials = |row: &Row| {
        let user = user(row)?;
        let hash = PasswordHash::from_stored(row.get("password_hash")?);
        let report =
            |why| log::error!("the password's hash of user {} is unusable: {why}", user.id);
        Ok(Credentials {
            password_hash: hash.map_err(report).ok(),
            user,
        })
    };
    select.query_row([email.as_bytes()], credentials).optional()
}

pub(super) fn list(
    db: &Connection,
    query: &str,
    after: Option<UserId>,
    limit: u32,
) -> rusqlite::Result<Vec<User>> {
    // Every id is greater than the empty text; every address has the empty text in it.
    let sql = format!(
        "{COLUMNS} WHERE id > ? AND instr(CAST(email_key AS TEXT), ?) > 0 ORDER BY id LIMIT ?"
    );
    let after = after.map(|id| id.to_string()).unwrap_or_default();
    let mut select = db.prepare_cached(&sql)?;
    let rows = select.query_map(params![after, query, limit], user)?;
    rows.collect()
}

pub(super) fn set_disabled(
    tx: &Transaction,
    id: UserId,
    disabled: bool,
    origin: &Origin,
) -> Result<(), StoreError> {
    let user = find(tx, id)?.ok_or(StoreError::UnknownUser)?;
    if user.disabled == disabled {
        return Ok(());
    }
    let sql = "UPDATE users SET disabled_at = ? WHERE id = ?";
    let since = disabled.then_some(origin.at);
    tx.prepare_cached(sql)?
        .execute(params![since, id.to_string()])?;
    if !disabled {
        audit::note(tx, origin, Action::UserEnabled, &id.to_string(), "")?;
        return Ok(());
    }
    // An error rolls the change back.
    if user.is_admin() && !roles::any_admin(tx)? {
        return Err(StoreError::LastAdmin);
    }
    sessions::close_all(tx, id, origin.at)?;
    raise_token_version(tx, id, origin.at)?;
    audit::note(tx, origin, Action::UserDisabled, &id.to_string(), "")?;
    Ok(())
}

pub(super) fn exists(db: &Connection, id: UserId) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached("SELECT 1 FROM users WHERE id = ?")?;
    select.exists([id.to_string()])
}

/// Ends the access tokens that the user has, here and at every other gateway.
pub(super) fn raise_token_version(tx: &Transaction, id: UserId, at: u64) -> rusqlite::Result<()> {
    let sql =
        "UPDATE users SET token_version = token_version + 1 WHERE id = ? RETURNING token_version";
    let version: u64 = tx
        .prepare_cached(sql)?
        .query_row([id.to_string()], |row| row.get(0))?;
    revocations::below(tx, id, version, at)
}

pub(super) fn change_password(
    tx: &Transaction,
    user: UserId,
    hash: &PasswordHash,
    origin: &Origin,
) -> Result<(), StoreError> {
    let sql = "UPDATE users SET password_hash = ? WHERE id = ?";
    let changed = tx
        .prepare_cached(sql)?
        .execute([hash.as_str(), &user.to_string()])?;
    if changed == 0 {
        return Err(StoreError::UnknownUser);
    }
    sessions::close_all(tx, user, origin.at)?;
    raise_token_version(tx, user, origin.at)?;
    audit::note(tx, origin, Action::PasswordChanged, &user.to_string(), "")?;
    Ok(())
}

/// The password is the same, so that nothing ends.
pub(super) fn replace_hash(
    tx: &Transaction,
    user: UserId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> rusqlite::Result<()> {
    let sql = "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?";
    tx.prepare_cached(sql)?
        .execute([new.as_str(), &user.to_string(), old.as_str()])?;
    Ok(())
}

/// A user with all roles, by a unique column.
fn select(by: &'static str) -> String {
    format!("{COLUMNS} WHERE {by} = ?")
}

fn user(row: &Row) -> rusqlite::Result<User> {
    let id: String = row.get("id")?;
    let roles: Option<String> = row.get("roles")?;
    let invalid = || rusqlite::Error::InvalidColumnType(0, "id".to_owned(), Type::Text);
    Ok(User {
        id: UserId::parse(&id).ok_or_else(invalid)?,
        email: row.get("email")?,
        roles: roles.map_or_else(Vec::new, |roles| {
            roles.split(',').map(str::to_owned).collect()
        }),
        token_version: row.get("token_version")?,
        disabled: row.get::<_, Option<u64>>("disabled_at")?.is_some(),
        created_at: row.get("created_at")?,
    })
}

/// Role names have no comma.
const COLUMNS: &str = "SELECT id, email, password_hash, token_version, disabled_at, created_at,
     (SELECT group_concat(role, ',' ORDER BY role) FROM user_roles WHERE user_id = id) AS roles FROM users";
