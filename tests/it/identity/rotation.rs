//! `airside keys`, and what a rotation is to those who hold tokens.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::support::people::Api;
use crate::support::server::Airside;
use crate::support::token::decode;
use crate::support::wait::{wait_for, wait_until};

/// Runs a command that must succeed, and gives what it printed.
#[track_caller]
fn keys(airside: &Airside, arguments: &[&str]) -> String {
    let output = airside.command(&[&["keys"], arguments].concat(), "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Each key's state, the first published first.
fn states(airside: &Airside) -> Vec<String> {
    let listed: Value =
        serde_json::from_str(&keys(airside, &["list", "--format", "json"])).unwrap();
    let listed = listed.as_array().unwrap().iter();
    listed
        .map(|key| key["state"].as_str().unwrap().to_owned())
        .collect()
}

fn kid_of(token: &str) -> String {
    let header: Value = serde_json::from_slice(&decode(token.split('.').next().unwrap())).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

async fn published(api: &Api) -> Vec<String> {
    let jwks = Answer::to(api.request("GET", "/.well-known/jwks.json")).await;
    let jwks = jwks.json();
    let kids = jwks["keys"].as_array().unwrap().iter();
    kids.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// Signs in until that is done with the key.
async fn token_of(api: &Api, email: &str, kid: &str) -> String {
    let mut token = String::new();
    wait_until("a token of the new key", async || {
        token = api.token(email).await;
        kid_of(&token) == kid
    })
    .await;
    token
}

#[tokio::test]
async fn rule_24_a_rotation_under_load_refuses_nobody() {
    let site = Site::start();
    let api = site.api();
    let (_, old) = api.join("ann@example.com").await;
    let (over, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let mut load = JoinSet::new();
    for worker in 0..4 {
        let (api, old) = (site.api(), old.clone());
        let (over, asked) = (over.clone(), asked.clone());
        load.spawn(async move {
            let mut new = old.clone();
            for round in 0_usize.. {
                if over.load(Ordering::Relaxed) && asked.load(Ordering::Relaxed) >= 1_000 {
                    return;
                }
                // Half of them with the token from before, half with one of now.
                if worker % 2 == 0 && round % 10 == 0 {
                    new = api.token("ann@example.com").await;
                }
                for token in [&old, &new] {
                    let answer = api.ask("GET", "/members", token).await;
                    assert_eq!(answer.status, 200, "{round}: {}", answer.body);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    let rotated = keys(&site.airside, &["rotate"]);
    let next = rotated.trim();
    let kids = [kid_of(&old), next.to_owned()];
    // It is published before it signs.
    wait_until("its publication", async || published(&api).await == kids).await;
    let new = token_of(&api, "ann@example.com", next).await;
    for token in [&old, &new] {
        assert_eq!(api.ask("GET", "/members", token).await.status, 200);
        assert_eq!(api.ask("GET", "/auth/me", token).await.status, 200);
    }
    over.store(true, Ordering::Relaxed);
    while let Some(done) = load.join_next().await {
        done.expect("no request was refused");
    }
    assert_eq!(states(&site.airside), ["retiring", "active"]);
    assert_eq!(published(&api).await, kids);
    assert!(site.airside.stderr().contains(next));
}

#[tokio::test]
async fn rule_24_a_retired_key_is_gone_from_everywhere_and_a_restart_changes_nothing() {
    let site = Site::start();
    let (_, old) = site.api().join("ann@example.com").await;
    let next = keys(&site.airside, &["rotate"]).trim().to_owned();
    // Before it signs, in the middle of it all.
    let Site { airside, origin } = site;
    let airside = airside.restart();
    let site = Site { airside, origin };
    let api = site.api();
    let new = token_of(&api, "ann@example.com", &next).await;
    assert_eq!(api.ask("GET", "/members", &old).await.status, 200);
    let folder = site.airside.folder().to_owned();
    assert!(folder.join("keys/signing.pk8").exists());

    // As if its last token had expired.
    let database = rusqlite::Connection::open(folder.join("airside.db")).unwrap();
    let sql = "UPDATE signing_keys SET retiring_at = 1 WHERE retiring_at IS NOT NULL";
    assert_eq!(database.execute(sql, []).unwrap(), 1);
    let only_new = async || published(&api).await == [next.clone()];
    wait_until("its end", only_new).await;
    let refused = api.ask("GET", "/members", &old).await;
    refused.refused(401, "unauthenticated");
    assert_eq!(api.ask("GET", "/members", &new).await.status, 200);
    wait_for("the end of its file", || {
        !folder.join("keys/signing.pk8").exists()
    });
    assert_eq!(states(&site.airside), ["retired", "active"]);

    let Site { airside, origin } = site;
    let airside = airside.restart();
    let site = Site { airside, origin };
    assert_eq!(published(&site.api()).await, [next]);
    assert_eq!(site.api().ask("GET", "/members", &new).await.status, 200);
    let refused = site.api().ask("GET", "/members", &old).await;
    refused.refused(401, "unauthenticated");
    // Who did it all.
    let mut audit = database
        .prepare("SELECT actor || ' ' || action FROM audit_log WHERE action LIKE 'key_%'")
        .unwrap();
    let rows = audit.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows: Vec<_> = rows.map(Result::unwrap).collect();
    assert_eq!(
        rows,
        [
            "upkeep key_published",
            "upkeep key_activated",
            "shell key_published",
            "upkeep key_activated",
            "upkeep key_retiring",
            "upkeep key_retired"
        ]
    );
}

#[tokio::test]
async fn rule_24_a_stolen_key_ends_at_once_and_only_after_another_signs() {
    let site = Site::start();
    let api = site.api();
    let (_, stolen) = api.join("ann@example.com").await;
    let kid = kid_of(&stolen);
    let retire = |kid: &str| site.airside.command(&["keys", "retire", kid], "");
    let refused = |kid: &str, words: &str| {
        let output = retire(kid);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(output.stdout.is_empty() && said.contains(words), "{said}");
    };
    refused("nobody", "no key is called `nobody`");
    refused("-nobody", "no key is called `-nobody`");
    refused(&kid, "airside keys rotate");
    let next = keys(&site.airside, &["rotate"]).trim().to_owned();
    // Published is not enough: nobody could sign until it is active.
    refused(&kid, "the only one to sign with");
    let new = token_of(&api, "ann@example.com", &next).await;
    for token in [&stolen, &new] {
        assert_eq!(api.ask("GET", "/members", token).await.status, 200);
    }

    assert_eq!(keys(&site.airside, &["retire", &kid]).trim(), kid);
    let begun = std::time::Instant::now();
    wait_until("the end of the stolen key's token", async || {
        api.ask("GET", "/members", &stolen).await.status == 401
    })
    .await;
    assert!(begun.elapsed().as_secs_f64() < 1.0, "{:?}", begun.elapsed());
    let answer = api.ask("GET", "/members", &stolen).await;
    answer.refused(401, "unauthenticated");
    assert_eq!(api.ask("GET", "/auth/me", &stolen).await.status, 401);
    assert_eq!(api.ask("GET", "/members", &new).await.status, 200);
    assert_eq!(published(&api).await, [next.as_str()]);
    assert_eq!(states(&site.airside), ["retired", "active"]);
    assert!(!site.airside.folder().join("keys/signing.pk8").exists());
    refused(&kid, "is retired already");
    refused(&next, "the only one to sign with");
    assert_eq!(kid_of(&api.token("ann@example.com").await), next);
    let database = rusqlite::Connection::open(site.airside.folder().join("airside.db")).unwrap();
    let sql = "SELECT actor || ' ' || subject || ' ' || detail FROM audit_log WHERE action = 'key_retired'";
    let row: String = database.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(row, format!("shell {kid} at once"));
}

#[test]
fn keys_are_listed_for_people_and_for_programs() {
    let set_up = people::set_up(&Origin::start());
    let output = set_up.command(&["keys", "rotate"], "");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let next = String::from_utf8(output.stdout).unwrap();
    let next = next.trim();
    // Nobody runs, so that it waits; a second one has to wait for it.
    let again = set_up.command(&["keys", "rotate"], "");
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains(next));

    let table = set_up.command(&["keys", "list"], "");
    let table = String::from_utf8(table.stdout).unwrap();
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        ["KEY", "ALGORITHM", "STATE", "SINCE", "PRIVATE", "HALF"]
    );
    assert_eq!(
        (lines.len(), lines[1][1], lines[1][2]),
        (3, "EdDSA", "active")
    );
    assert_eq!(lines[2][..3], [next, "EdDSA", "next"]);
    assert_eq!(lines[2][4..], ["here"]);
    let json = set_up.command(&["keys", "list", "--format", "json"], "");
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let key = &json[1];
    assert_eq!(
        keys_of(key),
        [
            "active_at",
            "algorithm",
            "here",
            "kid",
            "published_at",
            "retired_at",
            "retiring_at",
            "state"
        ]
    );
    assert_eq!(
        (&key["state"], &key["here"]),
        (&json!("next"), &json!(true))
    );
    assert_eq!(
        (&key["kid"], &key["active_at"]),
        (&json!(next), &Value::Null)
    );
}

#[test]
fn what_cannot_be_rotated_says_why() {
    let refused = |set_up: crate::support::server::SetUp, code: i32, words: &str| {
        let output = set_up.command(&["keys", "rotate"], "");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(output.stdout.is_empty() && said.contains(words), "{said}");
    };
    let set_up = || people::set_up(&Origin::start());
    let secret = ", algorithm: HS256, secret: 5bcb58c3a1a44b0d8f2f4c9bd0d1e6f7";
    refused(
        set_up().set("signing", secret),
        1,
        "identity.access_token.secret",
    );
    let shared = set_up().set("signing", secret);
    let output = shared.command(&["keys", "retire", "k"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("identity.access_token.secret"), "{said}");
    refused(set_up().set("store", ":memory:"), 1, "memory");
    refused(set_up().set("signing", ", algorithm: RS512"), 1, "RS512");
    let usage = set_up().command(&["keys", "revolve"], "");
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}

#[test]
fn rule_23_any_key_that_others_may_read_stops_the_start_and_the_shell() {
    let set_up = people::set_up(&Origin::start());
    let rotated = set_up.command(&["keys", "rotate"], "");
    assert_eq!(rotated.status.code(), Some(0), "{rotated:?}");
    let next = String::from_utf8(rotated.stdout).unwrap();
    let list = set_up.command(&["keys", "list"], "");
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let folder = set_up.folder().join("keys");
    let file = folder.join(format!("{}.pk8", next.trim()));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let list = set_up.command(&["keys", "list"], "");
    let ended = set_up.run_to_its_end();
    for (code, said) in [
        (list.status.code(), String::from_utf8_lossy(&list.stderr)),
        (ended.status.code(), ended.stderr.as_str().into()),
    ] {
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("chmod 600"), "{said}");
    }
}

#[test]
fn rule_5_an_rsa_key_of_less_than_2048_bits_stops_the_start() {
    let set_up = people::set_up(&Origin::start()).set("signing", ", algorithm: RS256");
    // Makes a right one, so that it is the other that is refused.
    let list = set_up.command(&["keys", "list"], "");
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    let short = include_bytes!("../../../src/token/sign/rsa-1024.pk8");
    let file = set_up.folder().join("keys/short.pk8");
    std::fs::write(&file, short).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let ended = set_up.run_to_its_end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for word in ["short.pk8", "2048 bits"] {
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
}
