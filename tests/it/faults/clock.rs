//! The system's clock is put forward by a day, and back by an hour.

use std::fs;
use std::path::{Path, PathBuf};

use super::Bystander;
use crate::support::edge::get;
use crate::support::origin::Origin;
use crate::support::people::{self, PASSWORD, Site};
use crate::support::server::Airside;
use crate::support::wait::wait_until;

/// What comes between a program and the clock.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = found.find(|file| file.exists());
    found.expect("libfaketime; scripts/install-test-deps installs it")
}

/// Puts the gateway's clock off by so much from now on, in one step.
fn put(airside: &Airside, offset: &str) {
    let draft = airside.folder().join("clock.draft");
    fs::write(&draft, offset).unwrap();
    fs::rename(draft, clock(airside.folder())).unwrap();
}

fn clock(folder: &Path) -> PathBuf {
    folder.join("clock")
}

async fn status(site: &Site, path: &str, token: &str) -> u16 {
    site.api().ask("GET", path, token).await.status
}

#[tokio::test]
#[ignore = "a fault: run by `make test-faults`"]
async fn a_clock_that_is_put_moves_tokens_and_no_deadline_or_count() {
    let origin = Origin::start();
    let set_up = people::set_up_with(
        &origin,
        "  - { path: /well, upstream: origin, auth: public }\n",
    );
    let file = clock(set_up.folder());
    fs::write(&file, "+0").unwrap();
    let airside = set_up
        .env("LD_PRELOAD", library().display())
        .env("FAKETIME_TIMESTAMP_FILE", file.display())
        .env("FAKETIME_NO_CACHE", 1)
        // As in life: only the wall clock is put.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", 1)
        .start();
    let site = Site { airside, origin };
    let bystander = Bystander::asking(site.airside.address(), get("/well"));
    let api = site.api();
    let (_, first) = api.join("ann@x.org").await;
    let ended = api.token("ann@x.org").await;
    assert_eq!(status(&site, "/members", &first).await, 200);
    let left = Answered::of(&site, &first).await;
    assert_eq!(left.status, 200);
    let scope = serde_json::json!({ "scope": "current" });
    let signed_out = api.request("POST", "/auth/signout").bearer_auth(&ended);
    let signed_out = people::Answer::to(signed_out.json(&scope)).await;
    assert_eq!(signed_out.status, 204, "{}", signed_out.body);
    assert_eq!(status(&site, "/members", &ended).await, 401);

    put(&site.airside, "+1d");
    wait_until("the new day", async || {
        status(&site, "/members", &first).await == 401
    })
    .await;
    let refused = api.ask("GET", "/members", &first).await;
    refused.refused(401, "unauthenticated");
    let second = api.sign_in("ann@x.org", PASSWORD).await;
    assert_eq!(second.status, 200, "{}", second.body);
    let second = second.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(status(&site, "/members", &second).await, 200);
    // Three an hour: a day of the wall clock is none of the limit's.
    for expected in [200, 200, 429] {
        assert_eq!(Answered::of(&site, &second).await.status, expected);
    }
    // Until the window before has left enough room: never longer than two of them.
    let wait = Answered::of(&site, &second).await.retry_after;
    assert!((1..=7_200).contains(&wait), "{wait}");

    put(&site.airside, "-1h");
    // It is of tomorrow now, and the first one of in an hour.
    for token in [&second, &first] {
        wait_until("yesterday", async || {
            status(&site, "/members", token).await == 401
        })
        .await;
    }
    let third = api.token("ann@x.org").await;
    assert_eq!(status(&site, "/members", &third).await, 200);
    assert_eq!(Answered::of(&site, &third).await.status, 429);

    put(&site.airside, "+0");
    wait_until("the right time", async || {
        status(&site, "/members", &first).await == 200
    })
    .await;
    assert_eq!(
        status(&site, "/members", &ended).await,
        401,
        "what was ended stays ended"
    );
    assert_eq!(
        status(&site, "/members", &second).await,
        401,
        "it is not tomorrow yet"
    );
    assert_eq!(status(&site, "/members", &third).await, 401, "it is over");
    tokio::task::spawn_blocking(|| bystander.was_untouched())
        .await
        .unwrap();
}

/// An answer of the route that is counted by user.
struct Answered {
    status: u16,
    retry_after: u64,
}

impl Answered {
    async fn of(site: &Site, token: &str) -> Self {
        let answer = site.api().ask("GET", "/counted", token).await;
        Self {
            status: answer.status,
            retry_after: answer.header("retry-after").parse().unwrap_or_default(),
        }
    }
}
