//! Opening an SQLite store: a private file, the right settings on each connection, the schema up to
//! date, however many processes do so at once.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use super::{migrate, roles};
use crate::base::clock::Clock;
use crate::base::private::{self, PrivateError, at};
use crate::identity::role::RoleName;
use crate::identity::store::{Actor, Origin, Source, StoreError};

/// Why a store can't be opened; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreOpenError {
    #[error("the users' database: {0}")]
    File(#[from] PrivateError),
    #[error("the users' database can't be opened: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the users' database can't be opened: {0}")]
    Roles(#[from] StoreError),
    #[error(
        "the schema of the users' database does not fit this version: {0}; start the version that \
         made it, or restore a backup"
    )]
    Schema(#[from] refinery::Error),
    #[error("no thread for the users' database: {0}")]
    Threads(#[from] io::Error),
}

/// A connection to write with, and some to read with.
pub(super) fn file(
    path: &Path,
    readers: usize,
    roles: &[RoleName],
    clock: &Clock,
) -> Result<(Connection, Vec<Connection>), StoreOpenError> {
    let prepare = |writer: &mut Connection| prepare(writer, roles, clock);
    let (writer, ()) = alone(path, prepare)?;
    let readers = (0..readers).map(|_| {
        let reader = connect(path)?;
        reader.pragma_update(None, "query_only", true)?;
        Ok(reader)
    });
    let readers = readers.collect::<Result<_, rusqlite::Error>>()?;
    Ok((writer, readers))
}

/// Opens the file, which is made if it is missing, and does something that other processes wait for.
pub(super) fn alone<T>(
    path: &Path,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreOpenError>,
) -> Result<(Connection, T), StoreOpenError> {
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        private::create_folder(folder)?;
    }
    // SQLite gives the files that it makes beside this one the same mode.
    private::ensure_file(path)?;
    let lock_path = path.with_added_extension("lock");
    let lock = private::open_or_create(&lock_path)?;
    lock.lock().map_err(at(&lock_path))?;
    let mut writer = connect(path)?;
    // The mode is kept in the file; a switch takes it exclusively, hence within the lock.
    writer.pragma_update(None, "journal_mode", "WAL")?;
    let done = work(&mut writer)?;
    drop(lock);
    Ok((writer, done))
}

pub(super) fn memory(roles: &[RoleName], clock: &Clock) -> Result<Connection, StoreOpenError> {
    let mut connection = Connection::open_in_memory()?;
    configure(&connection)?;
    prepare(&mut connection, roles, clock)?;
    Ok(connection)
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    configure(&connection)?;
    Ok(connection)
}

/// These are settings of a connection; a new one has none of them.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "foreign_keys", true)
}

fn prepare(
    connection: &mut Connection,
    roles: &[RoleName],
    clock: &Clock,
) -> Result<(), StoreOpenError> {
    migrate::run(connection)?;
    let origin = Origin {
        actor: Actor::Start,
        at: clock.unix_millis(),
        source: Source::default(),
    };
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for role in roles {
        match roles::create(&transaction, role, &origin) {
            Ok(_) | Err(StoreError::RoleExists) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(transaction.commit()?)
}

/// How long one process waits for the writing of another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
