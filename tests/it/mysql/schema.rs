//! The schema's steps: applied once, checked ever after, taken up again where they broke off.

use std::path::Path;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::{Site, set_up};
use crate::support::mariadb::Mariadb;
use crate::support::server::SetUp;
use crate::support::wait::wait_until;

/// Runs `airside migrate`: its exit code and what it printed.
fn migrate(set_up: &SetUp) -> (i32, String) {
    let output = set_up.command(&["migrate"], "");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

/// The names of all steps in their order, as the folder of migrations has them.
pub(super) fn steps() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/mysql");
    let names = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = names
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort_by_key(|name| number(name));
    names
}

/// 7 for `V7__revocations`.
pub(super) fn number(step: &str) -> u32 {
    let (number, _) = step[1..].split_once("__").unwrap();
    number.parse().unwrap()
}

/// What `migrate` says when it applies these.
fn applied(steps: &[String]) -> String {
    let lines = steps.iter().map(|step| format!("applied {step}\n"));
    lines.collect()
}

const NOTHING: &str = "the schema is up to date\n";

#[tokio::test]
async fn rule_25_migrate_says_what_it_did_on_either_store() {
    let server = Mariadb::shared();
    let url = server.new_database("migrate").await;
    for store in ["sqlite:users.db", &url] {
        let (set_up, _origin) = set_up(store);
        assert_eq!(migrate(&set_up), (0, applied(&steps())), "{store}");
        assert_eq!(migrate(&set_up), (0, NOTHING.to_owned()), "{store}");
    }
    let site = Site::ready(&url).await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
}

#[tokio::test]
async fn the_account_that_serves_need_not_be_the_one_that_migrates() {
    let server = Mariadb::shared();
    let url = server.new_database("grants").await;
    let (_, database) = url.rsplit_once('/').unwrap();
    let mut root = server.as_root().await;
    let may_serve = "SELECT, INSERT, UPDATE, DELETE";
    let may_migrate = "SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, REFERENCES";
    for (user, grants) in [("serves", may_serve), ("migrates", may_migrate)] {
        for sql in [
            format!("CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY 'in-tests-only'"),
            format!("GRANT {grants} ON {database}.* TO '{user}'@'127.0.0.1'"),
        ] {
            root.query_drop(sql).await.unwrap();
        }
    }
    let serving = url.replace("//airside:", "//serves:");
    let (code, said) = migrate(&set_up(&serving).0);
    assert_eq!(code, 1);
    assert!(said.contains("CREATE command denied"), "{said}");
    assert_eq!(
        migrate(&set_up(&url.replace("//airside:", "//migrates:")).0).0,
        0
    );
    let site = Site::ready(&serving).await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
    assert_eq!(site.sign_in("ann@x.org").await.status, 200);
}

#[tokio::test]
async fn rule_25_a_step_that_has_changed_since_is_refused_until_that_is_put_right() {
    let server = Mariadb::shared();
    let url = server.new_database("changed").await;
    let (set_up, _origin) = set_up(&url);
    migrate(&set_up);
    let mut conn = Conn::from_url(&url).await.unwrap();
    let change =
        |by: &str| format!("UPDATE schema_steps SET checksum = checksum {by} WHERE version = 2");
    conn.query_drop(change("- 1")).await.unwrap();
    let (code, said) = migrate(&set_up);
    assert_eq!(code, 1);
    assert!(
        said.contains("step V2__roles has changed since it was applied"),
        "{said}"
    );
    let site = Site::start(&url);
    let named = async || {
        site.readiness()
            .await
            .1
            .to_string()
            .contains("V2__roles has changed")
    };
    wait_until("the reason in /readyz", named).await;
    assert!(site.gateway.stderr().contains("V2__roles has changed"));
    assert_eq!(site.sign_in("ann@x.org").await.status, 503);
    conn.query_drop(change("+ 1")).await.unwrap();
    site.wait_until_ready().await;
}

#[tokio::test]
async fn rule_25_a_schema_of_a_newer_version_is_left_alone() {
    let server = Mariadb::shared();
    let url = server.new_database("newer").await;
    let (set_up, _origin) = set_up(&url);
    migrate(&set_up);
    let mut conn = Conn::from_url(&url).await.unwrap();
    let insert = "INSERT INTO schema_steps VALUES (99, 'future', 1, 1, 1)";
    conn.query_drop(insert).await.unwrap();
    let (code, said) = migrate(&set_up);
    assert_eq!(code, 1);
    assert!(
        said.contains("step V99__future is not known here"),
        "{said}"
    );
}

/// A process that dies between the server's change and its own note of it leaves both orders behind.
#[tokio::test]
async fn rule_25_a_step_that_broke_off_is_taken_up_again() {
    let server = Mariadb::shared();
    let url = server.new_database("broken").await;
    let (set_up, _origin) = set_up(&url);
    migrate(&set_up);
    let mut conn = Conn::from_url(&url).await.unwrap();
    // The last two that make a table: the latter was never begun, the former before and after the server
    // did it.
    let table = |step: &str| step.split_once("__").unwrap().1.to_owned();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/mysql");
    let makes_it = |step: &String| {
        let sql = std::fs::read_to_string(folder.join(format!("{step}.sql"))).unwrap();
        sql.contains(&format!("CREATE TABLE {} ", table(step)))
    };
    let steps: Vec<_> = steps().into_iter().filter(makes_it).collect();
    let [.., broken, last] = steps.as_slice() else {
        panic!("{steps:?}")
    };
    for done in [false, true] {
        for sql in [
            format!("DROP TABLE {}", table(last)),
            format!("DELETE FROM schema_steps WHERE version = {}", number(last)),
            format!(
                "UPDATE schema_steps SET done_at = NULL WHERE version = {}",
                number(broken)
            ),
        ] {
            conn.query_drop(sql).await.unwrap();
        }
        if !done {
            conn.query_drop(format!("DROP TABLE {}", table(broken)))
                .await
                .unwrap();
        }
        let rest = applied(&[broken.clone(), last.clone()]);
        assert_eq!(migrate(&set_up), (0, rest), "{done}");
        assert_eq!(migrate(&set_up), (0, NOTHING.to_owned()));
    }
    let site = Site::ready(&url).await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
}

#[tokio::test]
async fn rule_25_another_programs_table_is_not_taken_for_ours() {
    let server = Mariadb::shared();
    let url = server.new_database("foreign").await;
    let mut conn = Conn::from_url(&url).await.unwrap();
    conn.query_drop("CREATE TABLE roles (id INT)")
        .await
        .unwrap();
    let (set_up, _origin) = set_up(&url);
    // Also not at the second look, when the step was tried before.
    for _ in 0..2 {
        let (code, said) = migrate(&set_up);
        assert_eq!(code, 1);
        assert!(
            said.contains("V2__roles") && said.contains("a database of its own"),
            "{said}"
        );
    }
    conn.query_drop("DROP TABLE roles").await.unwrap();
    let (code, said) = migrate(&set_up);
    // All but the first, which is done.
    let rest = steps().len() - 1;
    assert_eq!((code, said.lines().count()), (0, rest), "{said}");
}

#[tokio::test]
async fn rule_25_migrations_killed_at_any_moment_end_whole() {
    let server = Mariadb::shared();
    let url = server.new_database("killed").await;
    let mut conn = Conn::from_url(&url).await.unwrap();
    let all = u32::try_from(steps().len()).unwrap();
    let done = "SELECT COUNT(*) FROM schema_steps WHERE done_at IS NOT NULL";
    // Killed a little later each time, until there is nothing left to do.
    for round in 0u64.. {
        let mut site = Site::start(&url);
        let moment = std::time::Instant::now() + std::time::Duration::from_micros(500 * round);
        wait_until("the moment", async || std::time::Instant::now() >= moment).await;
        site.gateway.daemon().kill();
        if conn
            .query_first::<u32, _>(done)
            .await
            .is_ok_and(|done| done == Some(all))
        {
            break;
        }
    }
    let site = Site::ready(&url).await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
}
