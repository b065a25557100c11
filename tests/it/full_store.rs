//! A store without room: a disk of a megabyte for SQLite, a table space that may not grow for MariaDB.
//! Who has a token notices nothing, who wants one is told to come back, and all goes on by itself.

use mysql_async::prelude::Queryable;

use crate::support::disk::{Disk, fill};
use crate::support::mariadb::Mariadb;
use crate::support::origin::Origin;
use crate::support::people::{self, Answer, PASSWORD, Site};
use crate::support::wait::wait_until;

/// A gateway on this store, and the token of `ann@x.org`.
async fn site(store: &str) -> (Site, String) {
    let origin = Origin::start();
    // What is not known yet would be a refusal of another kind.
    let airside = people::on(&origin, store)
        .set("throttle", "account_failures: 100, ip_per_minute: 0")
        .start();
    let site = Site { airside, origin };
    wait_until("/readyz", async || readiness(&site).await.status == 200).await;
    let (_, token) = site.api().join("ann@x.org").await;
    (site, token)
}

async fn readiness(site: &Site) -> Answer {
    let admin = people::Api::at(site.airside.admin_url(""));
    Answer::to(admin.request("GET", "/readyz")).await
}

/// Signs up until there is no room, and looks around then.
async fn runs_full(site: &Site, token: &str) {
    let mut number = 0;
    let refused = loop {
        let answer = site.api().sign_up(&format!("{number}@x.org")).await;
        if answer.status != 201 {
            break answer;
        }
        number += 1;
        assert!(number < 1_000, "it never runs full");
    };
    let is_told = |answer: &Answer| {
        answer.refused(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
    };
    is_told(&refused);
    let ready = readiness(site).await;
    assert_eq!(ready.status, 503, "{}", ready.body);
    let why = ready.json()["not_ready"]["identity"].to_string();
    assert!(why.contains("the store is full"), "{}", ready.body);
    let admin = people::Api::at(site.airside.admin_url(""));
    let alive = Answer::to(admin.request("GET", "/healthz")).await;
    assert_eq!(alive.status, 200);
    let member = site.api().ask("GET", "/members", token).await;
    assert_eq!(member.status, 200, "{}", member.body);
    // A sign-in may find the little room that it needs; what it must not do is fail in any other way.
    let answer = site.api().sign_in("ann@x.org", PASSWORD).await;
    if answer.status != 200 {
        is_told(&answer);
    }
}

/// All goes on, without a restart.
async fn goes_on(site: &Site) {
    wait_until("a signup", async || {
        site.api().sign_up("bob@x.org").await.status == 201
    })
    .await;
    wait_until("/readyz", async || readiness(site).await.status == 200).await;
    for email in ["ann@x.org", "bob@x.org"] {
        site.api().token(email).await;
    }
}

#[tokio::test]
async fn rule_26_a_full_disk_under_sqlite_is_said_and_room_is_noticed() {
    let Some(disk) = Disk::mount() else { return };
    let store = format!("sqlite:{}", disk.path().join("airside.db").display());
    let (site, token) = site(&store).await;
    let filler = disk.path().join("filler");
    for _ in 0..2 {
        fill(&filler);
        runs_full(&site, &token).await;
        let refused = site.api().sign_in("ann@x.org", PASSWORD).await;
        refused.refused(503, "overloaded");
        std::fs::remove_file(&filler).unwrap();
        let bob = "DELETE FROM users WHERE email = 'bob@x.org'";
        goes_on(&site).await;
        let connection = rusqlite::Connection::open(disk.path().join("airside.db")).unwrap();
        connection
            .execute_batch("PRAGMA foreign_keys = ON")
            .unwrap();
        connection.execute("DELETE FROM sessions", []).unwrap();
        connection.execute("DELETE FROM user_roles", []).unwrap();
        connection.execute(bob, []).unwrap();
    }
}

#[tokio::test]
async fn rule_26_a_full_table_space_of_mysql_is_said_and_room_is_noticed() {
    let space = |size: &str| {
        [
            "--innodb-file-per-table=0".to_owned(),
            format!("--innodb-data-file-path=ibdata1:{size}"),
            // Thousands of rows are written one by one.
            "--innodb-flush-log-at-trx-commit=0".to_owned(),
        ]
    };
    let mut server = Mariadb::start_with(&space("12M"));
    let (site, token) = site(&server.url()).await;
    let mut root = server.as_root().await;
    root.query_drop("CREATE TABLE airside.filler (text VARCHAR(8000))")
        .await
        .unwrap();
    for size in [8_000, 500, 10] {
        let insert = format!("INSERT INTO airside.filler VALUES (REPEAT('x', {size}))");
        let full = loop {
            if let Err(error) = root.query_drop(&insert).await {
                break error;
            }
        };
        assert!(full.to_string().contains("is full"), "{full}");
    }
    runs_full(&site, &token).await;
    assert!(site.airside.stderr().contains("is full"));
    // Nothing that is dropped gives a full table space room again: somebody has to let it grow.
    drop(root);
    server.daemon().kill();
    server.revive_with(&space("12M:autoextend"));
    goes_on(&site).await;
}
