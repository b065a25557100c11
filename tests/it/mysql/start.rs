//! Starting while the server is away, says no, or is asked by many.

use mysql_async::prelude::Queryable;
use reqwest::Method;

use super::{SLACK, Site, schema, set_up};
use crate::support::http::client;
use crate::support::mariadb::Mariadb;
use crate::support::wait::{PATIENCE, until, wait_for};

#[tokio::test]
async fn rule_26_a_gateway_that_starts_before_its_database_serves_and_waits_for_it() {
    let mut server = Mariadb::start();
    let url = format!("{}?acquire_timeout=500ms&query_timeout=500ms", server.url());
    let first = Site::ready(&url).await;
    first.sign_up("ann@x.org").await;
    let token = first.token("ann@x.org").await;
    let Site {
        mut gateway,
        _origin,
        ..
    } = first;
    gateway.daemon().kill();
    server.daemon().kill();

    // The signing key is the folder's, so that the token is still good.
    let site = Site {
        gateway: gateway.restart(),
        client: client(),
        _origin,
    };
    assert_eq!(site.ask(Method::GET, "/guarded", &token).await.status, 200);
    let begun = std::time::Instant::now();
    let refused = site.sign_in("ann@x.org").await;
    assert_eq!(
        (refused.code(), refused.retry_after),
        ((503, "overloaded"), Some(1))
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(1) + SLACK);
    let (status, body) = site.readiness().await;
    assert_eq!(status, 503);
    assert!(body["not_ready"]["identity"].is_string(), "{body}");
    let said = "the users' database can't be used";
    wait_for("a line of log", || site.gateway.stderr().contains(said));

    server.revive();
    site.wait_until_ready().await;
    assert_eq!(site.sign_in("ann@x.org").await.status, 200);
}

#[tokio::test]
async fn rule_25_four_gateways_may_start_at_once_on_an_empty_database() {
    let server = Mariadb::shared();
    let url = server.new_database("four").await;
    let sites: Vec<Site> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| Site::start(&url))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for site in &sites {
        site.wait_until_ready().await;
    }
    let mut conn = mysql_async::Conn::from_url(&url).await.unwrap();
    let steps: Vec<u32> = conn
        .query("SELECT version FROM schema_steps WHERE done_at IS NOT NULL ORDER BY version")
        .await
        .unwrap();
    let all: Vec<_> = schema::steps()
        .iter()
        .map(|step| schema::number(step))
        .collect();
    assert_eq!(steps, all);
    let made: Vec<String> = conn
        .query("SELECT subject FROM audit_log WHERE actor = 'start' ORDER BY subject")
        .await
        .unwrap();
    assert_eq!(made, ["admin", "customer"]);
    assert_eq!(sites[0].sign_up("ann@x.org").await.status, 201);
    for site in &sites {
        assert_eq!(site.sign_in("ann@x.org").await.status, 200);
    }
}

#[tokio::test]
async fn rule_25_a_gateway_waits_while_another_changes_the_schema() {
    let server = Mariadb::shared();
    let url = server.new_database("wait").await;
    let mut other = mysql_async::Conn::from_url(&url).await.unwrap();
    let lock = "SELECT GET_LOCK(CONCAT('airside_migrate_', MD5(DATABASE())), 0)";
    assert_eq!(other.query_first::<u32, _>(lock).await.unwrap(), Some(1));
    let site = Site::start(&url);
    let waits = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock'";
    let mut root = server.as_root().await;
    crate::support::wait::wait_until("a process that waits", async || {
        root.query_first::<u32, _>(waits).await.unwrap() >= Some(1)
    })
    .await;
    assert_eq!(site.readiness().await.0, 503);
    assert!(
        other
            .query::<String, _>("SHOW TABLES")
            .await
            .unwrap()
            .is_empty()
    );
    other.disconnect().await.unwrap();
    site.wait_until_ready().await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
}

#[tokio::test]
async fn rule_23_wrong_credentials_are_said_loudly_and_without_the_password() {
    let server = Mariadb::start();
    let url = server.url().replace("in-tests-only", "hunter2");
    let site = Site::start(&url);
    let denied = async || {
        site.readiness()
            .await
            .1
            .to_string()
            .contains("Access denied")
    };
    crate::support::wait::wait_until("the reason in /readyz", denied).await;
    wait_for("the reason in the log", || {
        site.gateway.stderr().contains("Access denied")
    });
    assert!(
        !site.gateway.stderr().contains("hunter2"),
        "{}",
        site.gateway.stderr()
    );
    assert!(!site.readiness().await.1.to_string().contains("hunter2"));
    assert_eq!(site.sign_in("ann@x.org").await.status, 503);
    // Put right on the server, it is right without a restart.
    let mut root = server.as_root().await;
    let change = "ALTER USER 'airside'@'127.0.0.1' IDENTIFIED BY 'hunter2'";
    root.query_drop(change).await.unwrap();
    site.wait_until_ready().await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
}

#[test]
fn a_file_of_authorities_that_is_not_there_stops_the_start() {
    let (set_up, _origin) = set_up("mysql://u:hunter2@127.0.0.1:1/d?require_ssl=true&ca=no-ca.pem");
    let ended = set_up.run_to_its_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("no-ca.pem"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn the_shell_says_in_time_that_the_database_is_away() {
    let address = crate::support::port::free();
    let (set_up, _origin) = set_up(&format!("mysql://u:hunter2@{address}/d"));
    let add = ["user", "add", "ann@x.org", "--password-stdin"];
    for arguments in [&add[..], &["migrate"]] {
        let begun = std::time::Instant::now();
        let output = until(PATIENCE, || {
            Some(set_up.command(arguments, "correct horse"))
        })
        .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(75), "{said}");
        assert!(
            said.contains("refused") && !said.contains("hunter2"),
            "{said}"
        );
        assert!(begun.elapsed() < PATIENCE);
    }
}
