//! A password's hash: bcrypt, made here or moved in from another system.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::error::Unspecified;
use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;

use super::{AcceptedPassword, PlainPassword, rounds};

/// A bcrypt hash, its cost within the cap. Ours are `$2b$`. `$2a$` and `$2y$`, as older libraries and PHP write
/// them, are the same computation under another name. `$2x$` marks hashes of a faulty one, in which different
/// passwords fit: it is not taken.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

/// A stored text that is no hash of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableHash {
    #[error("it is not a bcrypt hash of the form `$2b$`, `$2a$` or `$2y$`")]
    Shape,
    #[error("its cost {0} is above {MAX_COST}")]
    Cost(u32),
}

impl PasswordHash {
    /// A hash that a store has kept. One above the cap would let whoever can write to the store stop
    /// the service with a single sign-in: each step of the cost doubles the time.
    pub(in crate::identity) fn from_stored(text: String) -> Result<Self, UnusableHash> {
        let rest = FORMS.iter().find_map(|form| text.strip_prefix(form));
        let rest = rest.ok_or(UnusableHash::Shape)?;
        let (cost, tail) = rest.split_once('$').ok_or(UnusableHash::Shape)?;
        let is_base64 = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'/');
        let is_number = cost.len() == 2 && cost.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || tail.len() != 53 || !tail.bytes().all(is_base64) {
            return Err(UnusableHash::Shape);
        }
        match cost.parse() {
            Ok(cost) if cost > MAX_COST => Err(UnusableHash::Cost(cost)),
            Ok(..MIN_COST) => Err(UnusableHash::Shape),
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(UnusableHash::Shape),
        }
    }

    /// The logarithm of the work.
    pub fn cost(&self) -> u32 {
        let cost = self.0.get(4..6).and_then(|cost| cost.parse().ok());
        // Invariant: every hash has the form `$2b$NN$…` or one as long.
        cost.unwrap_or(MAX_COST)
    }

    /// Has it the form that is made here?
    pub fn is_of_ours(&self) -> bool {
        self.0.starts_with(OURS)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes some 0.2 s at cost 12. Errors: the system's randomness failed.
    pub(super) fn of(password: &AcceptedPassword, cost: u32) -> Result<Self, Unspecified> {
        let mut salt = [0; 16];
        aws_lc_rs::rand::fill(&mut salt)?;
        let tail = BASE64.encode(rounds::bcrypt(cost, &salt, &password.0));
        Ok(Self(format!(
            "{OURS}{cost:02}${}{tail}",
            BASE64.encode(salt)
        )))
    }

    /// A hash that no password is known for; checking against it takes as long as any of this cost.
    pub(super) fn of_nobody(cost: u32) -> Self {
        Self(format!("$2b${cost:02}${}", ".".repeat(53)))
    }

    /// Is it this password's? What can't be a password takes as long as what can.
    pub(super) fn fits(&self, plain: &PlainPassword) -> bool {
        let (text, possible) = match plain.hashable() {
            Some(text) => (text, true),
            None => ("-", false),
        };
        let parts = match self.0.parse::<bcrypt::HashParts>() {
            Ok(parts) => parts,
            Err(error) => {
                log::error!("a password's hash can't be checked: {error}");
                return false;
            }
        };
        let computed = BASE64.encode(rounds::bcrypt(self.cost(), &parts.get_salt_raw(), text));
        // After `$2b$NN$` and the salt's 22 characters.
        let kept = self.0.get(29..).unwrap_or_default();
        let same = verify_slices_are_equal(computed.as_bytes(), kept.as_bytes());
        same.is_ok() && possible
    }
}

/// Not the hash: it is what an attacker would try passwords on.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("***")
    }
}

pub(super) const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::BCRYPT, NO_PAD);
const OURS: &str = "$2b$";
const FORMS: [&str; 3] = [OURS, "$2a$", "$2y$"];
/// bcrypt's own least.
const MIN_COST: u32 = 4;
const MAX_COST: u32 = 15;
