//! The keys' files: their modes, and who makes which.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;

/// The keys of a folder, by their ids.
fn load(path: &Path) -> Result<Vec<String>, KeyError> {
    let keys = KeyFolder::open(path)?.load_or_create(Algorithm::EdDsa)?;
    Ok(keys.iter().map(|key| key.kid().to_owned()).collect())
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn rule_23_a_new_key_is_its_owners_alone_and_is_found_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data/keys");
    let made = load(&folder).unwrap();
    let found = load(&folder).unwrap();
    assert_eq!((made.len(), &made), (1, &found));
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(FIRST)), 0o600);
    // The draft is gone.
    assert_eq!(folder.read_dir().unwrap().count(), 1);
}

#[test]
fn rule_23_a_key_that_others_may_read_is_refused_with_the_command_to_run() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    load(&folder).unwrap();
    let refused_at = |path: &Path, open: u32, command: &str| {
        let kept = mode(path);
        set_permissions(path, Permissions::from_mode(open)).unwrap();
        let message = load(&folder).unwrap_err().to_string();
        assert!(message.contains(command), "{message}");
        set_permissions(path, Permissions::from_mode(kept)).unwrap();
    };
    refused_at(&folder.join(FIRST), 0o640, "chmod 600");
    refused_at(&folder, 0o755, "chmod 700");
    assert!(load(&folder).is_ok());
}

#[test]
fn a_file_that_is_no_key_is_refused_and_not_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    private::create_folder(&folder).unwrap();
    let path = folder.join(FIRST);
    let mut file = private::create_new(&path).unwrap();
    file.write_all(b"not a key").unwrap();
    let error = load(&folder).unwrap_err();
    assert!(matches!(error, KeyError::Unreadable(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"not a key");
}

#[test]
fn processes_that_start_at_once_share_one_key() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    let kids: Vec<_> = std::thread::scope(|scope| {
        let start = || load(&folder).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
}

#[test]
fn keys_that_are_added_are_found_by_all_and_gone_once_removed() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("keys");
    let folder = KeyFolder::open(&path).unwrap();
    let first = load(&path).unwrap().remove(0);
    for algorithm in Algorithm::ALL {
        let added = folder.add(algorithm).unwrap();
        let file = path.join(file_of(added.kid()));
        assert_eq!(mode(&file), 0o600);
        let other = KeyFolder::open(&path).unwrap();
        let found = other.find(added.kid()).unwrap().unwrap();
        assert_eq!((found.kid(), found.algorithm()), (added.kid(), algorithm));
        assert_eq!(load(&path).unwrap(), [first.as_str(), added.kid()]);
        set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(other.find(added.kid()).is_err());
        set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        other.remove(added.kid()).unwrap();
        folder.remove(added.kid()).unwrap();
        assert!(folder.find(added.kid()).unwrap().is_none());
    }
    folder.remove(&first).unwrap();
    assert_eq!(path.read_dir().unwrap().count(), 0);
}
