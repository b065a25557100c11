//! Failures at passwords, and what they slow down.

use std::net::IpAddr;
use std::sync::Arc;

use super::sessions::{Tokens, ann};
use super::*;
use crate::base::net::Peer;

const ELSEWHERE: &str = "198.51.100.7";
const HOME: &str = "192.0.2.1";

impl Site {
    /// A sign-in as the gateway brings it, from a client's address.
    async fn from(&self, client: &str, email: &str, password: &str) -> Answer {
        self.send(from(client, email, password)).await
    }

    /// Wrong sign-ins, one after another.
    async fn guess(&self, client: &str, email: &str, times: u32) {
        for _ in 0..times {
            let answer = self.from(client, email, "wrong horse").await;
            assert_eq!(answer.refusal(), refused(401, "invalid_credentials"));
        }
    }

    fn checks(&self) -> u64 {
        self.identity.password_checks()
    }

    /// How many rows of the throttle there are.
    fn rows(&self) -> u64 {
        let file = rusqlite::Connection::open(self._folder.path().join("data/airside.db"));
        let count = "SELECT COUNT(*) FROM auth_throttle";
        file.unwrap()
            .query_row(count, [], |row| row.get(0))
            .unwrap()
    }
}

fn from(client: &str, email: &str, password: &str) -> Request<Body> {
    let body = json!({ "email": email, "password": password });
    let mut request = json_request("POST", "/auth/signin", &body.to_string());
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", client.parse().unwrap());
    request
}

/// Without a limit for addresses, which all of a test's requests would share.
async fn open_to_all() -> Site {
    let site = site_with("throttle: { ip_per_minute: 0 }");
    site.sign_up("ann@example.com").await;
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_16_of_fifty_wrong_signins_at_once_five_are_hashed() {
    let site = Arc::new(open_to_all().await);
    for (round, email) in ["ann@example.com", "nobody@example.com"]
        .into_iter()
        .enumerate()
    {
        let tasks = (0..50).map(|index| {
            let site = Arc::clone(&site);
            // From as many addresses: the account is what counts.
            let client = format!("203.0.113.{index}");
            async move { site.from(&client, email, "wrong horse").await }
        });
        let answers = tasks.collect::<tokio::task::JoinSet<_>>().join_all().await;
        for answer in answers {
            assert_eq!(answer.refusal(), refused(401, "invalid_credentials"));
        }
        assert_eq!(site.checks(), 5 * (round as u64 + 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn right_signins_all_succeed_however_many_come_at_once() {
    let site = Arc::new(open_to_all().await);
    let tasks = (0..16).map(|_| {
        let site = Arc::clone(&site);
        async move { site.from(HOME, "ann@example.com", PASSWORD).await }
    });
    for answer in tasks.collect::<tokio::task::JoinSet<_>>().join_all().await {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn rule_16_an_accounts_delay_grows_and_ends() {
    let site = ann().await;
    site.guess(ELSEWHERE, "ann@example.com", 5).await;
    for delay in [1_000, 2_000, 4_000] {
        let before = site.checks();
        site.clock.advance(delay - 1);
        // The right password is not looked at either, and asking makes nobody wait for longer.
        let early = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
        assert_eq!(early.refusal(), refused(401, "invalid_credentials"));
        assert_eq!(site.checks(), before);
        site.clock.advance(1);
        site.guess(ELSEWHERE, "ann@example.com", 1).await;
        assert_eq!(site.checks(), before + 1);
    }
    site.clock.advance(8_000);
    let answer = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
    // That wiped the slate clean.
    site.guess(ELSEWHERE, "ann@example.com", 4).await;
    let answer = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn rule_16_strangers_lock_nobody_out_of_where_they_have_signed_in() {
    let site = open_to_all().await;
    let home = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(home.status, 200);
    for index in 0..20 {
        let stranger = format!("203.0.113.{index}");
        site.guess(&stranger, "ann@example.com", 1).await;
    }
    let stranger = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
    assert_eq!(stranger.refusal(), refused(401, "invalid_credentials"));
    // Also for a typo or two.
    site.guess(HOME, "ann@example.com", 4).await;
    let home = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(home.status, 200);
    // What the owner does from home gives the strangers nothing.
    let before = site.checks();
    site.guess(ELSEWHERE, "ann@example.com", 3).await;
    assert_eq!(site.checks(), before);
}

#[tokio::test]
async fn rule_16_a_network_that_is_known_has_a_delay_of_its_own() {
    let site = open_to_all().await;
    let home = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(home.status, 200);
    site.guess(HOME, "ann@example.com", 5).await;
    let before = site.checks();
    site.guess(HOME, "ann@example.com", 5).await;
    assert_eq!(site.checks(), before);
    let away = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
    assert_eq!(away.status, 200);
}

#[tokio::test]
async fn rule_16_an_address_that_fails_too_often_is_told_when_to_come_back() {
    let site = site_with("throttle: { ip_per_minute: 3 }");
    site.sign_up("ann@example.com").await;
    for index in 0..3 {
        // Each at another account; the last of them is none.
        let email = ["ann@example.com", "nobody@example.com", "no address"][index];
        site.guess(ELSEWHERE, email, 1).await;
    }
    site.clock.advance(20_500);
    let before = site.checks();
    let answer = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.refusal(), refused(429, "rate_limited"));
    assert_eq!(answer.header("retry-after"), "40");
    assert_eq!(site.checks(), before);
    for other in [HOME, "2001:db8::1"] {
        let answer = site.from(other, "ann@example.com", PASSWORD).await;
        assert_eq!(answer.status, 200, "{other}");
    }
    site.clock.advance(39_500);
    let answer = site.from(ELSEWHERE, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn whoever_signs_in_often_from_one_address_is_not_slowed_down() {
    let site = site_with("throttle: { ip_per_minute: 2 }");
    site.sign_up("ann@example.com").await;
    for _ in 0..6 {
        let answer = site.from(HOME, "ann@example.com", PASSWORD).await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn rule_16_only_a_peer_on_this_machine_is_believed_about_addresses() {
    let site = site_with("throttle: { ip_per_minute: 1 }");
    let ask = async |peer: &str, local: &str, said: &str| {
        let mut request = from(said, "ann@example.com", "wrong horse");
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let peer = Peer::of(ip(peer), ip(local));
        request.extensions_mut().insert(peer);
        site.send(request).await.status.as_u16()
    };
    // The gateway speaks for others.
    assert_eq!(ask("127.0.0.1", "127.0.0.1", "203.0.113.1").await, 401);
    assert_eq!(ask("127.0.0.1", "127.0.0.1", "203.0.113.1").await, 429);
    assert_eq!(ask("127.0.0.1", "127.0.0.1", "203.0.113.2").await, 401);
    // Another machine speaks for itself, whatever it says.
    assert_eq!(ask("198.51.100.9", "192.0.2.1", "203.0.113.3").await, 401);
    assert_eq!(ask("198.51.100.9", "192.0.2.1", "203.0.113.4").await, 429);
}

#[tokio::test]
async fn rule_16_the_current_password_is_not_guessed_with_a_stolen_token() {
    let site = ann().await;
    // Strangers who fail to sign in don't make the owner wait here.
    site.guess(ELSEWHERE, "ann@example.com", 6).await;
    site.clock.advance(1_000_000);
    let token = Tokens::of(&site.from(HOME, "ann@example.com", PASSWORD).await).access;
    let change = async |current: &str| {
        let body = json!({ "current_password": current, "new_password": "a new horse" });
        let mut request = json_request("POST", "/auth/password", &body.to_string());
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        site.send(request).await
    };
    let token_again = &token;
    for _ in 0..5 {
        let answer = change("wrong horse").await;
        assert_eq!(answer.refusal(), refused(422, "invalid_field"));
    }
    let answer = change(PASSWORD).await;
    assert_eq!(answer.refusal(), refused(429, "rate_limited"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(site.taken(token_again).await, 200);
    site.clock.advance(1_000);
    assert_eq!(change(PASSWORD).await.status, 204);
}

#[tokio::test]
async fn what_was_never_hashed_is_given_back() {
    let site = site_with("throttle: { account_failures: 1 }\npassword: { workers: 1, queue: 1 }");
    site.sign_up("ann@example.com").await;
    // Both places are taken, so that a sign-in gets none.
    let places = [(); 2].map(|()| site.identity.service().passwords.enter().unwrap());
    let answer = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.refusal(), refused(503, "busy"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(site.rows(), 0);
    drop(places);
    // Whoever hangs up in the queue is given back what was counted.
    let passwords = &site.identity.service().passwords;
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let blocking = passwords.occupy(wait);
    let mut left = Box::pin(site.from(HOME, "ann@example.com", "wrong horse"));
    let patience = std::time::Duration::from_millis(1);
    while site.rows() == 0 {
        let answer = tokio::time::timeout(patience, &mut left).await;
        assert!(answer.is_err());
    }
    drop(left);
    drop(release);
    blocking.await.unwrap();
    while site.rows() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.checks(), 0);
    let answer = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn whoever_hangs_up_while_the_attempt_is_counted_is_given_it_back_too() {
    let site = site_with("throttle: { account_failures: 1 }\npassword: { workers: 1, queue: 99 }");
    site.sign_up("ann@example.com").await;
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let blocking = site.identity.service().passwords.occupy(wait);
    for step in 0..40 {
        let patience = std::time::Duration::from_micros(25 * step);
        let left = site.from(HOME, "ann@example.com", "wrong horse");
        assert!(tokio::time::timeout(patience, left).await.is_err());
    }
    drop(release);
    blocking.await.unwrap();
    // Where one of them still counted, this one would have to wait for its end.
    let answer = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(site.checks(), 1);
}

#[tokio::test]
async fn a_throttle_that_is_switched_off_leaves_no_trace() {
    let off = "throttle: { account_failures: 0, ip_per_minute: 0 }";
    let site = site_with(off);
    site.sign_up("ann@example.com").await;
    site.guess(HOME, "ann@example.com", 8).await;
    assert_eq!((site.checks(), site.rows()), (8, 0));
    let answer = site.from(HOME, "ann@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
}
