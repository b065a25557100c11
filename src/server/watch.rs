//! Looks at the configuration's files twice a second and reloads when they changed. Asking for their
//! state finds what notifications miss: files that are replaced, reached through links that are turned
//! (config maps), or on network file systems.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::reload::Reload;

/// How some files are: which, how long, when changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stamp(Vec<(PathBuf, Option<State>)>);

/// Of the file that a path leads to in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Stamp {
    pub fn of<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let files = files.into_iter();
        Self(files.map(|file| (file.clone(), state(file))).collect())
    }

    /// The same files as they are now.
    pub fn now(&self) -> Self {
        Self::of(self.0.iter().map(|(file, _)| file))
    }

    /// The first of these files, which is the configuration, and the ones it refers to.
    pub fn with(&self, references: &[PathBuf]) -> Self {
        let mut next = self.clone();
        next.0.truncate(1);
        for file in references {
            let known = self.0.iter().find(|(known, _)| known == file);
            next.0.push(
                known
                    .cloned()
                    .unwrap_or_else(|| (file.clone(), state(file))),
            );
        }
        next
    }
}

/// Watches for as long as the process lives. Errors: the system has no thread to give.
pub fn start(reload: Arc<Reload>) -> io::Result<()> {
    let work = move || {
        let mut before = None;
        loop {
            thread::sleep(EVERY);
            let changed = reload.changed();
            // Twice the same: whoever writes it has finished.
            if changed.is_some() && changed == before {
                // What came of it is in the log, and for who asks `/readyz`.
                let _ = reload.now("a file changed");
                before = None;
            } else {
                before = changed;
            }
        }
    };
    thread::Builder::new()
        .name("airside-watch".to_owned())
        .spawn(work)
        .map(drop)
}

fn state(file: &Path) -> Option<State> {
    let metadata = fs::metadata(file).ok()?;
    Some(State {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

const EVERY: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_replaced_relinked_or_removed_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("one"), "1").unwrap();
        fs::write(path("two"), "2").unwrap();
        std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
        let files = [path("link")];
        let mut stamp = Stamp::of(&files);
        assert_eq!(stamp.now(), stamp);
        let mut changed = |what: &str| {
            let now = stamp.now();
            assert_ne!(now, stamp, "{what}");
            stamp = now;
        };
        fs::write(path("one"), "11").unwrap();
        changed("written");
        fs::rename(path("two"), path("one")).unwrap();
        changed("replaced");
        fs::write(path("three"), "3").unwrap();
        std::os::unix::fs::symlink(path("three"), path("next")).unwrap();
        fs::rename(path("next"), path("link")).unwrap();
        changed("relinked");
        fs::remove_file(path("three")).unwrap();
        changed("removed");
    }

    #[test]
    fn a_reference_that_is_no_longer_one_is_not_watched() {
        let folder = tempfile::tempdir().unwrap();
        let [file, one, other] = ["file", "one", "other"].map(|name| folder.path().join(name));
        let stamp = Stamp::of([&file, &one]).with(std::slice::from_ref(&other));
        fs::write(&one, "1").unwrap();
        assert_eq!(stamp.now(), stamp);
        fs::write(&other, "1").unwrap();
        assert_ne!(stamp.now(), stamp);
    }
}
