//! Sessions through the gateway: what ends them ends their tokens at the edge, here at once and at another
//! gateway on the same database within a second.

use std::time::{Duration, Instant};

use super::*;
use crate::support::people::Api;

/// How soon another gateway must know.
const SOON: Duration = Duration::from_secs(1);

fn text(answer: &Answer, field: &str) -> String {
    answer.json()[field].as_str().unwrap().to_owned()
}

async fn say(api: &Api, path: &str, token: &str, body: Value) -> Answer {
    Answer::to(api.request("POST", path).bearer_auth(token).json(&body)).await
}

#[tokio::test]
async fn rule_17_a_session_goes_on_by_its_refresh_token_until_that_is_used_twice() {
    let site = Site::start();
    for (index, api) in site.both().iter().enumerate() {
        let email = format!("ann{index}@example.com");
        assert_eq!(api.sign_up(&email).await.status, 201);
        let first = api.sign_in(&email, PASSWORD).await;
        let refresh = async |token: &str| {
            api.post("/auth/refresh", &json!({ "refresh_token": token }))
                .await
        };
        let second = refresh(&text(&first, "refresh_token")).await;
        assert_eq!(second.status, 200, "{}", second.body);
        assert_eq!(second.header("cache-control"), "no-store");
        let access = text(&second, "access_token");
        assert_eq!(site.api().ask("GET", "/members", &access).await.status, 200);
        // Within the grace time the same successor comes back.
        let again = refresh(&text(&first, "refresh_token")).await;
        assert_eq!(
            text(&again, "refresh_token"),
            text(&second, "refresh_token")
        );
        refresh("no token")
            .await
            .refused(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn rule_18_what_is_ended_is_refused_by_the_edge_from_the_next_request_on() {
    let site = Site::start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, _) = api.join("ann@example.com").await;
    let disable = format!("/auth/admin/users/{id}/disable");
    let new = json!({ "current_password": PASSWORD, "new_password": "a seat in the aisle" });
    let user = "ann@example.com";
    let reached = site.origin.count();

    let token = api.token(user).await;
    assert_eq!(
        say(&api, "/auth/signout", &token, json!({ "scope": "current" }))
            .await
            .status,
        204
    );
    api.ask("GET", "/members", &token)
        .await
        .refused(401, "unauthenticated");

    let (token, other) = (api.token(user).await, api.token(user).await);
    assert_eq!(
        say(&api, "/auth/signout", &token, json!({ "scope": "all" }))
            .await
            .status,
        204
    );
    api.ask("GET", "/members", &other)
        .await
        .refused(401, "unauthenticated");

    let token = api.token(user).await;
    assert_eq!(say(&api, "/auth/password", &token, new).await.status, 204);
    api.ask("GET", "/members", &token)
        .await
        .refused(401, "unauthenticated");

    let signed_in = api.sign_in(user, "a seat in the aisle").await;
    let token = text(&signed_in, "access_token");
    assert_eq!(api.ask("GET", "/members", &token).await.status, 200);
    assert_eq!(api.ask("POST", &disable, &admin).await.status, 204);
    api.ask("GET", "/members", &token)
        .await
        .refused(401, "unauthenticated");
    assert_eq!(site.origin.count(), reached + 1);
}

#[tokio::test]
async fn rule_18_another_gateway_on_the_database_learns_of_it_within_a_second() {
    let origin = Origin::start();
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        people::set_up(&origin)
            .set("store", folder.path().join("data/airside.db").display())
            .set("keys", folder.path().join("data/keys").display())
            .start()
    };
    let (here, there) = (start(), start());
    let [here, there] = [&here, &there].map(|gateway| Api::at(gateway.url("")));
    let (_, mut token) = here.join("ann@example.com").await;
    for scope in ["current", "all", "current"] {
        assert_eq!(there.ask("GET", "/members", &token).await.status, 200);
        let ended = say(&here, "/auth/signout", &token, json!({ "scope": scope })).await;
        assert_eq!(ended.status, 204);
        let begun = Instant::now();
        while there.ask("GET", "/members", &token).await.status == 200 {
            assert!(
                begun.elapsed() < SOON,
                "{scope}: still taken after {:?}",
                begun.elapsed()
            );
        }
        token = here.token("ann@example.com").await;
    }
}

#[tokio::test]
async fn what_was_ended_stays_ended_when_the_gateway_is_killed_and_started_again() {
    let Site { airside, origin } = Site::start();
    let site = Site { airside, origin };
    let (_, token) = site.api().join("ann@example.com").await;
    let (_, kept) = site.api().join("bob@example.com").await;
    let ended = say(
        &site.api(),
        "/auth/signout",
        &token,
        json!({ "scope": "current" }),
    )
    .await;
    assert_eq!(ended.status, 204);
    let Site { airside, origin } = site;
    let site = Site {
        airside: airside.restart(),
        origin,
    };
    let api = site.api();
    api.ask("GET", "/members", &token)
        .await
        .refused(401, "unauthenticated");
    assert_eq!(api.ask("GET", "/members", &kept).await.status, 200);
}
