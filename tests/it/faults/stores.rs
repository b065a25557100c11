//! Stores behind a slow network. Killed, stopped, full and read-only ones are in `mysql/outages`, `full_store` and
//! `limits/cluster/outages`.

use std::time::{Duration, Instant};

use redis::Commands;

use super::Bystander;
use crate::support::edge::{get, request, with_top};
use crate::support::mariadb::Mariadb;
use crate::support::origin::Origin;
use crate::support::people::{self, PASSWORD, Site};
use crate::support::redis::Redis;
use crate::support::relay::{Relay, Weather};
use crate::support::wait::{wait_for, wait_until};

#[tokio::test]
#[ignore = "a fault: run by `make test-faults`"]
async fn a_slow_database_slows_sign_ins_to_their_limit_and_touches_no_token() {
    let server = Mariadb::start();
    let relay = Relay::to(server.address());
    let there = server.address().to_string();
    let url = server.url().replace(&there, &relay.address().to_string());
    let store = format!("{url}?acquire_timeout=700ms&query_timeout=800ms&pool_max=4");
    let origin = Origin::start();
    let site = Site {
        airside: people::on(&origin, &store).start(),
        origin,
    };
    let admin = people::Api::at(site.airside.admin_url(""));
    let ready = async || people::Answer::to(admin.request("GET", "/readyz")).await;
    wait_until("/readyz", async || ready().await.status == 200).await;
    let (_, token) = site.api().join("ann@x.org").await;
    let authorization = format!("Bearer {token}");
    let asks = request("GET", "/members", &[("Authorization", &authorization)]);
    let bystander = Bystander::asking(site.airside.address(), asks);

    relay.turn(Weather::Slow(Duration::from_millis(20)));
    let signed_in = site.api().sign_in("ann@x.org", PASSWORD).await;
    assert_eq!(
        signed_in.status, 200,
        "slow is not away: {}",
        signed_in.body
    );

    relay.turn(Weather::Slow(Duration::from_secs(3)));
    for _ in 0..3 {
        let begun = Instant::now();
        let refused = site.api().sign_in("ann@x.org", PASSWORD).await;
        refused.refused(503, "overloaded");
        assert_eq!(refused.header("retry-after"), "1");
        // Both limits, and a second of a busy machine.
        let took = begun.elapsed();
        assert!(took < Duration::from_millis(2_500), "{took:?}");
    }
    let not_ready = ready().await;
    assert_eq!(not_ready.status, 503);
    assert!(
        not_ready.json()["not_ready"]["identity"].is_string(),
        "{}",
        not_ready.body
    );

    relay.turn(Weather::Clear);
    wait_until("a sign-in", async || {
        site.api().sign_in("ann@x.org", PASSWORD).await.status == 200
    })
    .await;
    wait_until("/readyz", async || ready().await.status == 200).await;
    tokio::task::spawn_blocking(|| bystander.was_untouched())
        .await
        .unwrap();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_slow_redis_costs_a_deadline_now_and_then_and_calls_are_counted_here_meanwhile() {
    let redis = Redis::start();
    let relay = Relay::to(redis.address());
    let origin = Origin::start();
    let top = format!(
        "redis: {{ url: \"redis://{}/0\", timeout: 100ms }}\n\
         limits: {{ all: {{ rate: 500/1h, scope: cluster }} }}",
        relay.address()
    );
    let routes = "  - { path: /counted, upstream: origin, limits: [all] }\n  - { path: /well, upstream: origin }\n";
    let airside = with_top(&top, routes).origin(&origin).start();
    let bystander = Bystander::of(&airside);
    let keys = || -> usize {
        let client = redis::Client::open(redis.url()).unwrap();
        let keys: Vec<String> = client
            .get_connection()
            .unwrap()
            .keys("airside:all:*")
            .unwrap();
        keys.len()
    };
    wait_for("calls in Redis", || {
        assert_eq!(airside.raw().exchange(get("/counted")).status, 200);
        keys() == 1
    });
    relay.turn(Weather::Slow(Duration::from_secs(2)));
    let begun = Instant::now();
    for _ in 0..100 {
        let answer = airside.raw().exchange(get("/counted"));
        assert_eq!(answer.status, 200);
        assert!(answer.head.header("ratelimit").is_some(), "it is counted");
    }
    // Ten seconds, if each call waited for its deadline.
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    wait_for("the log", || airside.stderr().contains("away"));
    relay.turn(Weather::Clear);
    wait_for("its return", || airside.stderr().contains("back"));
    assert_eq!(airside.raw().exchange(get("/counted")).status, 200);
    bystander.was_untouched();
}
