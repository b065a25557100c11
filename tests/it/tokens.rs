//! Tokens at the edge: who passes, who does not, and what the upstream learns of it.

use serde_json::json;

use crate::support::origin::Origin;
use crate::support::people::{self, Answer, PASSWORD, Site};
use crate::support::token::{self, Token};
use crate::support::wait::{PATIENCE, wait_for};

mod away;
mod issuers;
mod limits;
mod refused;

/// What the upstream gets of the caller, by these names.
const IDENTITY_HEADERS: [&str; 4] = [
    "x-auth-user",
    "x-auth-email",
    "x-auth-roles",
    "x-auth-issuer",
];

impl Site {
    /// What the latest request to the upstream says of its caller.
    fn caller(&self) -> [Option<String>; 4] {
        let request = self.origin.last();
        IDENTITY_HEADERS.map(|name| {
            assert!(request.head.all(name).count() <= 1, "{name} stands twice");
            request.header(name).map(str::to_owned)
        })
    }

    /// The names of the upstream's latest request that look like ours.
    fn auth_names(&self) -> Vec<String> {
        let request = self.origin.last();
        let names = request.head.headers.iter();
        let names = names.map(|(name, _)| name.to_lowercase().replace('_', "-"));
        let mut names: Vec<_> = names.filter(|name| name.starts_with("x-auth")).collect();
        names.sort();
        names
    }
}

fn some(values: [&str; 4]) -> [Option<String>; 4] {
    values.map(|value| Some(value.to_owned()))
}

#[tokio::test]
async fn the_upstream_learns_who_calls() {
    let site = Site::start();
    let api = site.api();
    let id = site.add("Ann@Example.com", &["customer", "flight_company"]);
    let token = api.token("ann@example.com").await;
    for path in ["/members", "/company", "/both"] {
        let answer = api.ask("GET", path, &token).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let expected = [&id, "Ann@Example.com", "customer,flight_company", "airside"];
        assert_eq!(site.caller(), some(expected), "{path}");
    }
    assert_eq!(site.origin.count(), 3);
}

#[tokio::test]
async fn an_address_beyond_ascii_reaches_the_upstream_as_utf_8() {
    let site = Site::start();
    let (id, token) = site.api().join("josé@example.com").await;
    let answer = site.api().ask("GET", "/members", &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let expected = [&id, "josé@example.com", "customer", "airside"];
    assert_eq!(site.caller(), some(expected));
}

#[tokio::test]
async fn what_a_client_says_of_itself_is_removed() {
    let site = Site::start();
    let api = site.api();
    let (id, token) = api.join("ann@example.com").await;
    let forged = |path: &str| {
        let request = api.request("GET", path).bearer_auth(&token);
        [
            "X-Auth-User",
            "X-Auth-User",
            "x-auth-email",
            "X-AUTH-ROLES",
            "x_auth_roles",
            "X_Auth-Issuer",
            "X-Auth-Anything",
        ]
        .into_iter()
        .fold(request, |request, name| request.header(name, "admin"))
    };
    assert_eq!(Answer::to(forged("/members")).await.status, 200);
    let expected = [&id, "ann@example.com", "customer", "airside"];
    assert_eq!(site.caller(), some(expected));
    let mut names = IDENTITY_HEADERS.to_vec();
    names.sort_unstable();
    assert_eq!(site.auth_names(), names);

    assert_eq!(Answer::to(forged("/public")).await.status, 200);
    assert_eq!(site.auth_names(), Vec::<String>::new());
}

#[tokio::test]
async fn a_public_route_ignores_tokens() {
    let site = Site::start();
    let api = site.api();
    let (_, token) = api.join("ann@example.com").await;
    for credential in [
        format!("Bearer {token}"),
        "Bearer nonsense".to_owned(),
        "Basic YTpi".to_owned(),
    ] {
        let request = api.request("GET", "/public");
        let answer = Answer::to(request.header("Authorization", &credential)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(site.auth_names(), Vec::<String>::new(), "{credential}");
    }
}

#[tokio::test]
async fn a_missing_role_is_403_and_reaches_no_upstream() {
    let site = Site::start();
    let api = site.api();
    let (_, customer) = api.join("ann@example.com").await;
    for path in ["/company", "/both"] {
        let answer = api.ask("GET", path, &customer).await;
        answer.refused(403, "forbidden");
    }
    site.add("bob@example.com", &["flight_company"]);
    let company = api.token("bob@example.com").await;
    let answer = api.ask("GET", "/both", &company).await;
    answer.refused(403, "forbidden");
    assert_eq!(site.origin.count(), 0);
    assert_eq!(api.ask("GET", "/company", &company).await.status, 200);
}

#[tokio::test]
async fn a_token_may_come_as_x_access_token_and_authorization_counts_before_it() {
    let site = Site::start();
    let api = site.api();
    let (ann, ann_token) = api.join("ann@example.com").await;
    let (bob, bob_token) = api.join("bob@example.com").await;
    let other = |token: &str| {
        let request = api.request("GET", "/members");
        request.header("X-Access-Token", token)
    };
    assert_eq!(Answer::to(other(&ann_token)).await.status, 200);
    assert_eq!(site.caller()[0].as_deref(), Some(ann.as_str()));
    let both = other(&ann_token).bearer_auth(&bob_token);
    assert_eq!(Answer::to(both).await.status, 200);
    assert_eq!(site.caller()[0].as_deref(), Some(bob.as_str()));
    let wrong_second = other("nonsense").bearer_auth(&bob_token);
    assert_eq!(Answer::to(wrong_second).await.status, 200);
    assert_eq!(site.origin.count(), 3);

    for first in ["Bearer nonsense", "Basic YTpi", "Bearer "] {
        let request = other(&ann_token).header("Authorization", first);
        Answer::to(request).await.refused(401, "unauthenticated");
    }
    Answer::to(other("nonsense"))
        .await
        .refused(401, "unauthenticated");
    assert_eq!(site.origin.count(), 3);
}

#[tokio::test]
async fn rule_6_two_credentials_of_a_kind_are_a_bad_request() {
    let site = Site::start();
    let api = site.api();
    let (_, token) = api.join("ann@example.com").await;
    for path in ["/members", "/company"] {
        let twice = api.request("GET", path);
        let twice = twice.bearer_auth(&token).bearer_auth(&token);
        Answer::to(twice).await.refused(400, "bad_request");
        let twice = api.request("GET", path);
        let twice = twice
            .header("x-access-token", &token)
            .header("x-access-token", &token);
        Answer::to(twice).await.refused(400, "bad_request");
    }
    assert_eq!(site.origin.count(), 0);
}

#[tokio::test]
async fn rule_23_nothing_secret_is_in_what_the_program_writes() {
    let site = Site::start();
    let api = site.api();
    let admin = site.admin("root@example.com").await;
    let (id, token) = api.join("ann@example.com").await;
    let wrong = "a password that is wrong";
    api.sign_in("ann@example.com", wrong).await;
    api.sign_up("ann@example.com").await;
    api.ask("GET", "/members?access_token=secret-query", &token)
        .await;
    api.ask("GET", "/company", &token).await;
    api.ask("GET", "/auth/me", &token).await;
    let path = format!("/auth/admin/users/{id}/roles/flight_company");
    api.ask("PUT", &path, &admin).await;
    let altered = token::altered(&token, 2, 3);
    api.ask("GET", "/members", &altered).await;
    let unreadable = api.request("POST", "/auth/signin").body(format!(
        "{{\"email\":\"ann@example.com\",\"password\":\"{PASSWORD}\""
    ));
    Answer::to(unreadable.header("Content-Type", "application/json")).await;

    site.airside.wait_for_access_log(11);
    let Site { mut airside, .. } = site;
    airside.daemon().signal("TERM");
    let ended = airside.daemon().wait_until_ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.is_empty(), "the log has something to look at");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [
        PASSWORD,
        wrong,
        &token,
        &admin,
        &altered,
        signature,
        "$2b$",
        "secret-query",
    ] {
        assert!(!ended.stdout.contains(secret), "stdout has {secret}");
        assert!(!ended.stderr.contains(secret), "stderr has {secret}");
    }
}
