//! The folder of private keys: one file a key, that only its owner may read.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use super::SigningKey;
use super::public::Algorithm;
use crate::base::private::{self, PrivateError, at};

/// A folder of mode 0700 with keys in it.
#[derive(Debug, Clone)]
pub struct KeyFolder {
    path: PathBuf,
}

/// Why there is no signing key; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the signing keys: {0}")]
    File(#[from] PrivateError),
    #[error(
        "{} is not a key that signs tokens: PKCS#8 with an Ed25519 key, one on P-256, or an RSA key of \
         2048 bits or more; put the right file back, or remove it, which ends the tokens signed with it",
        .0.display()
    )]
    Unreadable(PathBuf),
    #[error("the system's source of randomness failed, so that no signing key can be made")]
    Randomness,
}

impl KeyFolder {
    /// Makes the folder where it is missing, and refuses one that others may look into.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        private::create_folder(path)?;
        private::check_folder(path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The keys of a folder as it is: nothing is made or changed.
    pub fn look_into(path: &Path) -> Result<Vec<SigningKey>, KeyError> {
        let path = path.to_owned();
        Self { path }.load()
    }

    /// All keys, the oldest file first. Where there is none, one is made: whole, or not at all, and of
    /// several processes that start at once all end up with the same.
    pub fn load_or_create(&self, algorithm: Algorithm) -> Result<Vec<SigningKey>, KeyError> {
        let keys = self.load()?;
        if !keys.is_empty() {
            return Ok(keys);
        }
        let (_, document) = generate(algorithm)?;
        self.write(FIRST, &document)?;
        self.load()
    }

    /// Makes one more key.
    pub fn add(&self, algorithm: Algorithm) -> Result<SigningKey, KeyError> {
        let (key, document) = generate(algorithm)?;
        self.write(&file_of(key.kid()), &document)?;
        Ok(key)
    }

    /// A key that was added by another process; `None` where it is not here. `kid` is a thumbprint, so
    /// that it can't lead out of the folder.
    pub fn find(&self, kid: &str) -> Result<Option<SigningKey>, KeyError> {
        match read(&self.path.join(file_of(kid))) {
            Err(KeyError::File(PrivateError::Io { why, .. }))
                if why.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            read => read.map(|key| Some(key).filter(|key| key.kid() == kid)),
        }
    }

    /// Deletes a key, under whichever name; nothing where it is gone already.
    pub fn remove(&self, kid: &str) -> Result<(), KeyError> {
        for (path, key) in self.files()? {
            if key.kid() == kid {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error))?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn load(&self) -> Result<Vec<SigningKey>, KeyError> {
        Ok(self.files()?.into_iter().map(|(_, key)| key).collect())
    }

    fn files(&self) -> Result<Vec<(PathBuf, SigningKey)>, KeyError> {
        let mut found = Vec::new();
        for entry in self.path.read_dir().map_err(at(&self.path))? {
            let path = entry.map_err(at(&self.path))?.path();
            let hidden = |name: &str| name.starts_with('.');
            let name = path.file_name().and_then(|name| name.to_str());
            if path.extension().is_none_or(|ending| ending != ENDING) || name.is_none_or(hidden) {
                continue;
            }
            // One that another process has removed since is none.
            match (read(&path), path.metadata()) {
                (Ok(key), Ok(metadata)) => {
                    found.push(((metadata.mtime(), metadata.mtime_nsec()), path, key));
                }
                (Err(error), Ok(_)) => return Err(error),
                (_, Err(_)) => {}
            }
        }
        found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        let keys = found.into_iter().map(|(_, path, key)| (path, key));
        Ok(keys.collect())
    }

    /// Writes a key under a name of its own and links it to the final one. A link, unlike a rename, never
    /// replaces: whoever comes second finds the name taken and uses the first one's key.
    fn write(&self, name: &str, document: &[u8]) -> Result<(), KeyError> {
        let path = self.path.join(name);
        let draft = self.path.join(format!(".{}", uuid::Uuid::now_v7()));
        let written = private::create_new(&draft).and_then(|mut file| {
            file.write_all(document)
                .and_then(|()| file.sync_all())
                .and_then(|()| self.give_to_owner(&draft))
                .map_err(at(&draft))
        });
        let linked = written.and_then(|()| match std::fs::hard_link(&draft, &path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(at(&path)(error)),
            _ => Ok(()),
        });
        // Gone or not, the draft is private, and nothing ever reads it.
        let _ = std::fs::remove_file(&draft);
        linked?;
        // The name is durable only once the folder is.
        let synced = File::open(&self.path).and_then(|folder| folder.sync_all());
        Ok(synced.map_err(at(&self.path))?)
    }

    /// A key that root makes from the shell is for the account whose folder this is.
    fn give_to_owner(&self, file: &Path) -> io::Result<()> {
        let (folder, own) = (self.path.metadata()?, file.metadata()?);
        if folder.uid() == own.uid() {
            return Ok(());
        }
        chown(file, Some(folder.uid()), Some(folder.gid()))
    }
}

fn generate(algorithm: Algorithm) -> Result<(SigningKey, Vec<u8>), KeyError> {
    SigningKey::generate(algorithm).map_err(|_| KeyError::Randomness)
}

fn read(path: &Path) -> Result<SigningKey, KeyError> {
    let mut document = Vec::new();
    private::open(path)?
        .take(MAX_FILE)
        .read_to_end(&mut document)
        .map_err(at(path))?;
    SigningKey::from_pkcs8(&document).ok_or_else(|| KeyError::Unreadable(path.to_owned()))
}

fn file_of(kid: &str) -> String {
    format!("{kid}.{ENDING}")
}

/// The first key of a folder; a fixed name, so that only one process can make it.
const FIRST: &str = "signing.pk8";
const ENDING: &str = "pk8";
/// An RSA key of 8192 bits in PKCS#8 has some 4.7 KB.
const MAX_FILE: u64 = 16_384;

#[cfg(test)]
mod tests;
