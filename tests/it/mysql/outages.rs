//! The server is killed, stopped, full or read-only, and comes back. Meanwhile sign-ins say so in time
//! (rule 26), and whoever has a valid token notices nothing (rule 7).

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use reqwest::Method;

use super::{SLACK, Site};
use crate::support::mariadb::Mariadb;
use crate::support::wait::wait_until;

/// A store's URL with short limits, and their sum.
fn in_a_hurry(url: &str) -> (String, Duration) {
    let url = format!("{url}?acquire_timeout=700ms&query_timeout=800ms&pool_max=4");
    (url, Duration::from_millis(1_500))
}

/// Sign-ins and sign-ups are refused in time, more at once than the pool has connections; a valid token
/// passes; `/readyz` names identity. All that on a gateway whose store is away.
async fn is_away(site: &Site, token: &str, limits: Duration) {
    for _ in 0..2 {
        let begun = Instant::now();
        let (up, at_once, guarded) = tokio::join!(
            site.sign_up("new@x.org"),
            async {
                let all = (0..12).map(|_| {
                    let request = site.client.post(site.gateway.url("/auth/signin"));
                    let request = request.header("Content-Type", "application/json");
                    let body = r#"{"email":"ann@x.org","password":"correct horse"}"#;
                    super::Answer::of(request.body(body))
                });
                all.collect::<tokio::task::JoinSet<_>>().join_all().await
            },
            site.ask(Method::GET, "/guarded", token),
        );
        assert_eq!(guarded.status, 200);
        for refused in at_once.iter().chain([&up]) {
            assert_eq!(refused.code(), (503, "overloaded"), "{}", refused.body);
            assert_eq!(refused.retry_after, Some(1));
        }
        assert!(begun.elapsed() < limits + SLACK, "{:?}", begun.elapsed());
    }
    let (status, body) = site.readiness().await;
    assert_eq!(status, 503);
    assert!(body["not_ready"]["identity"].is_string(), "{body}");
    assert_eq!(body["not_ready"].as_object().unwrap().len(), 1, "{body}");
    assert_eq!(site.ask(Method::GET, "/guarded", token).await.status, 200);
}

/// All goes on by itself.
async fn is_back(site: &Site) {
    site.wait_until_ready().await;
    wait_until("a sign-in", async || {
        site.sign_in("ann@x.org").await.status == 200
    })
    .await;
    let made = site.sign_up("bob@x.org").await;
    assert_eq!(made.status, 201, "{}", made.body);
}

#[tokio::test]
async fn rule_26_a_killed_server_is_said_in_time_and_its_return_is_noticed() {
    let mut server = Mariadb::start();
    let (url, limits) = in_a_hurry(&server.url());
    let site = Site::ready(&url).await;
    site.sign_up("ann@x.org").await;
    let token = site.token("ann@x.org").await;
    server.daemon().kill();
    is_away(&site, &token, limits).await;
    server.revive();
    is_back(&site).await;
}

#[tokio::test]
async fn rule_26_a_server_that_hangs_is_given_up_in_time_and_its_return_is_noticed() {
    let mut server = Mariadb::start();
    let (url, limits) = in_a_hurry(&server.url());
    let site = Site::ready(&url).await;
    site.sign_up("ann@x.org").await;
    let token = site.token("ann@x.org").await;
    server.daemon().signal("STOP");
    is_away(&site, &token, limits).await;
    server.daemon().signal("CONT");
    is_back(&site).await;
    // What the server was told before it woke up must not have been half done.
    let mut root = server.as_root().await;
    let select = "SELECT COUNT(*) FROM airside.users LEFT JOIN airside.audit_log
                  ON subject = users.id WHERE subject IS NULL";
    assert_eq!(root.query_first::<u32, _>(select).await.unwrap(), Some(0));
}

/// The connections that are not `ours`.
async fn others(root: &mut Conn, ours: &[Conn]) -> Vec<u32> {
    let select = "SELECT id FROM information_schema.processlist WHERE user = 'airside'";
    let mut ids: Vec<u32> = root.query(select).await.unwrap();
    ids.retain(|id| ours.iter().all(|conn| conn.id() != *id));
    ids
}

#[tokio::test]
async fn rule_26_a_server_without_a_free_connection_is_said_in_time() {
    let server = Mariadb::start();
    let (url, limits) = in_a_hurry(&server.url());
    let site = Site::ready(&url).await;
    site.sign_up("ann@x.org").await;
    let token = site.token("ann@x.org").await;
    let mut root = server.as_root().await;
    root.query_drop("SET GLOBAL max_connections = 10")
        .await
        .unwrap();
    let mut taken = Vec::new();
    let full = async || {
        match Conn::from_url(server.url()).await {
            Ok(one) => taken.push(one),
            Err(_) if others(&mut root, &taken).await.is_empty() => return true,
            // The gateway's own connections go last.
            Err(_) => {
                for id in others(&mut root, &taken).await {
                    // It may be gone by itself.
                    let _ = root.query_drop(format!("KILL {id}")).await;
                }
            }
        }
        false
    };
    wait_until("a full server", full).await;
    is_away(&site, &token, limits).await;
    assert!(site.gateway.stderr().contains("Too many connections"));
    drop(taken);
    is_back(&site).await;
}

#[tokio::test]
async fn rule_26_a_server_that_only_reads_is_said_in_time() {
    let server = Mariadb::start();
    let (url, limits) = in_a_hurry(&server.url());
    let site = Site::ready(&url).await;
    site.sign_up("ann@x.org").await;
    let token = site.token("ann@x.org").await;
    let mut root = server.as_root().await;
    root.query_drop("SET GLOBAL read_only = 1").await.unwrap();
    is_away(&site, &token, limits).await;
    // What changes nothing still works, at a gateway that starts only now, too: nothing is to be made.
    assert_eq!(site.ask(Method::GET, "/auth/me", &token).await.status, 200);
    let other = Site::start(&url);
    let why = async || other.readiness().await.1.to_string().contains("only reads");
    wait_until("the reason", why).await;
    root.query_drop("SET GLOBAL read_only = 0").await.unwrap();
    other.wait_until_ready().await;
    assert_eq!(other.sign_in("ann@x.org").await.status, 200);
    is_back(&site).await;
}

#[tokio::test]
async fn rule_26_a_locked_table_is_given_up_in_time_and_leaves_no_lock_behind() {
    let server = Mariadb::start();
    let (url, limits) = in_a_hurry(&server.url());
    let site = Site::ready(&url).await;
    site.sign_up("ann@x.org").await;
    let token = site.token("ann@x.org").await;
    let mut root = server.as_root().await;
    root.query_drop("LOCK TABLES airside.users WRITE, airside.roles WRITE")
        .await
        .unwrap();
    let begun = Instant::now();
    let refused = site.sign_up("bob@x.org").await;
    assert_eq!(refused.code(), (503, "overloaded"), "{}", refused.body);
    assert!(begun.elapsed() < limits + SLACK, "{:?}", begun.elapsed());
    assert_eq!(site.ask(Method::GET, "/guarded", &token).await.status, 200);
    root.query_drop("UNLOCK TABLES").await.unwrap();
    is_back(&site).await;
}
