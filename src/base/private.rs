//! Files and folders that only their owner may read, made that way and refused otherwise.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Why a private file or folder can't be used; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    #[error(
        "{path} has mode {mode:04o}: others may read it; run `chmod {wanted:o} {path}`",
        path = path.display()
    )]
    Exposed {
        path: PathBuf,
        mode: u32,
        wanted: u32,
    },
    #[error("{path}: {why}", path = path.display())]
    Io { path: PathBuf, why: io::Error },
}

/// Makes a folder and its parents with mode 0700 where they are missing; what exists stays as it is.
pub(crate) fn create_folder(path: &Path) -> Result<(), PrivateError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(FOLDER);
    builder.create(path).map_err(at(path))
}

/// Refuses a folder that others may look into.
pub(crate) fn check_folder(path: &Path) -> Result<(), PrivateError> {
    let metadata = path.metadata().map_err(at(path))?;
    check(path, &metadata, FOLDER)
}

/// Opens a file for reading and refuses it where others may read it. The open file is asked, not the
/// path: the answer holds for what is read afterwards.
pub(crate) fn open(path: &Path) -> Result<File, PrivateError> {
    let file = File::open(path).map_err(at(path))?;
    check(path, &file.metadata().map_err(at(path))?, FILE)?;
    Ok(file)
}

/// Opens a file for writing, made with mode 0600 where it is missing, refused where others may read it.
pub(crate) fn open_or_create(path: &Path) -> Result<File, PrivateError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE);
    let file = options.open(path).map_err(at(path))?;
    check(path, &file.metadata().map_err(at(path))?, FILE)?;
    Ok(file)
}

/// A new file of mode 0600; an error where the name is taken.
pub(crate) fn create_new(path: &Path) -> Result<File, PrivateError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE);
    options.open(path).map_err(at(path))
}

/// Makes an empty file where there is none and refuses one that others may read. A file that exists is
/// not opened: closing it again would drop the locks that this process has on it (POSIX `fcntl`), and
/// SQLite relies on those.
pub(crate) fn ensure_file(path: &Path) -> Result<(), PrivateError> {
    match create_new(path) {
        Err(PrivateError::Io { why, .. }) if why.kind() == io::ErrorKind::AlreadyExists => {
            check(path, &path.metadata().map_err(at(path))?, FILE)
        }
        created => created.map(drop),
    }
}

/// Names the path that an I/O error belongs to.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> PrivateError {
    move |why| PrivateError::Io {
        path: path.to_owned(),
        why,
    }
}

fn check(path: &Path, metadata: &Metadata, wanted: u32) -> Result<(), PrivateError> {
    let mode = metadata.permissions().mode() & 0o7777;
    match mode & 0o077 {
        0 => Ok(()),
        _ => Err(PrivateError::Exposed {
            path: path.to_owned(),
            mode,
            wanted,
        }),
    }
}

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
