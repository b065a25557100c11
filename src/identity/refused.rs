//! Why the rules refuse, in words that a client may read. Causes inside go to the log.

use super::password::Weakness;
use super::store::StoreError;
use super::workers::NotDone;
use crate::token::SignError;

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("nobody may sign up here")]
    SignupDisabled,
    /// The field's name, and a clause that says what is wrong with it.
    #[error("`{0}`: {1}")]
    InvalidField(&'static str, String),
    #[error("`password`: {0}")]
    WeakPassword(Weakness),
    #[error("the e-mail address has an account")]
    EmailTaken,
    /// One answer for every cause: who asks learns nothing about which accounts exist.
    #[error("the e-mail address or the password is wrong")]
    InvalidCredentials,
    #[error("the token is missing or not valid")]
    InvalidToken,
    #[error("the refresh token is not valid")]
    InvalidRefreshToken,
    #[error("`current_password` is not the password")]
    WrongPassword,
    #[error("only an admin may do that")]
    NotAdmin,
    #[error("there is no such user")]
    UnknownUser,
    #[error("there is no such role")]
    UnknownRole,
    #[error("there is no such session")]
    UnknownSession,
    #[error("there is no such API key")]
    UnknownApiKey,
    #[error("the role exists")]
    RoleExists,
    #[error("somebody has the role")]
    RoleInUse,
    #[error("this is the last admin")]
    LastAdmin,
    /// For so many milliseconds.
    #[error("too many attempts have failed")]
    RateLimited(u64),
    #[error("too many passwords are being checked")]
    Busy,
    #[error("the users' database does not answer")]
    StoreAway,
    #[error("the signing key is new: others have to know it before it signs")]
    KeyIsNew,
    #[error("something went wrong")]
    Internal,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::EmailTaken => Self::EmailTaken,
            StoreError::UnknownUser => Self::UnknownUser,
            StoreError::UnknownRole => Self::UnknownRole,
            StoreError::UnknownSession => Self::UnknownSession,
            StoreError::UnknownApiKey => Self::UnknownApiKey,
            StoreError::RoleExists => Self::RoleExists,
            StoreError::RoleInUse => Self::RoleInUse,
            StoreError::LastAdmin => Self::LastAdmin,
            // Keys are ended from the shell alone, which is told before this.
            StoreError::LastKey => Self::Internal,
            StoreError::Full(why) => {
                log::warn!("the users' database is full: {why}");
                Self::StoreAway
            }
            StoreError::Unavailable(why) => {
                log::warn!("the users' database does not answer: {why}");
                Self::StoreAway
            }
        }
    }
}

impl From<NotDone> for Refused {
    fn from(cause: NotDone) -> Self {
        match cause {
            NotDone::Full => Self::Busy,
            NotDone::Failed => Self::Internal,
        }
    }
}

impl From<SignError> for Refused {
    fn from(error: SignError) -> Self {
        log::error!("{error}");
        Self::Internal
    }
}
