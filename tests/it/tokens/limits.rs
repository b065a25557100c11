//! Limits that count users: by who they are, not by where they call from.

use super::*;

#[tokio::test]
async fn two_users_have_counts_of_their_own() {
    let site = Site::start();
    let api = site.api();
    let (_, ann) = api.join("ann@example.com").await;
    let (_, bob) = api.join("bob@example.com").await;
    for left in ["2", "1", "0"] {
        for token in [&ann, &bob] {
            let answer = api.ask("GET", "/counted", token).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let limit = answer.header("ratelimit");
            assert!(limit.contains(&format!("r={left}")), "{limit}");
        }
    }
    for token in [&ann, &bob] {
        let answer = api.ask("GET", "/counted", token).await;
        answer.refused(429, "rate_limited");
        let wait: u64 = answer.header("retry-after").parse().unwrap();
        // Three calls of the window before count until a third of the next one has passed.
        assert!((4_700..=4_800).contains(&wait), "{wait}");
    }
    assert_eq!(site.origin.count(), 6);
}

#[tokio::test]
async fn one_user_has_one_count_wherever_they_call_from() {
    let site = Site::start();
    let api = site.api();
    let (_, first) = api.join("ann@example.com").await;
    let second = api.token("ann@example.com").await;
    let from = async |address: &str, token: &str| {
        let request = api.request("GET", "/counted").bearer_auth(token);
        Answer::to(request.header("X-Forwarded-For", address)).await
    };
    assert_eq!(from("192.0.2.1", &first).await.status, 200);
    assert_eq!(from("192.0.2.2", &first).await.status, 200);
    // Another sign-in is the same user.
    assert_eq!(from("2001:db8::1", &second).await.status, 200);
    let fourth = from("192.0.2.4", &second).await;
    fourth.refused(429, "rate_limited");
    let log = site.airside.wait_for_access_log(7);
    let clients: Vec<_> = log
        .iter()
        .filter(|line| line["path"] == "/counted")
        .map(|line| line["client"].as_str().unwrap())
        .collect();
    assert_eq!(
        clients,
        ["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.4"]
    );
}

#[tokio::test]
async fn whom_no_valid_token_names_is_counted_as_nobody() {
    let site = Site::start();
    let api = site.api();
    let (_, token) = api.join("ann@example.com").await;
    for _ in 0..5 {
        let forged = token::altered(&token, 2, 7);
        let answer = api.ask("GET", "/counted", &forged).await;
        answer.refused(401, "unauthenticated");
    }
    for _ in 0..3 {
        assert_eq!(api.ask("GET", "/counted", &token).await.status, 200);
    }
}
