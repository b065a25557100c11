//! A disk of its own, so small that a test can fill it.

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// Unmounted when dropped.
pub struct Disk(tempfile::TempDir);

impl Disk {
    /// One of a megabyte; `None` where nobody may mount one here.
    pub fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m,mode=700", "airside-test"])
            .arg(folder.path())
            .output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("LEFT OUT: a small disk can be mounted by root alone");
        }
        is_mounted.then_some(Self(folder))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the program that has files on it is killed a moment later.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Writes until nothing more fits.
pub fn fill(file: &Path) {
    let mut file = std::fs::File::create(file).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}
