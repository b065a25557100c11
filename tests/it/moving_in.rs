//! Users of another system: their table, the script that the pages name, `airside user import`, and then
//! they sign in with the passwords that they have.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use mysql_async::prelude::Queryable;

use crate::support::mariadb::Mariadb;
use crate::support::origin::Origin;
use crate::support::people::{self, PASSWORD, Site};

/// As the other system's libraries have written them, all of one password: PyPI's bcrypt 5.0.0 (`$2a$` and
/// `$2b$` at several costs), npm's bcryptjs 3.0.3 and bcrypt 6.0.0. PHP's `$2y$` is `$2b$` by another name.
const HASHES: [&str; 8] = [
    "$2a$04$AVLQroDmeInsWvFk/.CYc.S4DpAqoouv/vVCybtGPIGOE6BI9Jefm",
    "$2a$08$0RUZXQqMSYldeku6aqo2zeHcqLEptrrwcLl/R/k0nlIWcqIaPNZKq",
    "$2a$10$gNe4wkPjopFpVZTCNDENd.U.W2D/mQ6bcgheLUBVbTNXYnZ0H1fny",
    "$2b$08$9OsZCD2hEXVOA8KUcJIeTufrAu.xHQTqTh9SAKui75BSLO0x4AkLe",
    "$2b$10$1PY.9rFGtKVb6i7pPE6ziOUZlwXluw9epmQdPCwN/B27Y6bUJQmm2",
    "$2b$08$WU40yg8Cyndq7d3EVHjEPOfP6Yp9FtL9ptWGqiJ/ZwD/.E1NAVpy2",
    "$2a$10$fqj03mH63HS2T.QmlvH.8OfLuFePkZ28.r49022lGjdZpQF9Uf6ZG",
    "$2y$10$s5w89tU3yszydDxFZMyffOza.Ld.dnPUUNvnoRTlCq6kr5GOb.s5C",
];

/// What Sequelize makes of `User`, `Role` and `belongsToMany` through `User_Roles`, in either database.
const TABLES: [&str; 4] = [
    "CREATE TABLE Users (id INTEGER PRIMARY KEY, email VARCHAR(255) NOT NULL,
     password VARCHAR(255) NOT NULL, createdAt {time} NOT NULL, updatedAt {time} NOT NULL)",
    "CREATE TABLE Roles (id INTEGER PRIMARY KEY, name VARCHAR(255),
     createdAt {time} NOT NULL, updatedAt {time} NOT NULL)",
    "CREATE TABLE User_Roles (createdAt {time} NOT NULL, updatedAt {time} NOT NULL,
     RoleId INTEGER NOT NULL, UserId INTEGER NOT NULL, PRIMARY KEY (RoleId, UserId))",
    "INSERT INTO Roles VALUES (1, 'customer', '{now}', '{now}'), (2, 'flight_company', '{now}', '{now}')",
];

/// The statements that fill the application's database.
fn application(time: &str, zone: &str) -> Vec<String> {
    let now = format!("2021-03-04 05:06:07{zone}");
    let fill = |sql: &str| sql.replace("{time}", time).replace("{now}", &now);
    let mut all: Vec<_> = TABLES.iter().map(|sql| fill(sql)).collect();
    for (index, hash) in HASHES.iter().enumerate() {
        let (id, email) = (index + 7, address(index));
        all.push(fill(&format!(
            "INSERT INTO Users VALUES ({id}, '{email}', '{hash}', '{{now}}', '{{now}}')"
        )));
        for role in 1..=(index % 3) {
            let row = format!("('{{now}}', '{{now}}', {role}, {id})");
            all.push(fill(&format!("INSERT INTO User_Roles VALUES {row}")));
        }
    }
    all
}

/// One has letters beyond ASCII, and capitals, which no SQL would make one key of.
fn address(index: usize) -> String {
    match index {
        2 => "JOSÉ@Example.com".to_owned(),
        _ => format!("user{index}@example.com"),
    }
}

fn site(store: &str) -> Site {
    let origin = Origin::start();
    let airside = people::on(&origin, store).start();
    Site { airside, origin }
}

fn import(site: &Site, lines: &str) -> Output {
    site.airside.command(&["user", "import", "-"], lines)
}

/// Imports the application's users; all of them sign in, with their roles, and then have hashes of ours.
async fn they_move_in(site: &Site, lines: &str, hashes: impl AsyncFn() -> Vec<String>) {
    let output = import(site, lines);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("8 accounts were made; 0 were there"),
        "{said}"
    );
    let ids: BTreeMap<String, String> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let mut columns = line.split('\t').map(str::to_owned);
            (columns.next().unwrap(), columns.next().unwrap())
        })
        .collect();
    assert_eq!(ids.len(), 8);
    let mut before = hashes().await;
    before.sort();
    let mut expected = HASHES.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(before, expected);
    let api = site.api();
    for index in 0..HASHES.len() {
        let email = address(index);
        let wrong = api.sign_in(&email, "a seat by the aisle").await;
        wrong.refused(401, "invalid_credentials");
        let right = api.sign_in(&email.to_lowercase(), PASSWORD).await;
        assert_eq!(right.status, 200, "{email}: {}", right.body);
        let user = &right.json()["user"];
        assert_eq!(user["id"], ids[&(index + 7).to_string()].as_str());
        assert_eq!(user["email"], email.as_str());
        assert_eq!(user["created_at"], "2021-03-04T05:06:07Z");
        let roles = &["customer", "flight_company"][..index % 3];
        assert_eq!(user["roles"], serde_json::json!(roles), "{email}");
    }
    for hash in hashes().await {
        assert!(hash.starts_with("$2b$10$"), "{hash}");
    }
    for index in 0..HASHES.len() {
        let again = api.sign_in(&address(index), PASSWORD).await;
        assert_eq!(again.status, 200, "{}", again.body);
    }
    // A second time changes nothing.
    let output = import(site, lines);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("0 accounts were made; 8 were there"),
        "{said}"
    );
}

#[tokio::test]
async fn rule_12_users_of_a_sequelize_table_in_sqlite_sign_in_with_their_passwords() {
    let site = site("sqlite:airside.db");
    let file = site.airside.folder().join("application.sqlite");
    let connection = rusqlite::Connection::open(&file).unwrap();
    for sql in application("DATETIME", ".000 +00:00") {
        connection.execute_batch(&sql).unwrap();
    }
    let script = std::fs::read_to_string("scripts/sequelize-sqlite.sql").unwrap();
    let mut select = connection.prepare(&script).unwrap();
    let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let lines: Vec<_> = rows.map(Result::unwrap).collect();
    let store = site.airside.folder().join("airside.db");
    they_move_in(&site, &lines.join("\n"), async || {
        let connection = rusqlite::Connection::open(&store).unwrap();
        let mut select = connection
            .prepare("SELECT password_hash FROM users")
            .unwrap();
        let rows = select.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    })
    .await;
}

#[tokio::test]
async fn rule_12_users_of_a_sequelize_table_in_mysql_sign_in_with_their_passwords() {
    let server = Mariadb::shared();
    let (theirs, ours) = (
        server.new_database("application").await,
        server.new_database("moved_in").await,
    );
    let mut connection = mysql_async::Conn::from_url(&theirs).await.unwrap();
    for sql in application("DATETIME", "") {
        connection.query_drop(sql).await.unwrap();
    }
    let script = std::fs::read_to_string("scripts/sequelize-mysql.sql").unwrap();
    let lines: Vec<String> = connection.query(script).await.unwrap();
    let site = site(&ours);
    they_move_in(&site, &lines.join("\n"), async || {
        let mut connection = mysql_async::Conn::from_url(&ours).await.unwrap();
        let select = "SELECT password_hash FROM users";
        connection.query(select).await.unwrap()
    })
    .await;
}

#[test]
fn the_scripts_do_what_their_own_client_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("application.sqlite");
    let connection = rusqlite::Connection::open(&file).unwrap();
    for sql in application("DATETIME", ".000 +00:00") {
        connection.execute_batch(&sql).unwrap();
    }
    // As the script's own words say; only where the client is there.
    let script = std::fs::File::open("scripts/sequelize-sqlite.sql").unwrap();
    let run = Command::new("sqlite3").arg(&file).stdin(script).output();
    let Ok(output) = run else {
        eprintln!("left out: there is no sqlite3 here");
        return;
    };
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), 8, "{lines}");
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[tokio::test]
async fn an_import_that_has_a_wrong_line_writes_nothing_and_names_each() {
    let site = site("sqlite:airside.db");
    let good = format!(r#"{{"email":"ann@x.org","password_hash":"{}"}}"#, HASHES[3]);
    let tail = &HASHES[3][7..];
    for (wrong, words) in [
        ("{", "line 2: EOF"),
        (r#"{"email":"bob@x.org"}"#, "missing field `password_hash`"),
        (
            &format!(r#"{{"email":"bob@x.org","password_hash":"{PASSWORD}"}}"#),
            "line 2: `password_hash`: it is not a bcrypt hash",
        ),
        // Of a faulty computation.
        (
            &format!(r#"{{"email":"bob@x.org","password_hash":"$2x$10${tail}"}}"#),
            "it is not a bcrypt hash",
        ),
        (
            &format!(r#"{{"email":"bob@x.org","password_hash":"$2b$16${tail}"}}"#),
            "its cost 16 is above 15",
        ),
        (
            &good.replace("ann@x.org", "bob"),
            "line 2: `email`: it must have one `@`",
        ),
        (
            &good.replace("\"email\"", "\"roles\":[\"pilot\"],\"email\""),
            "line 2: the role `pilot` does not exist",
        ),
        (
            &good.replace("\"email\"", "\"admin\":true,\"email\""),
            "unknown field `admin`",
        ),
        (
            &good.replace("\"email\"", "\"created_at\":\"2021-03-04\",\"email\""),
            "`created_at` is no time",
        ),
    ] {
        let output = import(&site, &format!("{good}\n{wrong}\n"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{words}: {said}");
        assert!(said.contains("nothing was imported"), "{said}");
        assert!(!said.contains(PASSWORD) && !said.contains(tail), "{said}");
        assert!(output.stdout.is_empty());
    }
    let nobody = site.api().sign_in("ann@x.org", PASSWORD).await;
    nobody.refused(401, "invalid_credentials");
    let missing = Path::new("nothing.jsonl").display().to_string();
    let output = site.airside.command(&["user", "import", &missing], "");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("can't read nothing.jsonl"), "{said}");
}
