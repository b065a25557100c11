//! Failures to sign in, over sockets and by several gateways on one database.

use std::path::Path;
use std::sync::Arc;

use airside::base::clock::Clock;
use airside::base::decode::Decode;
use airside::base::report::Report;
use airside::base::yaml;
use airside::identity::{Identity, config};
use axum::body::Body;
use axum::http::Request;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::support::mariadb::Mariadb;
use crate::support::origin::Origin;
use crate::support::people::{self, Answer, Api, PASSWORD, Site, account};

fn site(trusted: &str, throttle: &str) -> Site {
    let origin = Origin::start();
    let airside = people::set_up(&origin)
        .set("trusted", trusted)
        .set("throttle", throttle)
        .start();
    Site { airside, origin }
}

async fn guess(api: &Api, email: &str, forwarded_for: &[&str]) -> Answer {
    let mut request = api.request("POST", "/auth/signin");
    for line in forwarded_for {
        request = request.header("X-Forwarded-For", *line);
    }
    Answer::to(request.json(&account(email, "not the password"))).await
}

#[tokio::test]
async fn rule_16_no_header_of_the_clients_own_lets_it_escape_through_the_gateway() {
    let site = site("", "ip_per_minute: 4");
    let api = site.api();
    for index in 0..4 {
        let (one, two) = (format!("203.0.113.{index}"), format!("2001:db8:{index}::1"));
        let forged: &[&str] = match index {
            0 => &[&one],
            1 => &[&two, &one],
            2 => &["127.0.0.1", &one],
            _ => &[],
        };
        let answer = guess(&api, &format!("{index}@x.org"), forged).await;
        answer.refused(401, "invalid_credentials");
    }
    for forged in [&["198.51.100.1"][..], &["198.51.100.1", "10.0.0.1"], &[]] {
        let answer = guess(&api, "ann@x.org", forged).await;
        answer.refused(429, "rate_limited");
        let seconds: u32 = answer.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
    // Other headers that name a client are no better.
    for name in [
        "Forwarded",
        "X-Real-IP",
        "X_Forwarded_For",
        "True-Client-IP",
    ] {
        let request = api.request("POST", "/auth/signin");
        let request = request.header(name, "198.51.100.1");
        let request = request.json(&account("ann@x.org", PASSWORD));
        Answer::to(request).await.refused(429, "rate_limited");
    }
}

#[tokio::test]
async fn rule_16_behind_a_trusted_proxy_each_client_counts_by_itself() {
    let site = site("127.0.0.1, 10.0.0.0/8", "ip_per_minute: 2");
    let api = site.api();
    let first: &[&[&str]] = &[
        &["203.0.113.1"],
        // What the client wrote itself stands further left, and a second proxy further right.
        &["6.6.6.6, 203.0.113.1, 10.0.0.9"],
    ];
    for (index, forwarded_for) in first.iter().enumerate() {
        let answer = guess(&api, &format!("{index}@x.org"), forwarded_for).await;
        answer.refused(401, "invalid_credentials");
    }
    let third = guess(&api, "ann@x.org", &["7.7.7.7, 203.0.113.1"]).await;
    third.refused(429, "rate_limited");
    let other = guess(&api, "ann@x.org", &["203.0.113.2"]).await;
    other.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn rule_16_at_the_services_own_listener_the_peer_is_the_client() {
    let site = site("", "ip_per_minute: 2");
    let [_, own] = site.both();
    for index in 0..2 {
        let answer = guess(&own, &format!("{index}@x.org"), &[]).await;
        answer.refused(401, "invalid_credentials");
    }
    // The same client, by whatever way.
    for api in site.both() {
        let answer = guess(&api, "ann@x.org", &[]).await;
        answer.refused(429, "rate_limited");
    }
}

/// A gateway's identity service, without its gateway.
fn gateway(folder: &Path, store: &str, clock: &Clock) -> Identity {
    let config = format!(
        "store: \"{store}\"\npassword: {{ bcrypt_cost: 10, workers: 2, queue: 128 }}\n\
         throttle: {{ ip_per_minute: 0 }}\n"
    );
    let mut report = Report::default();
    let node = yaml::read(&config).unwrap();
    let config = config::Identity::decode(&node, &mut report).unwrap();
    assert!(!report.has_errors(), "{:?}", report.problems());
    Identity::open(&config, folder, clock.clone()).unwrap()
}

async fn sign_in(identity: &Identity, email: &str, password: &str) -> u16 {
    let request = Request::post("/auth/signin").header("content-type", "application/json");
    let body = Body::from(account(email, password).to_string());
    let router = identity.router(Arc::default());
    let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    response.status().as_u16()
}

/// Fifty at once at three gateways, on a clock that stands still.
async fn fifty_at_three_gateways(store: &str) {
    airside::token::install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::at(1_800_000_000_000);
    let gateways = [(); 3].map(|()| gateway(folder.path(), store, &clock));
    for identity in &gateways {
        identity.prepared().await.unwrap();
    }
    let service = gateways[0].service();
    service.add_user("ann@x.org", PASSWORD, &[]).await.unwrap();
    let checks = || gateways.iter().map(Identity::password_checks).sum::<u64>();
    for (email, password, expected) in [
        ("ann@x.org", "not the password", 5),
        ("nobody@x.org", "not the password", 10),
        // The right one is not looked at any more.
        ("ann@x.org", PASSWORD, 10),
    ] {
        let mut tasks = JoinSet::new();
        for index in 0..50 {
            let identity = gateways[index % 3].clone();
            tasks.spawn(async move { sign_in(&identity, email, password).await });
        }
        let statuses = tasks.join_all().await;
        assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
        assert_eq!(checks(), expected, "{email}");
    }
    clock.advance(1_000);
    assert_eq!(sign_in(&gateways[2], "ann@x.org", PASSWORD).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_16_of_fifty_at_three_gateways_on_sqlite_five_are_hashed() {
    fifty_at_three_gateways("sqlite:airside.db").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_16_of_fifty_at_three_gateways_on_mysql_five_are_hashed() {
    let server = Mariadb::shared();
    let url = server.new_database("fifty").await;
    fifty_at_three_gateways(&format!("{url}?acquire_timeout=30s&query_timeout=30s")).await;
}
