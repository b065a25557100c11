//! Refresh tokens: 256 random bits that the store knows only by their hash (rule 17).

use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A refresh token in plain: it exists in a request, in an answer, and nowhere else. Not `Debug`.
#[derive(Clone)]
pub struct RefreshToken([u8; BYTES]);

/// What the store keeps of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshHash(pub [u8; 32]);

/// A token's successor, locked with that token: whoever shows the old one again within the grace time
/// gets the same new one back, and the store can't read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl RefreshToken {
    /// Errors: the system's source of randomness failed.
    pub fn random() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut bytes = [0; BYTES];
        aws_lc_rs::rand::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A token as a client shows it; `None` for what can't be one.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The token as a client gets it.
    pub fn reveal(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    pub fn hash(&self) -> RefreshHash {
        RefreshHash(sha256(b"airside refresh token hash", &self.0))
    }

    /// Locks the successor with this token. Errors: the library failed, which a sound key does not explain.
    pub fn seal(&self, successor: &Self) -> Result<Sealed, aws_lc_rs::error::Unspecified> {
        let mut bytes = successor.0.to_vec();
        let nonce = self
            .key()?
            .seal_in_place_append_tag(Aad::empty(), &mut bytes)?;
        bytes.extend_from_slice(nonce.as_ref());
        Ok(Sealed(bytes))
    }

    /// The successor that was sealed with this token; `None` where it was sealed with another.
    pub fn open(&self, sealed: &Sealed) -> Option<Self> {
        let split = sealed.0.len().checked_sub(aws_lc_rs::aead::NONCE_LEN)?;
        let (locked, nonce) = sealed.0.split_at(split);
        let nonce = aws_lc_rs::aead::Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut locked = locked.to_vec();
        let opened = self
            .key()
            .ok()?
            .open_in_place(nonce, Aad::empty(), &mut locked)
            .ok()?;
        let bytes: &[u8] = opened;
        bytes.try_into().ok().map(Self)
    }

    fn key(&self) -> Result<RandomizedNonceKey, aws_lc_rs::error::Unspecified> {
        RandomizedNonceKey::new(
            &AES_256_GCM,
            &sha256(b"airside refresh token seal", &self.0),
        )
    }
}

/// The purpose keeps the hash that is stored apart from the key that is not.
fn sha256(purpose: &[u8], secret: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, &[purpose, secret].concat()).as_ref());
    out
}

const BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_opens_with_its_predecessor_alone() {
        let (old, new, other) = (
            RefreshToken::random().unwrap(),
            RefreshToken::random().unwrap(),
            RefreshToken::random().unwrap(),
        );
        let sealed = old.seal(&new).unwrap();
        assert_eq!(old.open(&sealed).unwrap().reveal(), new.reveal());
        assert!(other.open(&sealed).is_none() && new.open(&sealed).is_none());
        assert!(old.open(&Sealed(Vec::new())).is_none());
        assert!(!sealed.0.windows(32).any(|part| part == new.0));
    }

    #[test]
    fn a_token_is_read_as_it_was_shown() {
        let token = RefreshToken::random().unwrap();
        let shown = token.reveal();
        assert_eq!(RefreshToken::parse(&shown).unwrap().hash(), token.hash());
        for wrong in [
            "",
            "x",
            &shown[1..],
            &format!("{shown}="),
            &format!("{shown}A"),
        ] {
            assert!(RefreshToken::parse(wrong).is_none(), "{wrong}");
        }
    }
}
