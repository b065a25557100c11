//! The key's file, its id, and what it publishes.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::token::KeySet;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn rule_23_a_new_key_is_its_owners_alone_and_is_found_again() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data/keys");
    let made = SigningKey::load_or_create(&folder).unwrap();
    let found = SigningKey::load_or_create(&folder).unwrap();
    assert_eq!(made.kid(), found.kid());
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join(FILE_NAME)), 0o600);
    // The draft is gone.
    assert_eq!(folder.read_dir().unwrap().count(), 1);
}

#[test]
fn rule_23_a_key_that_others_may_read_is_refused_with_the_command_to_run() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    SigningKey::load_or_create(&folder).unwrap();
    let refused_at = |path: &Path, open: u32, command: &str| {
        let kept = mode(path);
        set_permissions(path, Permissions::from_mode(open)).unwrap();
        let message = SigningKey::load_or_create(&folder).unwrap_err().to_string();
        assert!(message.contains(command), "{message}");
        set_permissions(path, Permissions::from_mode(kept)).unwrap();
    };
    refused_at(&folder.join(FILE_NAME), 0o640, "chmod 600");
    refused_at(&folder, 0o755, "chmod 700");
    assert!(SigningKey::load_or_create(&folder).is_ok());
}

#[test]
fn a_file_that_is_no_key_is_refused_and_not_replaced() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    private::create_folder(&folder).unwrap();
    let path = folder.join(FILE_NAME);
    let mut file = private::create_new(&path).unwrap();
    file.write_all(b"not a key").unwrap();
    let error = SigningKey::load_or_create(&folder).unwrap_err();
    assert!(matches!(error, KeyError::Unreadable(_)), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"not a key");
}

#[test]
fn processes_that_start_at_once_share_one_key() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    let kids: Vec<_> = std::thread::scope(|scope| {
        let start = || SigningKey::load_or_create(&folder).unwrap().kid;
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
}

/// The example of RFC 8037 appendix A.3.
#[test]
fn the_key_id_is_the_rfc_7638_thumbprint() {
    let public = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(
        thumbprint(&public.unwrap()),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn rule_23_neither_jwks_nor_debug_shows_a_private_half() {
    let parent = tempfile::tempdir().unwrap();
    let key = SigningKey::load_or_create(&parent.path().join("keys")).unwrap();
    let jwks = KeySet::new(vec![key.verify_key()]).jwks();
    let members: Vec<_> = jwks["keys"][0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
    assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.kid()));
}
