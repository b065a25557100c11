//! What can go wrong between a question to the server and its answer, sorted by what to do about it.

use mysql_async::Error;

use crate::identity::store::StoreError;

/// Why a verb was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// The rules say no; the server is well.
    Refused(StoreError),
    Server(Error),
}

impl Failure {
    /// Was the transaction chosen to make way for another? Then it is begun anew.
    pub(super) fn made_way(&self) -> bool {
        // 1213 deadlock, 1205 a lock was not free in time, 1020 the row has changed since it was read.
        matches!(self, Self::Server(Error::Server(error)) if matches!(error.code, 1213 | 1205 | 1020))
    }

    /// Is the connection of no more use?
    pub(super) fn breaks_connection(&self) -> bool {
        matches!(self, Self::Server(error) if error.is_fatal() || is_read_only(error))
    }
}

/// Does a unique key have this value already?
pub(super) fn is_duplicate(error: &Error) -> bool {
    has_code(error, &[1062])
}

/// Does another row hang on this one?
pub(super) fn is_referenced(error: &Error) -> bool {
    has_code(error, &[1451])
}

/// A server that was made a replica answers so; the name may lead to another one by now.
fn is_read_only(error: &Error) -> bool {
    has_code(error, &[1290, 1792, 1836])
}

pub(super) fn has_code(error: &Error, codes: &[u16]) -> bool {
    matches!(error, Error::Server(error) if codes.contains(&error.code))
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => refused,
            // 1021 the disk is full, 1114 the table is.
            Failure::Server(error) if has_code(&error, &[1021, 1114]) => {
                Self::Full(error.to_string())
            }
            Failure::Server(error) => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(refused: StoreError) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<mysql_async::FromRowError> for Failure {
    fn from(error: mysql_async::FromRowError) -> Self {
        // Its text would hold the row.
        drop(error);
        Self::Refused(StoreError::Unavailable(
            "a row has an unexpected form".to_owned(),
        ))
    }
}
