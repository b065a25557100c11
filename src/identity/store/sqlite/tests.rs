//! What the SQLite store promises beyond its SQL: privacy, transactions, and order among processes.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::base::decode::FromText;
use crate::identity::email::Email;
use crate::identity::password::{PasswordPool, PasswordRules, PlainPassword};
use crate::identity::store::{Actor, Source};
use crate::identity::user::BeforeCreate;

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

fn role(name: &str) -> RoleName {
    RoleName::from_text(name).unwrap()
}

fn origin() -> Origin {
    Origin {
        actor: Actor::Shell,
        at: NOW,
        source: Source::default(),
    }
}

async fn user(email: &str, roles: &[RoleName]) -> NewUser {
    let email = Email::parse(email).unwrap();
    let rules = PasswordRules { min_length: 8 };
    let plain = PlainPassword::new("correct horse");
    let before = BeforeCreate {
        password: plain.accept(rules, email.key()).unwrap(),
        email,
        roles: roles.to_vec(),
    };
    let pool = PasswordPool::start(10, 1, 1).unwrap();
    before.run(&pool, NOW).await.unwrap()
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

#[tokio::test]
async fn rule_13_the_column_takes_nothing_but_a_hash() {
    let store = Sqlite::in_memory(&[], &Clock::at(NOW)).unwrap();
    let insert = |hash: String| {
        store.write(move |tx| {
            let sql = "INSERT INTO users (id, email, email_key, password_hash, created_at)
                       VALUES (?, 'a@x', ?, ?, 0)";
            let id = UserId::new(NOW).to_string();
            Ok(tx.execute(sql, (&id, id.as_bytes(), hash))?)
        })
    };
    for plain in ["correct horse", "", "x", &"x".repeat(60)] {
        assert!(insert(plain.to_owned()).await.is_err(), "{plain}");
    }
    assert_eq!(insert(format!("$2b$12${}", ".".repeat(53))).await, Ok(1));
}

#[tokio::test]
async fn rule_28_a_change_and_its_audit_row_are_one() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    let ann = user("ann@x.org", &[RoleName::customer()]).await;
    let id = ann.id();
    let made = store.create_user(ann.clone(), origin()).await.unwrap();
    assert_eq!(
        (made.id, made.roles, made.token_version),
        (id, vec!["customer".to_owned()], 0)
    );
    assert_eq!(
        store.create_user(ann, origin()).await,
        Err(StoreError::EmailTaken)
    );
    let lost = user("bob@x.org", &[RoleName::customer(), role("nobody")]).await;
    let bob = lost.email().key().clone();
    assert_eq!(
        store.create_user(lost, origin()).await,
        Err(StoreError::UnknownRole)
    );
    assert!(store.credentials(bob).await.unwrap().is_none());
    store.create_role(role("crew"), origin()).await.unwrap();
    assert_eq!(
        store.create_role(role("crew"), origin()).await,
        Err(StoreError::RoleExists)
    );
    for _ in 0..2 {
        store.grant_role(id, role("crew"), origin()).await.unwrap();
    }
    for _ in 0..2 {
        store.revoke_role(id, role("crew"), origin()).await.unwrap();
    }
    assert_eq!(
        audit(&path)[2..],
        [
            format!("shell user_created {id} customer"),
            "shell role_created crew ".to_owned(),
            format!("shell role_granted {id} crew"),
            format!("shell role_revoked {id} crew"),
        ]
    );
    // Rule 18: each real change ends the tokens from before it.
    assert_eq!(store.user(id).await.unwrap().unwrap().token_version, 2);
}

#[tokio::test]
async fn roles_are_given_only_where_both_sides_exist() {
    let store = Sqlite::in_memory(&[RoleName::admin()], &Clock::at(NOW)).unwrap();
    let ann = user("ann@x.org", &[]).await;
    let (id, nobody) = (ann.id(), UserId::new(NOW));
    store.create_user(ann, origin()).await.unwrap();
    let unknown_role = Err(StoreError::UnknownRole);
    assert_eq!(
        store.grant_role(id, role("crew"), origin()).await,
        unknown_role
    );
    assert_eq!(
        store.revoke_role(id, role("crew"), origin()).await,
        unknown_role
    );
    let unknown_user = Err(StoreError::UnknownUser);
    assert_eq!(
        store.grant_role(nobody, RoleName::admin(), origin()).await,
        unknown_user
    );
    assert_eq!(
        store.revoke_role(nobody, RoleName::admin(), origin()).await,
        unknown_user
    );
}

#[tokio::test]
async fn rule_19_of_two_admins_who_demote_each_other_one_remains() {
    let (_folder, path) = folder();
    let store = open(&path).unwrap();
    // Another process on the same file, so that one writing thread is not what saves it.
    let other = open(&path).unwrap();
    let (ann, bob) = (
        user("ann@x.org", &[RoleName::admin()]).await,
        user("bob@x.org", &[RoleName::admin()]).await,
    );
    let (ann_id, bob_id) = (ann.id(), bob.id());
    store.create_user(ann, origin()).await.unwrap();
    store.create_user(bob, origin()).await.unwrap();
    for _ in 0..20 {
        let (one, two) = tokio::join!(
            store.revoke_role(ann_id, RoleName::admin(), origin()),
            other.revoke_role(bob_id, RoleName::admin(), origin()),
        );
        let demoted = match (one, two) {
            (Ok(()), Err(StoreError::LastAdmin)) => ann_id,
            (Err(StoreError::LastAdmin), Ok(())) => bob_id,
            both => panic!("{both:?}"),
        };
        store
            .grant_role(demoted, RoleName::admin(), origin())
            .await
            .unwrap();
    }
}
