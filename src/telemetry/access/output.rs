//! Where lines go: standard output, or a file that may be rotated away under us.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Takes whole lines. The error says how many of them were lost.
pub(super) trait Output: Send + 'static {
    fn write(&mut self, lines: &[u8]) -> Result<(), Lost>;
}

#[derive(Debug)]
pub(super) struct Lost {
    pub lines: u64,
    pub error: io::Error,
}

/// An open file, and where it came from if it has a name.
pub(super) struct Target {
    file: File,
    path: Option<Watched>,
    /// The last line went out in part.
    torn: bool,
}

struct Watched {
    path: PathBuf,
    every: Duration,
    checked: Instant,
}

impl Target {
    /// Standard output without the library's line buffer. Errors: it is closed.
    pub(super) fn stdout() -> io::Result<Self> {
        let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Ok(Self {
            file,
            path: None,
            torn: false,
        })
    }

    /// A file, appended to; made with mode 0640. Whether `path` still names it is looked up at most
    /// once in `every`.
    pub(super) fn file(path: PathBuf, every: Duration) -> io::Result<Self> {
        Ok(Self {
            file: open(&path)?,
            path: Some(Watched {
                path,
                every,
                checked: Instant::now(),
            }),
            torn: false,
        })
    }

    /// Opens the file anew where its name stands for another one, or for none: log rotation. Errors:
    /// it can't be opened; the old one stays.
    fn follow_rotation(&mut self) -> io::Result<()> {
        let Some(watched) = &mut self.path else {
            return Ok(());
        };
        if watched.checked.elapsed() < watched.every {
            return Ok(());
        }
        watched.checked = Instant::now();
        let identity = |data: Metadata| (data.dev(), data.ino());
        let named = std::fs::metadata(&watched.path).map(identity).ok();
        if named.is_none() || named != self.file.metadata().map(identity).ok() {
            self.file = open(&watched.path)?;
            self.torn = false;
        }
        Ok(())
    }
}

impl Output for Target {
    fn write(&mut self, lines: &[u8]) -> Result<(), Lost> {
        let followed = self.follow_rotation();
        // To the old file if need be: better there than nowhere.
        write_lines(&mut self.file, &mut self.torn, lines)?;
        followed.map_err(|error| Lost { lines: 0, error })
    }
}

/// Writes whole lines; after one that went out in part, the next begins on a line of its own.
fn write_lines(out: &mut impl Write, torn: &mut bool, lines: &[u8]) -> Result<(), Lost> {
    let mut retries = 0;
    let mut rest = lines;
    let error = loop {
        let next = if *torn { b"\n" } else { rest };
        if next.is_empty() {
            return Ok(());
        }
        match out.write(next) {
            Ok(0) => break ErrorKind::WriteZero.into(),
            Ok(_) if *torn => *torn = false,
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Somebody who shares our standard output made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock && retries < MOST_RETRIES => {
                retries += 1;
                std::thread::sleep(RETRY_AFTER);
            }
            Err(error) => break error,
        }
    };
    let written = lines.len() - rest.len();
    if written > 0 {
        *torn = lines.get(written - 1) != Some(&b'\n');
    }
    Err(Lost {
        lines: rest.iter().filter(|byte| **byte == b'\n').count() as u64,
        error,
    })
}

fn open(path: &PathBuf) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o640).open(path)
}

const MOST_RETRIES: u32 = 200;
const RETRY_AFTER: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then fails until it is given more.
    struct Disk {
        taken: Vec<u8>,
        free: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.free);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.free -= count;
            self.taken.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_the_next_line_stands_by_itself() {
        let mut disk = Disk {
            taken: Vec::new(),
            free: 5,
        };
        let mut torn = false;
        let lost = write_lines(&mut disk, &mut torn, b"one\ntwo\nthree\n").unwrap_err();
        assert_eq!(lost.lines, 2);
        let lost = write_lines(&mut disk, &mut torn, b"four\n").unwrap_err();
        assert_eq!(lost.lines, 1);
        disk.free = 100;
        write_lines(&mut disk, &mut torn, b"five\n").unwrap();
        assert_eq!(disk.taken, b"one\nt\nfive\n");
    }

    #[test]
    fn a_rotated_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("access.json"), folder.path().join("old"));
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        let mut target = Target::file(path.clone(), Duration::ZERO).unwrap();
        target.write(b"one\n").unwrap();
        std::fs::rename(&path, &old).unwrap();
        target.write(b"two\n").unwrap();
        assert_eq!((read(&old), read(&path)), ("one\n".into(), "two\n".into()));
        std::fs::remove_file(&path).unwrap();
        target.write(b"three\n").unwrap();
        assert_eq!(read(&path), "three\n");
        assert_eq!(path.metadata().unwrap().mode() & 0o137, 0);
    }

    #[test]
    fn where_the_folder_is_gone_the_old_file_takes_the_lines() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, moved) = (folder.path().join("logs"), folder.path().join("moved"));
        std::fs::create_dir(&inner).unwrap();
        let mut target = Target::file(inner.join("access.json"), Duration::ZERO).unwrap();
        std::fs::rename(&inner, &moved).unwrap();
        assert_eq!(target.write(b"one\n").unwrap_err().lines, 0);
        let old = std::fs::read_to_string(moved.join("access.json")).unwrap();
        assert_eq!(old, "one\n");
    }
}
