//! Users in MySQL or MariaDB, which several gateways may share. The server may be away at any time, at
//! the start too: then each verb answers so within the configured limits, and goes on by itself later.

use std::io;
use std::path::Path;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Transaction};
use tokio::sync::watch;
use tokio::time::timeout;

use super::room::Room;
use super::{AuditEntry, Credentials, Origin, Role, StoreError, UserStore};
use crate::base::clock::Clock;
use crate::identity::api_key::{ApiKey, ApiKeyId, KeysVersion, LiveApiKey, NewApiKey};
use crate::identity::config::mysql::Mysql as Address;
use crate::identity::email::EmailKey;
use crate::identity::password::PasswordHash;
use crate::identity::role::RoleName;
use crate::identity::rotation::{KeyChange, StoredKey};
use crate::identity::session::{NewSession, Rotated, Rotation, Session, SessionId};
use crate::identity::throttle::{Attempt, Outcome, Reserved, Ticket};
use crate::identity::user::{NewUser, User, UserId};
use crate::token::Revoked;

mod api_keys;
mod audit;
mod failure;
mod keys;
mod lane;
mod link;
mod migrate;
mod prepare;
mod revocations;
mod roles;
mod sessions;
mod throttle;
mod users;

pub use prepare::PrepareError;

use failure::Failure;
use lane::Lane;
use link::{Limits, Link, unanswered};
use prepare::{Preparation, Stage};

/// A MySQL store.
pub struct Mysql {
    lane: Lane,
    link: Link,
    limits: Limits,
    stage: watch::Receiver<Stage>,
    room: Room,
}

/// Why a store can't even be tried; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum MysqlOpenError {
    #[error("the users' database: can't read the authorities in {file}: {why}")]
    Authorities { file: String, why: io::Error },
    #[error("no thread for the users' database: {0}")]
    Thread(#[from] io::Error),
}

impl Mysql {
    /// Begins to bring the schema up to date and to make the roles, and does not wait for it.
    /// `folder` is what relative paths are relative to.
    pub fn open(
        address: &Address,
        folder: &Path,
        roles: &[RoleName],
        clock: &Clock,
    ) -> Result<Self, MysqlOpenError> {
        let preparation = preparation(address, folder, roles, clock)?;
        let lane = Lane::start("airside-mysql", ROOM)?;
        let limits = preparation.limits;
        // The pool has no connection yet: the first one is made on the lane, where all are used.
        let link = Link::new(&preparation.opts, limits);
        let (progress, stage) = watch::channel(Stage::First);
        lane.spawn(async move || preparation.keep_trying(progress).await);
        Ok(Self {
            lane,
            link,
            limits,
            stage,
            room: Room::default(),
        })
    }

    /// Brings the schema up to date, once, and gives the names of the steps that were missing.
    pub async fn migrate(
        address: &Address,
        folder: &Path,
        clock: &Clock,
    ) -> Result<Result<Vec<String>, PrepareError>, MysqlOpenError> {
        let preparation = preparation(address, folder, &[], clock)?;
        Ok(preparation.attempt().await)
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl AsyncFn(&mut Conn) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.first_attempt().await?;
        let link = self.link.clone();
        self.lane.run(async move || link.read(query).await).await?
    }

    async fn change<T: Send + 'static>(
        &self,
        change: impl AsyncFn(&mut Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.first_attempt().await?;
        let link = self.link.clone();
        let done = self
            .lane
            .run(async move || link.change(change).await)
            .await?;
        self.room.note(&done);
        done
    }

    /// Waits for the first attempt as for a connection; afterwards the stage is known at once.
    async fn first_attempt(&self) -> Result<(), StoreError> {
        let limit = self.limits.acquire;
        let known = timeout(limit, self.prepared()).await;
        known.unwrap_or_else(|_| Err(unanswered("the schema is not up to date", limit)))
    }
}

#[async_trait]
impl UserStore for Mysql {
    async fn create_user(&self, user: NewUser, origin: Origin) -> Result<User, StoreError> {
        self.change(async move |tx| users::create(tx, &user, &origin).await)
            .await
    }

    async fn credentials(&self, email: EmailKey) -> Result<Option<Credentials>, StoreError> {
        self.read(async move |db| users::credentials(db, &email).await)
            .await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(async move |db| users::find(db, id).await).await
    }

    async fn roles(&self) -> Result<Vec<Role>, StoreError> {
        self.read(async |db| roles::all(db).await).await
    }

    async fn create_role(&self, role: RoleName, origin: Origin) -> Result<Role, StoreError> {
        self.change(async move |tx| roles::create(tx, &role, &origin).await)
            .await
    }

    async fn grant_role(
        &self,
        user: UserId,
        role: RoleName,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| roles::grant(tx, user, &role, &origin).await)
            .await
    }

    async fn revoke_role(
        &self,
        user: UserId,
        role: RoleName,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| roles::revoke(tx, user, &role, &origin).await)
            .await
    }

    async fn begin_session(&self, session: NewSession, origin: Origin) -> Result<User, StoreError> {
        self.change(async move |tx| sessions::begin(tx, &session, &origin).await)
            .await
    }

    async fn rotate_session(
        &self,
        rotation: Rotation,
        origin: Origin,
    ) -> Result<Rotated, StoreError> {
        self.change(async move |tx| sessions::rotate(tx, &rotation, &origin).await)
            .await
    }

    async fn sessions(&self, user: UserId, at: u64) -> Result<Vec<Session>, StoreError> {
        self.read(async move |db| sessions::of_user(db, user, at).await)
            .await
    }

    async fn end_session(
        &self,
        user: UserId,
        session: SessionId,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| sessions::end(tx, user, session, &origin).await)
            .await
    }

    async fn end_all_sessions(&self, user: UserId, origin: Origin) -> Result<(), StoreError> {
        self.change(async move |tx| sessions::end_all(tx, user, &origin).await)
            .await
    }

    async fn change_password(
        &self,
        user: UserId,
        hash: PasswordHash,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| users::change_password(tx, user, &hash, &origin).await)
            .await
    }

    async fn replace_hash(
        &self,
        user: UserId,
        old: PasswordHash,
        new: PasswordHash,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| users::replace_hash(tx, user, &old, &new).await)
            .await
    }

    async fn revocations(
        &self,
        from: u64,
        horizon: u64,
    ) -> Result<(Vec<Revoked>, u64), StoreError> {
        self.read(async move |db| revocations::since(db, from, horizon).await)
            .await
    }

    async fn users(
        &self,
        query: String,
        after: Option<UserId>,
        limit: u32,
    ) -> Result<Vec<User>, StoreError> {
        self.read(async move |db| users::list(db, &query, after, limit).await)
            .await
    }

    async fn set_disabled(
        &self,
        user: UserId,
        disabled: bool,
        origin: Origin,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| users::set_disabled(tx, user, disabled, &origin).await)
            .await
    }

    async fn delete_role(&self, role: RoleName, origin: Origin) -> Result<(), StoreError> {
        self.change(async move |tx| roles::delete(tx, &role, &origin).await)
            .await
    }

    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(async move |db| audit::list(db, before, limit).await)
            .await
    }

    async fn create_api_key(&self, key: NewApiKey, origin: Origin) -> Result<ApiKey, StoreError> {
        self.change(async move |tx| api_keys::create(tx, &key, &origin).await)
            .await
    }

    async fn api_keys(
        &self,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StoreError> {
        self.read(async move |db| api_keys::list(db, after, limit).await)
            .await
    }

    async fn revoke_api_key(&self, id: ApiKeyId, origin: Origin) -> Result<(), StoreError> {
        self.change(async move |tx| api_keys::revoke(tx, id, &origin).await)
            .await
    }

    async fn live_api_keys(
        &self,
        known: Option<KeysVersion>,
    ) -> Result<Option<(KeysVersion, Vec<LiveApiKey>)>, StoreError> {
        self.read(async move |db| api_keys::live(db, known).await)
            .await
    }

    async fn tidy(&self, horizon: u64, ended: u64) -> Result<(), StoreError> {
        self.change(async move |tx| {
            revocations::forget(tx, horizon).await?;
            sessions::forget(tx, ended).await
        })
        .await
    }

    async fn signing_keys(&self, retired: bool) -> Result<Vec<StoredKey>, StoreError> {
        self.read(async move |db| keys::all(db, retired).await)
            .await
    }

    async fn change_key(&self, change: KeyChange, origin: Origin) -> Result<bool, StoreError> {
        self.change(async move |tx| keys::change(tx, &change, &origin).await)
            .await
    }

    async fn reserve_attempt(&self, attempt: Attempt) -> Result<Reserved, StoreError> {
        self.change(async move |tx| throttle::reserve(tx, &attempt).await)
            .await
    }

    async fn settle_attempt(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        at: u64,
    ) -> Result<(), StoreError> {
        self.change(async move |tx| throttle::settle(tx, &ticket, outcome, at).await)
            .await
    }

    async fn forget_attempts(&self, at: u64, most: u32) -> Result<u64, StoreError> {
        self.change(async move |tx| throttle::forget(tx, at, most).await)
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if self.room.has_to_be_tried()? {
            self.change(async |tx| throttle::probe(tx).await).await?;
            self.room.is_back();
        }
        // A server that was made a replica answers, and yet nobody can sign in.
        self.read(async |db| {
            let select = "SELECT 1 FROM DUAL WHERE @@global.read_only IN (0, 'OFF')";
            let writes: Option<Row> = db.query_first(select).await?;
            let only_reads = || StoreError::Unavailable("the server only reads".to_owned());
            Ok(writes.map(drop).ok_or_else(only_reads)?)
        })
        .await
    }

    async fn prepared(&self) -> Result<(), StoreError> {
        let mut stage = self.stage.clone();
        let stage = stage.wait_for(|stage| *stage != Stage::First).await;
        match stage.as_deref() {
            Ok(Stage::Done) => Ok(()),
            Ok(Stage::Failed(why)) => Err(StoreError::Unavailable(why.clone())),
            Ok(Stage::First) | Err(_) => {
                Err(StoreError::Unavailable("the store is closed".to_owned()))
            }
        }
    }
}

fn preparation(
    address: &Address,
    folder: &Path,
    roles: &[RoleName],
    clock: &Clock,
) -> Result<Preparation, MysqlOpenError> {
    Ok(Preparation {
        opts: link::opts(address, folder)?,
        limits: Limits::from(&address.options),
        roles: roles.to_vec(),
        clock: clock.clone(),
    })
}

/// Beyond it the answer is 503 at once.
const ROOM: usize = 1024;
