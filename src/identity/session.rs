//! Sessions: what a sign-in begins and a sign-out ends.

use std::fmt;

use uuid::Uuid;

use super::refresh::{RefreshHash, Sealed};
use super::user::{User, UserId, uuid_v7};

/// A session's id: a UUIDv7, the `sid` of its access tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(Uuid);

/// A session as its user sees it. Times are unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user_agent: String,
    pub created_at: u64,
    pub used_at: u64,
    pub expires_at: u64,
}

/// A session to be begun.
#[derive(Debug, Clone)]
pub struct NewSession {
    pub id: SessionId,
    pub user: UserId,
    pub refresh: RefreshHash,
    pub user_agent: String,
    pub expires_at: u64,
}

/// A refresh token that was shown, and what shall replace it.
#[derive(Debug, Clone)]
pub struct Rotation {
    pub shown: RefreshHash,
    pub next: RefreshHash,
    /// The next token, sealed with the shown one.
    pub sealed: Sealed,
    /// How long, in milliseconds, a replaced token still gives its successor.
    pub grace: u64,
    /// How long, in milliseconds, a session may lie unused.
    pub idle: u64,
}

/// A refresh token's row with its session's, as a store finds it.
#[derive(Debug, Clone)]
pub struct Shown {
    pub session: Session,
    pub user: UserId,
    /// Was the session ended?
    pub ended: bool,
    pub replaced_at: Option<u64>,
    /// Kept for the grace time at least.
    pub successor: Option<Sealed>,
}

/// What the rules say of a refresh token that was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Its session has ended, by whatever cause.
    Over,
    /// It is the session's current one.
    Current,
    /// It was replaced a moment ago, by this one.
    Repeated(Sealed),
    /// It was replaced long ago, so that two have it.
    Reused,
}

/// What became of a rotation.
#[derive(Debug, Clone)]
pub enum Rotated {
    /// The next token is the current one now.
    Next { session: Session, user: User },
    /// The token was replaced a moment ago: this is its successor.
    Again {
        session: Session,
        user: User,
        successor: Sealed,
    },
    /// The token was replaced long ago, so that two have it: the session is ended.
    Reused,
    /// No current session has the token.
    Unknown,
}

impl Rotation {
    /// Judges the token that was shown, at a time in unix milliseconds (rule 17). Every store asks here.
    pub fn judge(&self, shown: &Shown, at: u64) -> Judgement {
        let unused_until = shown.session.used_at.saturating_add(self.idle);
        if shown.ended || at >= shown.session.expires_at || at >= unused_until {
            return Judgement::Over;
        }
        let Some(replaced_at) = shown.replaced_at else {
            return Judgement::Current;
        };
        match &shown.successor {
            Some(successor) if at < replaced_at.saturating_add(self.grace) => {
                Judgement::Repeated(successor.clone())
            }
            _ => Judgement::Reused,
        }
    }
}

impl SessionId {
    pub fn new(unix_millis: u64) -> Self {
        Self(uuid_v7(unix_millis))
    }

    /// The id in its usual form: 36 characters, lower-case.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.to_string() == text).then_some(Self(id))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}
