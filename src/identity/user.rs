//! A user as the rules see one, and the step before one is made: a signup's plain fields go in, and
//! what comes out holds a hash.

use std::fmt;

use uuid::{NoContext, Timestamp, Uuid};

use super::email::Email;
use super::password::{AcceptedPassword, PasswordHash, PasswordPool};
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

/// A user that a store may keep. `BeforeCreate::run` is the only way to have one:
///
/// ```compile_fail,E0451
/// use airside::identity::password::PasswordHash;
/// use airside::identity::user::{BeforeCreate, NewUser, UserId};
/// fn by_hand(before: BeforeCreate, password_hash: PasswordHash) -> NewUser {
///     let (email, roles) = (before.email, before.roles);
///     NewUser { id: UserId::new(0), email, password_hash, roles }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct NewUser {
    id: UserId,
    email: Email,
    password_hash: PasswordHash,
    roles: Vec<RoleName>,
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
        })
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
