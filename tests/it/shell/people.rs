//! `airside user list|disable|enable` and `airside role`: what they show, what they change, and the
//! numbers that they end with.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use super::{airside, on};
use crate::support::mariadb::Mariadb;
use crate::support::people::{PASSWORD, Site, add_user};
use crate::support::port::free;

const ANN: &str = "ann@example.com";
const BO: &str = "bo@example.com";

fn add(folder: &Path, email: &str, roles: &[&str]) -> String {
    let output = add_user(&folder.join("airside.yaml"), email, roles, PASSWORD);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What a command prints; it must succeed, and say nothing else.
#[track_caller]
fn printed(folder: &Path, arguments: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = airside(folder, arguments);
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8(stdout).unwrap()
}

#[track_caller]
fn listed(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    serde_json::from_str(&printed(folder, arguments)).unwrap()
}

/// Asserts what a command ends with, that it says why, and that it prints nothing.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], code: i32, why: &str) {
    let output = airside(folder, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(said.contains(why), "{arguments:?}: {said}");
}

#[tokio::test]
async fn accounts_and_roles_are_shown_to_people_and_to_scripts_on_both_stores() {
    let server = Mariadb::shared();
    for store in [
        "sqlite:airside.db".to_owned(),
        server.new_database("shell").await,
    ] {
        let folder = on(&store);
        let folder = folder.path();
        assert_eq!(
            printed(folder, &["user", "list"]),
            "ID  E-MAIL  ROLES  STATE  SINCE\n"
        );
        let ids = [
            add(folder, ANN, &["admin", "customer"]),
            add(folder, BO, &[]),
        ];
        printed(folder, &["user", "disable", BO]);

        let table = printed(folder, &["user", "list"]);
        let cells: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(cells.len(), 3, "{table}");
        assert_eq!(cells[1][..4], [&ids[0], ANN, "admin,customer", "active"]);
        // No roles: the cell is empty.
        assert_eq!(cells[2][..3], [&ids[1], BO, "disabled"]);

        let users = listed(folder, &["user", "list", "--format", "json"]);
        assert_eq!(users.len(), 2);
        assert_eq!(users[0]["id"], json!(ids[0]));
        assert_eq!(users[0]["roles"], json!(["admin", "customer"]));
        assert_eq!(
            (&users[0]["disabled"], &users[1]["disabled"]),
            (&json!(false), &json!(true))
        );
        assert!(users[0]["created_at"].as_str().unwrap().ends_with('Z'));
        let found = listed(folder, &["user", "list", "BO@", "--format", "json"]);
        assert_eq!(found, users[1..]);

        let roles = listed(folder, &["role", "list", "--format", "json"]);
        let names: Vec<_> = roles.iter().map(|role| role["name"].clone()).collect();
        assert_eq!(names, ["admin", "customer"]);
        assert!(printed(folder, &["role", "list"]).starts_with("ROLE      SINCE\nadmin  "));
    }
}

#[test]
fn a_list_goes_on_where_a_page_ends() {
    let folder = on("sqlite:airside.db");
    let folder = folder.path();
    add(folder, ANN, &[]);
    let store = rusqlite::Connection::open(folder.join("airside.db")).unwrap();
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
         INSERT INTO users (id, email, email_key, password_hash, token_version, created_at)
         SELECT printf('%s%012x', substr(id, 1, 24), i), i || email, CAST(i || email AS BLOB),
                password_hash, token_version, created_at FROM users, n";
    assert_eq!(store.execute(copies, []).unwrap(), 450);
    assert_eq!(
        listed(folder, &["user", "list", "--format", "json"]).len(),
        451
    );
}

#[tokio::test]
async fn what_the_shell_changes_reaches_a_running_gateway_within_a_second() {
    let site = Site::start();
    let folder = site.airside.folder();
    let (_, token) = site.api().join(ANN).await;
    let id = site.add(BO, &["admin"]);
    let company = async |token: &str| site.api().ask("GET", "/company", token).await.status;
    assert_eq!(company(&token).await, 403);

    printed(folder, &["role", "grant", ANN, "flight_company"]);
    // Older tokens end, as by the API.
    ended(&site, &token).await;
    let token = site.api().token(ANN).await;
    assert_eq!(company(&token).await, 200);
    printed(folder, &["role", "grant", ANN, "flight_company"]);
    assert_eq!(company(&token).await, 200, "granting again changes nothing");

    printed(folder, &["role", "revoke", ANN, "flight_company"]);
    ended(&site, &token).await;
    let token = site.api().token(ANN).await;
    assert_eq!(company(&token).await, 403);

    printed(folder, &["user", "disable", ANN]);
    ended(&site, &token).await;
    site.api()
        .sign_in(ANN, PASSWORD)
        .await
        .refused(401, "invalid_credentials");
    printed(folder, &["user", "enable", ANN]);
    site.api().token(ANN).await;

    // By id as well, and the log says who did it.
    printed(folder, &["role", "grant", &id, "customer"]);
    let admin = site.api().token(BO).await;
    let log = site
        .api()
        .ask("GET", "/auth/admin/audit?limit=50", &admin)
        .await
        .json();
    let by_shell = |entry: &&Value| entry["actor"] == "shell";
    let done: Vec<_> = log["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(by_shell)
        .collect();
    let count = |action: &str| {
        done.iter()
            .filter(|entry| entry["action"] == action)
            .count()
    };
    assert_eq!(count("role_granted"), 2, "{log}");
    assert_eq!(
        (count("user_disabled"), count("user_enabled")),
        (1, 1),
        "{log}"
    );
}

/// Waits for a token's end, a second at most.
async fn ended(site: &Site, token: &str) {
    let begun = std::time::Instant::now();
    while site.api().ask("GET", "/members", token).await.status != 401 {
        assert!(
            begun.elapsed().as_millis() < 1_000,
            "the token is still good"
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[test]
fn scripts_can_tell_by_the_exit_code_why_a_command_failed() {
    let folder = on("sqlite:airside.db");
    let folder = folder.path();
    let id = add(folder, ANN, &["admin"]);
    let nobody = "01a203e7-1812-7701-89a1-0c48798b63be";
    for who in [BO, nobody, "nonsense"] {
        fails(folder, &["user", "disable", who], 3, "no such user");
        fails(folder, &["user", "enable", who], 3, "no such user");
        fails(folder, &["role", "grant", who, "admin"], 3, "no such user");
        fails(folder, &["role", "revoke", who, "admin"], 3, "no such user");
    }
    fails(folder, &["role", "grant", ANN, "pilot"], 3, "no such role");
    fails(
        folder,
        &["role", "grant", ANN, "no role"],
        3,
        "no such role",
    );
    for who in [ANN, &id] {
        fails(folder, &["user", "disable", who], 4, "last admin");
        fails(folder, &["role", "revoke", who, "admin"], 4, "last admin");
    }
    fails(folder, &["role", "grant", ANN], 2, "Usage");
    fails(folder, &["user", "list", "--format", "yaml"], 2, "yaml");

    let away = on(&format!("mysql://u:p@{}/db?query_timeout=200ms", free()));
    fails(away.path(), &["user", "list"], 75, "not available");
    assert!(printed(folder, &["user", "disable", "--help"]).contains("75 the database is away"));
}
