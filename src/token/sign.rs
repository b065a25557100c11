//! The key that own tokens are signed with: an Ed25519 key in a file that only its owner may read.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use super::private::{self, PrivateError, at};
use super::{Claims, VerifyKey};

/// A private key, and the one header that all of its tokens bear.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    header: String,
    public: Vec<u8>,
    key: EncodingKey,
}

/// Why there is no signing key; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the signing key: {0}")]
    File(#[from] PrivateError),
    #[error(
        "the signing key in {} is not an Ed25519 key in PKCS#8; put the right file back, or remove it \
         to have a new one made, which ends every token in use",
        .0.display()
    )]
    Unreadable(PathBuf),
    #[error("the system's source of randomness failed, so that no signing key can be made")]
    Randomness,
}

/// The library could not sign, which a key that was read with success does not explain.
#[derive(Debug, thiserror::Error)]
#[error("can't sign a token: {0}")]
pub struct SignError(String);

impl SigningKey {
    /// The key in the folder. Where there is none, one is made: whole, or not at all, and of several
    /// processes that start at once all end up with the same.
    pub fn load_or_create(folder: &Path) -> Result<Self, KeyError> {
        private::create_folder(folder)?;
        private::check_folder(folder)?;
        let path = folder.join(FILE_NAME);
        match Self::load(&path) {
            Err(KeyError::File(PrivateError::Io { why, .. }))
                if why.kind() == io::ErrorKind::NotFound =>
            {
                create(folder, &path)?;
                Self::load(&path)
            }
            other => other,
        }
    }

    /// A key from its PKCS#8 form; `None` where that is not an Ed25519 key.
    pub fn from_pkcs8(document: &[u8]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_pkcs8(document).ok()?;
        let public = pair.public_key().as_ref().to_vec();
        let kid = thumbprint(&public);
        // Written by hand: the bytes must be the same in every process and every release.
        let header = base64(format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{kid}"}}"#));
        Some(Self {
            kid,
            header,
            public,
            key: EncodingKey::from_ed_der(document),
        })
    }

    /// The token for these claims.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        let claims = serde_json::to_vec(claims).map_err(|error| SignError(error.to_string()))?;
        let mut token = format!("{}.{}", self.header, base64(claims));
        let signature = crypto::sign(token.as_bytes(), &self.key, Algorithm::EdDSA)
            .map_err(|error| SignError(error.to_string()))?;
        token.push('.');
        token.push_str(&signature);
        Ok(token)
    }

    /// The public half, for those who verify.
    pub fn verify_key(&self) -> VerifyKey {
        VerifyKey::ed25519(self.header.clone(), &self.kid, &self.public)
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    fn load(path: &Path) -> Result<Self, KeyError> {
        let mut document = Vec::new();
        private::open(path)?
            .take(MAX_FILE)
            .read_to_end(&mut document)
            .map_err(at(path))?;
        Self::from_pkcs8(&document).ok_or_else(|| KeyError::Unreadable(path.to_owned()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SigningKey({})", self.kid)
    }
}

/// Base64url without padding, the form of all that stands in a token.
pub(super) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Writes a new key under a name of its own and links it to the final one. A link, unlike a rename,
/// never replaces: whoever comes second finds the name taken and uses the first one's key.
fn create(folder: &Path, path: &Path) -> Result<(), KeyError> {
    let document = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new())
        .map_err(|_| KeyError::Randomness)?;
    let draft = folder.join(format!(".{FILE_NAME}.{}", uuid::Uuid::now_v7()));
    let written = private::create_new(&draft).and_then(|mut file| {
        file.write_all(document.as_ref())
            .and_then(|()| file.sync_all())
            .map_err(at(&draft))
    });
    let linked = written.and_then(|()| match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(path)(error)),
        _ => Ok(()),
    });
    // Gone or not, the draft is private, and nothing ever reads it.
    let _ = std::fs::remove_file(&draft);
    linked?;
    // The name is durable only once the folder is.
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(synced.map_err(at(folder))?)
}

/// The key's id: the SHA-256 of its required members in lexical order (RFC 7638 §3, RFC 8037 §2).
fn thumbprint(public: &[u8]) -> String {
    let members = format!(
        r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#,
        base64(public)
    );
    base64(digest::digest(&digest::SHA256, members.as_bytes()))
}

const FILE_NAME: &str = "signing.pk8";
/// An Ed25519 key in PKCS#8 has some 85 bytes.
const MAX_FILE: u64 = 4096;

#[cfg(test)]
mod tests;
