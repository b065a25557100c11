//! A password's three states, each a type: as typed, found good enough, hashed. Only a hash can be
//! stored, and only the last step makes one.
//!
//! ```
//! use airside::identity::password::{PasswordHash, PlainPassword};
//! let plain = PlainPassword::new("correct horse");
//! assert_eq!(format!("{plain:?}"), "***");
//! fn store(_: PasswordHash) {}
//! ```
//!
//! A plain password is not a hash:
//!
//! ```compile_fail,E0308
//! use airside::identity::password::{PasswordHash, PlainPassword};
//! fn store(_: PasswordHash) {}
//! store(PlainPassword::new("correct horse"));
//! ```
//!
//! and nobody outside can call one a hash:
//!
//! ```compile_fail,E0423
//! use airside::identity::password::PasswordHash;
//! let hash = PasswordHash("correct horse".to_owned());
//! ```

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::email::EmailKey;

mod common;
mod hash;
mod pool;
mod rounds;

pub use hash::{PasswordHash, UnusableHash};
pub use pool::{Checked, PasswordPool, Place};

/// A password as somebody typed it.
#[derive(Clone)]
pub struct PlainPassword(String);

/// A password that a new account may have.
pub struct AcceptedPassword(String);

/// What a new password must be.
#[derive(Debug, Clone, Copy)]
pub struct PasswordRules {
    /// In characters.
    pub min_length: usize,
}

/// Why a password is not accepted, as a clause for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    #[error("it has fewer than {0} characters")]
    TooShort(usize),
    #[error("it has more than {MAX_BYTES} bytes")]
    TooLong,
    #[error("it has a NUL character")]
    Nul,
    #[error("it is one of the passwords that are tried first")]
    Common,
    #[error("it is the name of the e-mail address")]
    LikeEmail,
}

impl PlainPassword {
    /// Different keyboards write one letter in different ways; the composed form (NFC) is kept, so
    /// that a password typed on another machine still fits (NIST 800-63B-4 §3.1.1.2).
    pub fn new(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    /// Lets a password for a new account pass. There are no rules of composition: they make passwords
    /// harder to keep and not harder to guess (NIST 800-63B-4 §3.1.1.2).
    pub fn accept(
        self,
        rules: PasswordRules,
        email: &EmailKey,
    ) -> Result<AcceptedPassword, Weakness> {
        let lower = self.0.to_lowercase();
        if self.0.chars().count() < rules.min_length {
            Err(Weakness::TooShort(rules.min_length))
        } else if self.0.len() > MAX_BYTES {
            Err(Weakness::TooLong)
        } else if self.0.contains('\0') {
            Err(Weakness::Nul)
        } else if common::is_common(&lower) {
            Err(Weakness::Common)
        } else if lower == email.name() || lower == email.as_str() {
            Err(Weakness::LikeEmail)
        } else {
            Ok(AcceptedPassword(self.0))
        }
    }

    /// The text, where it could be somebody's password at all. bcrypt sees at most 72 bytes, of which
    /// the last is the end mark, and repeats its input: `a` and `a\0a` would have one hash.
    fn hashable(&self) -> Option<&str> {
        let fits = !self.0.is_empty() && self.0.len() <= MAX_BYTES && !self.0.contains('\0');
        fits.then_some(self.0.as_str())
    }
}

impl fmt::Debug for PlainPassword {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for AcceptedPassword {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("***")
    }
}

const MAX_BYTES: usize = 71;

#[cfg(test)]
mod tests;
