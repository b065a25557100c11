//! Getting the database ready: the schema up to date, the configured roles there. Other processes are
//! kept out meanwhile; a server that is away is asked again until it answers.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Row, TxOpts, from_row_opt};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::link::Limits;
use super::{migrate, roles};
use crate::base::clock::Clock;
use crate::identity::role::RoleName;
use crate::identity::store::{Actor, Origin, Source, StoreError};

/// How far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// The first attempt is under way.
    First,
    /// It failed, for this reason, and is tried again.
    Failed(String),
    Done,
}

/// Why the database can't be used; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("{0}")]
    Server(#[from] mysql_async::Error),
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("another process is changing the schema")]
    Locked,
    #[error(
        "the schema does not fit this version: step {0} has changed since it was applied; start the \
         version that made it, or restore a backup"
    )]
    ChangedStep(String),
    #[error(
        "the schema does not fit this version: step {0} is not known here; start the version that \
         made it, or restore a backup"
    )]
    UnknownStep(String),
    #[error("step {0} of the schema failed: {1}")]
    Step(String, mysql_async::Error),
    #[error(
        "step {0} of the schema finds something that another program has made: {1}; the store needs \
         a database of its own"
    )]
    NotOurs(String, mysql_async::Error),
    #[error("the configured roles can't be made: {0}")]
    Roles(StoreError),
}

impl PrepareError {
    /// May it be otherwise by itself, a moment later?
    pub fn is_away(&self) -> bool {
        matches!(
            self,
            Self::Server(mysql_async::Error::Io(_) | mysql_async::Error::Driver(_))
                | Self::Silent(_)
                | Self::Locked
        )
    }
}

/// All that an attempt needs.
pub(super) struct Preparation {
    pub opts: Opts,
    pub limits: Limits,
    pub roles: Vec<RoleName>,
    pub clock: Clock,
}

impl Preparation {
    /// Tries until it is done. Each new reason goes to the log once, loudly.
    pub(super) async fn keep_trying(self, stage: watch::Sender<Stage>) {
        let mut pause = SHORTEST;
        let mut said = String::new();
        loop {
            match self.attempt().await {
                Ok(applied) => {
                    log::info!(
                        "the users' database is ready; steps applied: {}",
                        applied.len()
                    );
                    stage.send_replace(Stage::Done);
                    return;
                }
                Err(why) => {
                    let why = why.to_string();
                    if why != said {
                        log::error!("the users' database can't be used, trying again: {why}");
                        said.clone_from(&why);
                    }
                    stage.send_replace(Stage::Failed(why));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    /// One attempt, on one connection. Gives the names of the steps that it applied.
    pub(super) async fn attempt(&self) -> Result<Vec<String>, PrepareError> {
        let connect = async { Ok(Conn::new(self.opts.clone()).await?) };
        let mut conn = within(self.limits.acquire, connect).await?;
        let wait = self.limits.query + LOCK;
        within(wait, lock(&mut conn)).await?;
        let now = self.clock.unix_millis();
        let applied = migrate::run(&mut conn, self.limits.query, now).await?;
        within(self.limits.query, self.ensure_roles(&mut conn)).await?;
        // The lock ends with the connection.
        let _ = timeout(self.limits.query, conn.disconnect()).await;
        Ok(applied)
    }

    /// Makes the roles that are not there; writes nothing where all are.
    async fn ensure_roles(&self, conn: &mut Conn) -> Result<(), PrepareError> {
        let origin = Origin {
            actor: Actor::Start,
            at: self.clock.unix_millis(),
            source: Source::default(),
        };
        let ensure = async {
            let there = roles::all(conn).await?;
            let is_there = |role: &&RoleName| !there.iter().any(|one| one.name == role.as_str());
            for role in self.roles.iter().filter(is_there) {
                let mut tx = conn.start_transaction(TxOpts::new()).await?;
                match roles::create(&mut tx, role, &origin).await {
                    // By the admin of another gateway, in this moment.
                    Err(Failure::Refused(StoreError::RoleExists)) => tx.rollback().await?,
                    made => {
                        made?;
                        tx.commit().await?;
                    }
                }
            }
            Ok(())
        };
        ensure.await.map_err(|failure| match failure {
            Failure::Server(error) => error.into(),
            Failure::Refused(refused) => PrepareError::Roles(refused),
        })
    }
}

/// Keeps other processes off this database until the connection ends. The name is the server's, which
/// may have several databases.
async fn lock(conn: &mut Conn) -> Result<(), PrepareError> {
    let get = "SELECT GET_LOCK(CONCAT('airside_migrate_', MD5(DATABASE())), ?)";
    let row: Option<Row> = conn.exec_first(get, (LOCK.as_secs(),)).await?;
    let got: Option<(Option<u8>,)> = row.and_then(|row| from_row_opt(row).ok());
    match got {
        Some((Some(1),)) => Ok(()),
        _ => Err(PrepareError::Locked),
    }
}

/// Gives up on a server that says nothing.
pub(super) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, PrepareError>>,
) -> Result<T, PrepareError> {
    let done = timeout(limit, work).await;
    done.unwrap_or(Err(PrepareError::Silent(limit)))
}

/// How long one attempt waits for another process; the next one waits on.
const LOCK: Duration = Duration::from_secs(10);
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);
