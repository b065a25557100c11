//! Refresh tokens: replaced when they are used, and never good twice.

use super::sessions::{Tokens, ann};
use super::*;

#[tokio::test]
async fn rule_17_a_refresh_token_is_replaced_when_it_is_used() {
    let site = ann().await;
    let first = site.begin("ann@example.com").await;
    assert!(first.refresh.len() >= 43, "256 bits in base64url");
    site.clock.advance(60_000);
    let answer = site.refresh(&first.refresh).await;
    let second = Tokens::of(&answer);
    assert_ne!(second.refresh, first.refresh);
    assert_ne!(second.access, first.access);
    assert_eq!(answer.json()["user"]["email"], "ann@example.com");
    assert_eq!(answer.header("cache-control"), "no-store");
    let third = Tokens::of(&site.refresh(&second.refresh).await);
    assert_eq!(site.taken(&third.access).await, 200);
}

#[tokio::test]
async fn rule_17_within_the_grace_time_the_same_successor_comes_back() {
    let site = ann().await;
    let first = site.begin("ann@example.com").await;
    let second = Tokens::of(&site.refresh(&first.refresh).await);
    site.clock.advance(9_999);
    for _ in 0..3 {
        let again = Tokens::of(&site.refresh(&first.refresh).await);
        assert_eq!(again.refresh, second.refresh);
    }
    // Also when the successor was used meanwhile: two tabs of one browser.
    let third = Tokens::of(&site.refresh(&second.refresh).await);
    assert_eq!(
        Tokens::of(&site.refresh(&first.refresh).await).refresh,
        second.refresh
    );
    assert_eq!(
        Tokens::of(&site.refresh(&second.refresh).await).refresh,
        third.refresh
    );
}

#[tokio::test]
async fn rule_17_a_token_that_is_used_again_later_ends_the_session_for_both() {
    let site = ann().await;
    let first = site.begin("ann@example.com").await;
    let second = Tokens::of(&site.refresh(&first.refresh).await);
    let other = site.begin("ann@example.com").await;
    site.clock.advance(10_000);
    assert_eq!(
        site.refresh(&first.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );
    assert_eq!(
        site.refresh(&second.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );
    assert_eq!(
        (
            site.taken(&first.access).await,
            site.taken(&second.access).await
        ),
        (401, 401)
    );
    assert_eq!(site.taken(&other.access).await, 200);
    assert_eq!(site.refresh(&other.refresh).await.status, 200);
}

#[tokio::test]
async fn a_session_ends_by_its_age_and_by_lying_idle() {
    let site = site_with("refresh_token: { ttl: 1h, idle: 20m }");
    site.sign_up("ann@example.com").await;
    let mut tokens = site.begin("ann@example.com").await;
    for _ in 0..3 {
        site.clock.advance(19 * 60_000);
        tokens = Tokens::of(&site.refresh(&tokens.refresh).await);
    }
    site.clock.advance(3 * 60_000);
    assert_eq!(
        site.refresh(&tokens.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );

    let idle = site.begin("ann@example.com").await;
    site.clock.advance(20 * 60_000);
    assert_eq!(
        site.refresh(&idle.refresh).await.refusal(),
        refused(401, "invalid_refresh_token")
    );
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let site = ann().await;
    let tokens = site.begin("ann@example.com").await;
    let altered = format!("A{}", &tokens.refresh[1..]);
    let altered = if altered == tokens.refresh {
        format!("B{}", &tokens.refresh[1..])
    } else {
        altered
    };
    for wrong in ["", "x", &altered, &tokens.access] {
        assert_eq!(
            site.refresh(wrong).await.refusal(),
            refused(401, "invalid_refresh_token")
        );
    }
    for (body, code) in [
        (json!({}), "invalid_field"),
        (json!({ "refresh_token": "x", "id": 1 }), "unknown_field"),
    ] {
        assert_eq!(
            site.post("/auth/refresh", body).await.refusal(),
            refused(422, code)
        );
    }
    assert_eq!(site.refresh(&tokens.refresh).await.status, 200);
}

#[tokio::test]
async fn nothing_that_can_be_used_is_in_the_database() {
    let site = ann().await;
    let first = site.begin("ann@example.com").await;
    let second = Tokens::of(&site.refresh(&first.refresh).await);
    let folder = site._folder.path().join("data");
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    let raw = |token: &str| {
        use base64::Engine;
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(token)
            .unwrap()
    };
    for token in [&first.refresh, &second.refresh] {
        assert!(!bytes.windows(32).any(|part| part == raw(token)));
        assert!(
            !bytes
                .windows(token.len())
                .any(|part| part == token.as_bytes())
        );
    }
}
