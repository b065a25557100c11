//! Rules 7 and 26: valid tokens pass whatever becomes of the database, and sign-in says that it can't.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::*;

/// The store's own patience is three seconds.
const BOUND: Duration = Duration::from_secs(6);

impl Site {
    /// Another program at the database.
    fn database(&self) -> Connection {
        Connection::open(self.airside.folder().join("airside.db")).unwrap()
    }
}

#[tokio::test]
async fn rules_7_and_26_tokens_pass_while_the_users_are_gone() {
    let site = Site::start();
    let api = site.api();
    let (id, token) = api.join("ann@example.com").await;
    let ready = async || {
        let request = people::Api::at(site.airside.admin_url("")).request("GET", "/readyz");
        Answer::to(request).await
    };
    assert_eq!(ready().await.status, 200);

    let database = site.database();
    let rename = |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        database.execute_batch(&sql).unwrap();
    };
    rename("users", "users_away");
    rename("roles", "roles_away");
    let began = Instant::now();
    for answer in [
        api.sign_in("ann@example.com", PASSWORD).await,
        api.sign_in("nobody@example.com", PASSWORD).await,
        api.sign_up("bob@example.com").await,
        api.ask("GET", "/auth/me", &token).await,
        api.ask("GET", "/auth/admin/roles", &token).await,
    ] {
        answer.refused(503, "overloaded");
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.body.contains("users_away"), "{}", answer.body);
        assert!(!answer.body.contains("no such table"), "{}", answer.body);
    }
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    let not_ready = ready().await;
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.body.contains("identity"), "{}", not_ready.body);
    let admin = people::Api::at(site.airside.admin_url(""));
    let alive = Answer::to(admin.request("GET", "/healthz")).await;
    assert_eq!(alive.status, 200);

    let answer = api.ask("GET", "/members", &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(site.caller()[0].as_deref(), Some(id.as_str()));
    let verified = api.ask("GET", "/auth/verify", &token).await;
    assert_eq!(verified.status, 200);

    // It recovers without a restart.
    rename("users_away", "users");
    rename("roles_away", "roles");
    api.token("ann@example.com").await;
    assert_eq!(api.sign_up("bob@example.com").await.status, 201);
    assert_eq!(ready().await.status, 200);
}

#[tokio::test]
async fn rules_7_and_26_a_locked_database_stops_signups_in_bounded_time_and_nothing_else() {
    let site = Site::start();
    let api = site.api();
    let (_, token) = api.join("ann@example.com").await;
    let database = site.database();
    database.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let began = Instant::now();
    let signup = tokio::spawn({
        let api = api.clone();
        async move { api.sign_up("bob@example.com").await }
    });
    // Reading goes on while somebody writes, and so does the edge. A sign-in writes its session.
    for _ in 0..3 {
        assert_eq!(api.ask("GET", "/members", &token).await.status, 200);
        assert_eq!(api.ask("GET", "/auth/me", &token).await.status, 200);
    }
    let signin = api.sign_in("ann@example.com", PASSWORD).await;
    signin.refused(503, "overloaded");
    let answer = signup.await.unwrap();
    answer.refused(503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());

    // What was given up is not done later.
    database.execute_batch("ROLLBACK").unwrap();
    let nobody = api.sign_in("bob@example.com", PASSWORD).await;
    nobody.refused(401, "invalid_credentials");
    assert_eq!(api.sign_up("bob@example.com").await.status, 201);
    api.token("ann@example.com").await;
}

#[tokio::test]
async fn rules_7_and_14_tokens_pass_while_every_hashing_thread_is_busy() {
    let origin = Origin::start();
    let airside = people::set_up(&origin).set("queue", 16).start();
    let site = Site { airside, origin };
    let api = site.api();
    let (_, token) = api.join("ann@example.com").await;
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let api = site.api();
        flood.spawn(async move { api.sign_in("ann@example.com", "wrong").await });
    }
    let mut slowest = Duration::ZERO;
    let mut passed = 0;
    let mut statuses = Vec::new();
    while statuses.len() < 100 {
        let began = Instant::now();
        let answer = api.ask("GET", "/members", &token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        slowest = slowest.max(began.elapsed());
        passed += 1;
        while let Some(answer) = flood.try_join_next() {
            let answer = answer.unwrap();
            match answer.status {
                503 => answer.refused(503, "busy"),
                _ => answer.refused(401, "invalid_credentials"),
            }
            if answer.status == 503 {
                assert_eq!(answer.header("retry-after"), "1");
            }
            statuses.push(answer.status);
        }
    }
    println!("{passed} requests, the slowest took {slowest:?}");
    // Two hash and 16 wait; the others are told to come back.
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(statuses.contains(&401), "{statuses:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}
