//! Connections with limits: how long one may be waited for, how long a transaction may take. The driver
//! has no such limits of its own.

use std::path::Path;
use std::time::Duration;

use mysql_async::{
    Conn, Opts, OptsBuilder, Pool, PoolConstraints, PoolOpts, SslOpts, Transaction, TxOpts,
};
use tokio::time::{sleep, timeout};

use super::MysqlOpenError;
use super::failure::Failure;
use crate::identity::config::mysql::{Mysql, Options};
use crate::identity::store::StoreError;

/// A pool of connections.
#[derive(Clone)]
pub(super) struct Link {
    pool: Pool,
    limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub acquire: Duration,
    pub query: Duration,
}

impl Link {
    pub(super) fn new(opts: &Opts, limits: Limits) -> Self {
        let pool = Pool::new(opts.clone());
        Self { pool, limits }
    }

    /// Asks something that changes nothing.
    pub(super) async fn read<T>(
        &self,
        query: impl AsyncFn(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.run(query).await
    }

    /// Runs a change in a transaction, and anew where it had to make way for another.
    pub(super) async fn change<T>(
        &self,
        change: impl AsyncFn(&mut Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let persist = async |conn: &mut Conn| {
            for attempt in 1..ATTEMPTS {
                match transact(conn, &change).await {
                    Err(failure) if failure.made_way() => sleep(pause(attempt)).await,
                    done => return done,
                }
            }
            transact(conn, &change).await
        };
        self.run(persist).await
    }

    async fn run<T>(
        &self,
        work: impl AsyncFn(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut conn = match timeout(self.limits.acquire, self.pool.get_conn()).await {
            Ok(conn) => conn.map_err(Failure::from)?,
            Err(_) => return Err(unanswered("no connection", self.limits.acquire)),
        };
        match timeout(self.limits.query, work(&mut conn)).await {
            Ok(Err(failure)) if failure.breaks_connection() => {
                close(conn).await;
                Err(failure.into())
            }
            Ok(done) => Ok(done?),
            Err(_) => {
                close(conn).await;
                Err(unanswered("no answer", self.limits.query))
            }
        }
    }
}

async fn transact<T>(
    conn: &mut Conn,
    change: &impl AsyncFn(&mut Transaction<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut tx = conn.start_transaction(TxOpts::new()).await?;
    match change(&mut tx).await {
        Ok(done) => {
            tx.commit().await?;
            Ok(done)
        }
        Err(failure) => {
            // At once, so that its locks are free before anybody hears of it. Where this fails the
            // driver does not use the connection again.
            let _ = tx.rollback().await;
            Err(failure)
        }
    }
}

/// Closes a connection that may be in the middle of an answer. It must not wait: the driver would first
/// clean up, which a server that is gone never answers, and keep the connection's place all the while.
/// One poll says goodbye, as far as it can be said; then the socket is closed.
async fn close(conn: Conn) {
    let _ = timeout(Duration::ZERO, conn.disconnect()).await;
}

/// Some milliseconds, more each time, and never the same for two that ran into each other.
fn pause(attempt: u32) -> Duration {
    Duration::from_millis(rand::random_range(1..=10 * u64::from(attempt)))
}

pub(super) fn unanswered(what: &str, within: Duration) -> StoreError {
    StoreError::Unavailable(format!("{what} within {within:?}"))
}

impl From<&Options> for Limits {
    fn from(options: &Options) -> Self {
        Self {
            acquire: options.acquire_timeout,
            query: options.query_timeout,
        }
    }
}

/// What the driver is told. `folder` is what the authorities' file is relative to; it is read here.
pub(super) fn opts(address: &Mysql, folder: &Path) -> Result<Opts, MysqlOpenError> {
    let options = &address.options;
    let constraints = PoolConstraints::new(options.pool_min, options.pool_max);
    let pool = PoolOpts::default()
        // Invariant: the configuration's reader has refused what is not so.
        .with_constraints(constraints.unwrap_or_default())
        .with_inactive_connection_ttl(IDLE)
        // A reset forgets the prepared statements; nothing of a transaction outlives it anyway.
        .with_reset_connection(false);
    let mut builder = OptsBuilder::default()
        .ip_or_hostname(address.host.as_str())
        .tcp_port(address.port)
        .user(Some(address.user.as_str()))
        .pass(Some(address.password.reveal()))
        .db_name(Some(address.database.as_str()))
        // Else the driver leaves the connection, and its TLS, for a socket that the server names.
        .prefer_socket(false)
        .tcp_keepalive(Some(KEEPALIVE))
        .pool_opts(pool)
        .setup(session(options.query_timeout));
    if options.require_ssl == Some(true) {
        let mut tls = SslOpts::default();
        if let Some(file) = &options.ca {
            let path = folder.join(file);
            let content = std::fs::read(&path);
            let file = path.display().to_string();
            let content = content.map_err(|why| MysqlOpenError::Authorities { file, why })?;
            // Only this one: whoever names an authority does not mean hundreds of others as well.
            tls = tls.with_disable_built_in_roots(true);
            tls = tls.with_root_certs(vec![content.into()]);
        }
        builder = builder.ssl_opts(Some(tls));
    }
    Ok(builder.into())
}

/// What each connection begins with. The order does not matter, which is as well: the driver runs them
/// from the last to the first.
fn session(query_timeout: Duration) -> Vec<String> {
    // The server's own waiting ends first, so that it holds no locks for a client that has given up.
    // It counts in seconds.
    let wait = query_timeout.as_secs().saturating_sub(1).max(1);
    vec![
        // What does not fit is an error and never cut.
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY'"
            .to_owned(),
        // Each statement sees what is committed: a check after a lock sees what the lock waited for.
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED".to_owned(),
        "SET SESSION time_zone = '+00:00', SESSION autocommit = 1".to_owned(),
        format!(
            "SET SESSION innodb_lock_wait_timeout = {wait}, SESSION lock_wait_timeout = {wait}"
        ),
        "SET NAMES utf8mb4".to_owned(),
    ]
}

/// Tries of a transaction that makes way for others, all within its time.
const ATTEMPTS: u32 = 5;
/// How long a connection above the pool's minimum may lie idle.
const IDLE: Duration = Duration::from_secs(60);
/// Below what firewalls forget a connection after.
const KEEPALIVE: Duration = Duration::from_secs(30);
