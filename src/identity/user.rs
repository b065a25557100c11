//! A user as the rules see one, and the step before one is made: a signup's plain fields go in, and
//! what comes out holds a hash.

use std::fmt;

use uuid::{NoContext, Timestamp, Uuid};

use super::email::Email;
use super::password::{AcceptedPassword, PasswordHash, PasswordPool, UnusableHash};
use super::role::RoleName;
use super::workers::NotDone;

/// A user's id: a UUIDv7, so that rows lie in the order of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(Uuid);

/// A user, without the password's hash: what need not be known is not carried about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    pub email: String,
    /// Sorted by name.
    pub roles: Vec<String>,
    /// Tokens made under an older version are no longer good.
    pub token_version: u64,
    pub disabled: bool,
    /// Unix milliseconds.
    pub created_at: u64,
}

/// The plain fields of a user to be made; the password is accepted and not yet hashed.
#[derive(Debug)]
pub struct BeforeCreate {
    pub email: Email,
    pub password: AcceptedPassword,
    pub roles: Vec<RoleName>,
}

/// An account of another system, with a hash that was made there.
#[derive(Debug)]
pub struct MovedIn {
    pub email: Email,
    password_hash: PasswordHash,
    roles: Vec<RoleName>,
    created_at: Option<u64>,
}

/// A user that a store may keep. Nobody makes one by hand, past `BeforeCreate::run` or `MovedIn`:
///
/// ```compile_fail,E0451
/// use airside::identity::password::PasswordHash;
/// use airside::identity::user::{BeforeCreate, NewUser, UserId};
/// fn by_hand(before: BeforeCreate, password_hash: PasswordHash) -> NewUser {
///     let (email, roles) = (before.email, before.roles);
///     NewUser { id: UserId::new(0), email, password_hash, roles, created_at: None }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct NewUser {
    id: UserId,
    email: Email,
    password_hash: PasswordHash,
    roles: Vec<RoleName>,
    created_at: Option<u64>,
}

impl UserId {
    pub fn new(unix_millis: u64) -> Self {
        Self(uuid_v7(unix_millis))
    }

    /// The id in its usual form: 36 characters, lower-case.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Uuid::try_parse(text).ok()?;
        (id.to_string() == text).then_some(Self(id))
    }
}

impl User {
    pub fn is_admin(&self) -> bool {
        self.roles
            .iter()
            .any(|role| role == RoleName::admin().as_str())
    }
}

impl BeforeCreate {
    /// Hashes the password and gives the user an id. Errors: the hashing threads are all busy.
    pub async fn run(self, pool: &PasswordPool, unix_millis: u64) -> Result<NewUser, NotDone> {
        Ok(NewUser {
            id: UserId::new(unix_millis),
            email: self.email,
            password_hash: pool.hash(self.password).await?,
            roles: self.roles,
            created_at: None,
        })
    }
}

impl MovedIn {
    /// Errors: the text is no hash that a password can be checked against.
    pub fn new(
        email: Email,
        password_hash: &str,
        roles: Vec<RoleName>,
    ) -> Result<Self, UnusableHash> {
        Ok(Self {
            email,
            password_hash: PasswordHash::from_stored(password_hash.to_owned())?,
            roles,
            created_at: None,
        })
    }

    /// When it was made there, in Unix milliseconds.
    pub fn created_at(mut self, millis: Option<u64>) -> Self {
        self.created_at = millis;
        self
    }

    /// Gives the user an id of its own time.
    pub fn run(self, unix_millis: u64) -> NewUser {
        NewUser {
            id: UserId::new(self.created_at.unwrap_or(unix_millis)),
            email: self.email,
            password_hash: self.password_hash,
            roles: self.roles,
            created_at: self.created_at,
        }
    }
}

impl NewUser {
    pub fn id(&self) -> UserId {
        self.id
    }

    pub fn email(&self) -> &Email {
        &self.email
    }

    pub fn password_hash(&self) -> &PasswordHash {
        &self.password_hash
    }

    pub fn roles(&self) -> &[RoleName] {
        &self.roles
    }

    /// When the account was made, which for most is the moment of writing.
    pub fn created_at(&self, now: u64) -> u64 {
        self.created_at.unwrap_or(now)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A new UUIDv7 (RFC 9562 §5.7) of this time.
pub(super) fn uuid_v7(unix_millis: u64) -> Uuid {
    // Invariant: below 1000, times 10^6, fits.
    let nanos = u32::try_from(unix_millis % 1_000 * 1_000_000).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, unix_millis / 1_000, nanos))
}
