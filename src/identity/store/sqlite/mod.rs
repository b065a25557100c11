//! Users in an SQLite file: one thread that writes, several that read. SQLite has one writer at a time
//! anyway; a thread of its own makes the others wait in a queue and not for a lock.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::room::Room;
use super::{AuditEntry, Credentials, Origin, Role, StoreError, UserStore};
use crate::base::clock::Clock;
use crate::identity::api_key::{ApiKey, ApiKeyId, KeysVersion, LiveApiKey, NewApiKey};
use crate::identity::email::EmailKey;
use crate::identity::password::PasswordHash;
use crate::identity::role::RoleName;
use crate::identity::rotation::{KeyChange, StoredKey};
use crate::identity::session::{NewSession, Rotated, Rotation, Session, SessionId};
use crate::identity::throttle::{Attempt, Outcome, Reserved, Ticket};
use crate::identity::user::{NewUser, User, UserId};
use crate::identity::workers::{NotDone, Workers};
use crate::token::Revoked;

mod api_keys;
mod audit;
mod keys;
mod migrate;
mod open;
mod revocations;
mod roles;
mod sessions;
mod throttle;
mod users;

pub use open::StoreOpenError;

/// An SQLite store.
pub struct Sqlite {
    writer: Workers<Connection>,
    /// None for a database in memory, which belongs to the one connection that made it.
    readers: Option<Workers<Connection>>,
    room: Room,
}

impl Sqlite {
    /// Opens the file, makes or updates its tables, and sees to it that the roles exist.
    pub fn open(path: &Path, roles: &[RoleName], clock: &Clock) -> Result<Self, StoreOpenError> {
        let (writer, readers) = open::file(path, READERS, roles, clock)?;
        Ok(Self {
            writer: Workers::start("airside-write", vec![writer], QUEUE)?,
            readers: Some(Workers::start("airside-read", readers, QUEUE)?),
            room: Room::default(),
        })
    }

    /// Brings the schema up to date, and gives the names of the steps that were missing.
    pub fn migrate(path: &Path) -> Result<Vec<String>, StoreOpenError> {
        let (_, applied) = open::alone(path, |writer| Ok(migrate::run(writer)?))?;
        Ok(applied)
    }

    /// A database that is gone with the process.
    pub fn in_memory(roles: &[RoleName], clock: &Clock) -> Result<Self, StoreOpenError> {
        let writer = open::memory(roles, clock)?;
        Ok(Self {
            writer: Workers::start("airside-write", vec![writer], QUEUE)?,
            readers: None,
            room: Room::default(),
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lane = self.readers.as_ref().unwrap_or(&self.writer);
        Ok(in_time(lane.run(|connection| query(connection))).await??)
    }

    /// Runs a change in a transaction that takes the write lock at its beginning, so that what it
    /// reads stays true until it commits.
    async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let asked = Instant::now();
        let job = move |connection: &mut Connection| {
            let behavior = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let done = change(&transaction)?;
            // Whoever asked was told that it was not done: it must not be done later.
            if asked.elapsed() >= PATIENCE {
                return Err(too_long());
            }
            transaction.commit()?;
            Ok(done)
        };
        let done = in_time(self.writer.run(job)).await?;
        self.room.note(&done);
        done
    }
}

#[async_trait]
impl UserStore for Sqlite {
    async fn create_user(&self, user: NewUser, origin: Origin) -> Result<User, StoreError> {
        self.write(move |tx| users::create(tx, &user, &origin))
            .await
    }

    async fn credentials(&self, email: EmailKey) -> Result<Option<Credentials>, StoreError> {
        self.read(move |db| users::credentials(db, &email)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(move |db| users::find(db, id)).await
    }

    async fn roles(&self) -> Result<Vec<Role>, StoreError> {
        self.read(roles::all).await
    }

    async fn create_role(&self, role: RoleName, origin: Origin) -> Result<Role, StoreError> {
        self.write(move |tx| roles::create(tx, &role, &origin))
            .await
    }

    async fn grant_role(
        &self,
        user: UserId,
        role: RoleName,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.write(move |tx| roles::grant(tx, user, &role, &origin))
            .await
    }

    async fn revoke_role(
        &self,
        user: UserId,
        role: RoleName,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.write(move |tx| roles::revoke(tx, user, &role, &origin))
            .await
    }

    async fn begin_session(&self, session: NewSession, origin: Origin) -> Result<User, StoreError> {
        self.write(move |tx| sessions::begin(tx, &session, &origin))
            .await
    }

    async fn rotate_session(
        &self,
        rotation: Rotation,
        origin: Origin,
    ) -> Result<Rotated, StoreError> {
        self.write(move |tx| sessions::rotate(tx, &rotation, &origin))
            .await
    }

    async fn sessions(&self, user: UserId, at: u64) -> Result<Vec<Session>, StoreError> {
        self.read(move |db| sessions::of_user(db, user, at)).await
    }

    async fn end_session(
        &self,
        user: UserId,
        session: SessionId,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.write(move |tx| sessions::end(tx, user, session, &origin))
            .await
    }

    async fn end_all_sessions(&self, user: UserId, origin: Origin) -> Result<(), StoreError> {
        self.write(move |tx| sessions::end_all(tx, user, &origin))
            .await
    }

    async fn change_password(
        &self,
        user: UserId,
        hash: PasswordHash,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.write(move |tx| users::change_password(tx, user, &hash, &origin))
            .await
    }

    async fn replace_hash(
        &self,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Ok(users::replace_hash(tx, user, &old, &new)?))
            .await
    }

    async fn revocations(
        &self,
        from: u64,
        horizon: u64,
    ) -> Result<(Vec<Revoked>, u64), StoreError> {
        self.read(move |db| revocations::since(db, from, horizon))
            .await
    }

    async fn users(
        &self,
        query: String,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        self.read(move |db| users::list(db, &query, after, limit))
            .await
    }

    async fn set_disabled(
        &self,
        user: UserId,
        disabled: bool,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.write(move |tx| users::set_disabled(tx, user, disabled, &origin))
            .await
    }

    async fn delete_role(&self, role: RoleName, origin: Origin) -> Result<(), StoreError> {
        self.write(move |tx| roles::delete(tx, &role, &origin))
            .await
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(move |db| audit::list(db, before, limit)).await
    }

    async fn create_api_key(&self, key: NewApiKey, origin: Origin) -> Result<ApiKey, StoreError> {
        self.write(move |tx| api_keys::create(tx, &key, &origin))
            .await
    }

    async fn api_keys(
        &self,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        self.read(move |db| api_keys::list(db, after, limit)).await
    }

    async fn revoke_api_key(&self, id: ApiKeyId, origin: Origin) -> Result<(), StoreError> {
        self.write(move |tx| api_keys::revoke(tx, id, &origin))
            .await
    }

    async fn live_api_keys(
        &self,
        known: Option<KeysVersion>,
    ) -> Result<Option<(KeysVersion, Vec<LiveApiKey>)>, StoreError> {
        self.read(move |db| api_keys::live(db, known)).await
    }

    async fn tidy(&self, horizon: u64, ended: u64) -> Result<(), StoreError> {
        self.write(move |tx| {
            revocations::forget(tx, horizon)?;
            Ok(sessions::forget(tx, ended)?)
        })
        .await
    }

    async fn signing_keys(&self, retired: bool) -> Result<Vec<StoredKey>, StoreError> {
        self.read(move |db| keys::all(db, retired)).await
    }

    async fn change_key(&self, change: KeyChange, origin: Origin) -> Result<bool, StoreError> {
        self.write(move |tx| keys::change(tx, &change, &origin))
            .await
    }

    async fn reserve_attempt(&self, attempt: Attempt) -> Result<Reserved, StoreError> {
        self.write(move |tx| Ok(throttle::reserve(tx, &attempt)?))
            .await
    }

    async fn settle_attempt(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        at: u64,
    ) -> Result<(), StoreError> {
        self.write(move |tx| Ok(throttle::settle(tx, &ticket, outcome, at)?))
            .await
    }

    async fn forget_attempts(&self, at: u64, most: u32) -> Result<u64, StoreError> {
        self.write(move |tx| Ok(throttle::forget(tx, at, most)?))
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.room.has_to_be_tried()? {
            self.write(|tx| Ok(throttle::probe(tx)?)).await?;
            self.room.is_back();
        }
        self.read(|db| db.query_row("SELECT 1 FROM roles", [], |_| Ok(())))
            .await
    }
}

/// Gives up on a store that hangs. A job that has not begun by then never will.
async fn in_time<T>(job: impl Future<Output = Result<T, NotDone>>) -> Result<T, StoreError> {
    match tokio::time::timeout(PATIENCE, job).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(too_long()),
    }
}

fn too_long() -> StoreError {
    StoreError::Unavailable("it took too long".to_owned())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// A second longer than a connection waits for the lock of another process.
const PATIENCE: Duration = Duration::from_secs(3);
const READERS: usize = 4;
/// Beyond it the answer is 503 at once. A queue of this length is worked off in well under a second.
const QUEUE: usize = 1024;

#[cfg(test)]
mod tests;
