//! What SQLite has of its own: private files, settings, and order among processes. What each store
//! promises is proved in `tests/it/store`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

const NOW: u64 = 1_800_000_000_000;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/airside.db");
    (folder, path)
}

fn open(path: &Path) -> Result<Sqlite, StoreOpenError> {
    Sqlite::open(
        path,
        &[RoleName::admin(), RoleName::customer()],
        &Clock::at(NOW),
    )
}

/// The audit log as `actor action subject detail`.
fn audit(path: &Path) -> Vec<String> {
    let db = Connection::open(path).unwrap();
    let sql = "SELECT actor || ' ' || action || ' ' || subject || ' ' || detail FROM audit_log
               ORDER BY sequence";
    let mut select = db.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn rule_25_processes_that_open_one_new_file_at_once_all_succeed() {
    let (_folder, path) = folder();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| open(&path))).collect();
        for thread in threads {
            assert!(thread.join().unwrap().is_ok());
        }
    });
    assert_eq!(
        audit(&path),
        ["start role_created admin ", "start role_created customer "]
    );
}

#[test]
fn rule_25_a_step_that_has_changed_since_stops_the_start() {
    let (_folder, path) = folder();
    drop(open(&path).unwrap());
    let db = Connection::open(&path).unwrap();
    db.execute(
        "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
        [],
    )
    .unwrap();
    let error = open(&path).err().unwrap();
    assert!(matches!(error, StoreOpenError::Schema(_)), "{error}");
    assert!(error.to_string().contains("V2__roles"), "{error}");
}

#[test]
fn rule_23_the_files_are_their_owners_alone() {
    let (folder, path) = folder();
    drop(open(&path).unwrap());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("data")), 0o700);
    for file in folder.path().join("data").read_dir().unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let message = open(&path).err().unwrap().to_string();
    assert!(message.contains("chmod 600"), "{message}");
}

#[tokio::test]
async fn rule_27_each_connection_has_its_settings() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    let settings = |db: &Connection| {
        let text = |name| db.pragma_query_value(None, name, |row| row.get::<_, String>(0));
        let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, u32>(0));
        Ok((
            text("journal_mode")?,
            number("foreign_keys")?,
            number("busy_timeout")?,
        ))
    };
    let expected = Ok(("wal".to_owned(), 1, 2_000));
    for _ in 0..2 * READERS {
        assert_eq!(store.read(settings).await, expected);
    }
    assert_eq!(store.write(move |tx| Ok(settings(tx)?)).await, expected);
}
