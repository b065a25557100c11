//! Servers by name: resolved beside requests, followed, and kept while DNS is away.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::view;
use crate::support::dns::Dns;
use crate::support::edge::{self, assert_refused, get};
use crate::support::http::client;
use crate::support::origin::Origin;
use crate::support::port;
use crate::support::server::{Airside, SetUp};
use crate::support::wait::wait_until;

const ROUTES: &str =
    "  - { path: /*, upstream: origin }\n  - { path: /own, respond: { body: here } }";

/// A gateway whose upstream is `svc.test` on this port.
fn set_up(dns: &Dns, port: u16, keys: &str) -> SetUp {
    let top = format!("upstreams:\n  origin: {{ servers: [\"svc.test:{port}\"], {keys} }}");
    edge::with_top(&top, ROUTES).env("AIRSIDE_DNS", dns.address())
}

/// Servers on one port of two addresses.
fn two() -> (Origin, Origin, u16) {
    let first = port::free();
    let second = SocketAddr::from(([127, 0, 0, 2], first.port()));
    (
        Origin::start_at(first),
        Origin::start_at(second),
        first.port(),
    )
}

async fn addresses(airside: &Airside) -> BTreeSet<String> {
    let view = view(airside).await;
    let servers = view["servers"].as_array().unwrap().iter();
    servers
        .map(|server| server["address"].as_str().unwrap().to_owned())
        .collect()
}

async fn wait_for_addresses(airside: &Airside, expected: &[&Origin]) {
    let expected: BTreeSet<_> = expected
        .iter()
        .map(|origin| origin.address().to_string())
        .collect();
    wait_until(&format!("{expected:?}"), async || {
        addresses(airside).await == expected
    })
    .await;
}

async fn ready(airside: &Airside) -> u16 {
    let answer = client().get(airside.admin_url("/readyz")).send().await;
    answer.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_a_name_is_used_and_a_change_is_followed() {
    let (one, two, port) = two();
    let dns = Dns::start();
    dns.tell("svc.test", &["127.0.0.1", "127.0.0.2"], 300);
    let airside = set_up(
        &dns,
        port,
        "resolve: 50ms, balance: round_robin, host: upstream",
    )
    .start();
    wait_for_addresses(&airside, &[&one, &two]).await;
    for _ in 0..10 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    assert_eq!((one.count(), two.count()), (5, 5));
    let seen = one.last();
    assert_eq!(seen.header("host"), Some(&*format!("svc.test:{port}")));
    assert_eq!(seen.header("x-forwarded-host"), Some("edge.test"));
    dns.tell("svc.test", &["127.0.0.2"], 300);
    wait_for_addresses(&airside, &[&two]).await;
    for _ in 0..4 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    assert_eq!((one.count(), two.count()), (5, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_answer_is_kept_while_dns_is_away_and_new_ones_are_taken_after() {
    let (one, two, port) = two();
    let dns = Dns::start();
    dns.tell("svc.test", &["127.0.0.1"], 300);
    let airside = set_up(&dns, port, "resolve: 50ms").start();
    wait_for_addresses(&airside, &[&one]).await;
    dns.fail(true);
    let asked = dns.asked();
    wait_until("a failed question", async || dns.asked() > asked + 1).await;
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    let told = || airside.stderr().contains("its last addresses are kept");
    wait_until("the log", async || told()).await;
    dns.tell("svc.test", &["127.0.0.2"], 300).fail(false);
    wait_for_addresses(&airside, &[&two]).await;
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    assert_eq!(two.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_starts_without_dns_serves_what_needs_none_and_the_rest_later() {
    let (one, _two, port) = two();
    let dns = Dns::start();
    dns.fail(true);
    let airside = set_up(&dns, port, "resolve: 50ms").start();
    assert_eq!(airside.raw().exchange(get("/own")).text(), "here");
    let answer = airside.raw().exchange(get("/a"));
    assert_refused(&answer, 503, "no_healthy_upstream");
    // It was asked in vain: waiting for more would keep the rest out of service.
    wait_until("readiness", async || ready(&airside).await == 200).await;
    let told = || airside.stderr().contains("it has no server");
    wait_until("the log", async || told()).await;
    dns.tell("svc.test", &["127.0.0.1"], 300).fail(false);
    wait_for_addresses(&airside, &[&one]).await;
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_resolve_a_name_is_asked_for_again_when_its_answer_expires() {
    let (one, two, port) = two();
    let dns = Dns::start();
    dns.tell("svc.test", &["127.0.0.1"], 1);
    let airside = set_up(&dns, port, "").start();
    wait_for_addresses(&airside, &[&one]).await;
    dns.tell("svc.test", &["127.0.0.2"], 3_600);
    wait_for_addresses(&airside, &[&two]).await;
    let asked = dns.asked();
    dns.tell("svc.test", &["127.0.0.1"], 1);
    // The answer holds for an hour now: nobody asks.
    for _ in 0..20 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    assert_eq!((dns.asked(), two.count()), (asked, 20));
}

#[test]
fn a_dns_server_that_is_no_address_ends_the_start() {
    let ended = edge::with_top("upstreams: {}", "  - { path: /a, respond: { body: x } }")
        .env("AIRSIDE_DNS", "nonsense")
        .run_to_its_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("AIRSIDE_DNS"), "{}", ended.stderr);
}
