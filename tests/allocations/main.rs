//! An admitted request whose token is known takes no memory between its head and its upstream. Allocations
//! are counted on the test's own thread, so that nothing else on the machine matters. What is left to
//! allocate elsewhere is named here, with its number, and in docs/BENCHMARKS.md.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails and says where"
)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use airside::policy::limits;
use allocation_counter::measure;
use http::{HeaderMap, HeaderName, HeaderValue};

#[path = "../../benches/micro/scene.rs"]
mod scene;

use scene::{ALGORITHMS, EVERYTHING, GUARDED, Holder, NOW, PUBLIC, Routes, Scene, call, limit};

/// How many allocations a use takes once it has been used: pages and tables are taken at first.
fn allocations<T>(mut work: impl FnMut() -> T) -> u64 {
    (0..3).for_each(|_| drop(work()));
    measure(|| drop(black_box(work()))).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| vec![1_u8; 100]), 1);
    assert_eq!(allocations(|| (Box::new(1), "text".to_owned())), 2);
}

#[test]
fn a_route_is_found_without_an_allocation_among_ten_thousand() {
    for count in [10, 1_000, 10_000] {
        let routes = Routes::new(count);
        assert!(matches!(routes.find(), airside::route::Found::Route { .. }));
        assert_eq!(allocations(|| routes.find()), 0, "{count}");
    }
}

#[test]
fn every_way_to_count_decides_without_an_allocation() {
    let headers = HeaderMap::new();
    for source in [
        "rate: 1000000/1h",
        "{ rate: 1000000/1h, algorithm: token_bucket }",
        "concurrent: 10",
        "{ rate: 1000000/1h, count: failures }",
        "{ rate: 1000000/1h, count: failures, algorithm: token_bucket }",
        "{ rate: 1000000/1h, by: [ip, route, global, 'header:X-Tenant'] }",
        "{ rate: 1000000/1h, mode: shadow }",
    ] {
        let limit = limit(source);
        let parts = call(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers);
        assert_eq!(allocations(|| limit.decide(&parts, 1_000)), 0, "{source}");
    }
}

#[test]
fn a_refusal_of_a_limit_is_decided_without_an_allocation() {
    let headers = HeaderMap::new();
    for source in ["rate: 1/1h", "{ rate: 1/1h, algorithm: token_bucket }"] {
        let limit = limit(source);
        let parts = call(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers);
        assert_eq!(allocations(|| limit.decide(&parts, 1_000)), 0, "{source}");
    }
}

#[test]
fn new_clients_in_a_full_table_cost_no_allocation() {
    let headers = HeaderMap::new();
    for source in [
        "{ rate: 1000000/1h, max_keys: 256 }",
        "{ rate: 1000000/1h, max_keys: 256, algorithm: token_bucket }",
    ] {
        let limit = limit(source);
        let mut number = 0;
        let mut new = || {
            number += 1;
            let parts = call(IpAddr::V4(Ipv4Addr::from_bits(number)), &headers);
            (limit.decide(&parts, 1_000), limit.decide(&parts, 1_000))
        };
        // The table is full by then, and what remembers those who had to leave is there.
        (0..10_000).for_each(|_| drop(new()));
        let counted = measure(|| (0..1_000).for_each(|_| drop(new())));
        assert_eq!(counted.count_total, 0, "{source}");
    }
}

#[test]
fn a_token_that_was_verified_before_is_taken_without_an_allocation() {
    for algorithm in ALGORITHMS {
        let holder = Holder::new(algorithm);
        let accepted = holder.accepted();
        let verify = || accepted.verify(&holder.token, NOW).unwrap();
        assert_eq!(allocations(verify), 0, "{algorithm}");
        // What it would cost without its memory: so the memory was asked.
        let cold = allocations(|| holder.verifier.verify(&holder.token, NOW).unwrap());
        assert!(cold > 5, "{algorithm}: {cold}");
    }
}

#[test]
fn an_admitted_request_takes_no_memory_from_its_head_to_the_end_of_its_pipeline() {
    let holder = Holder::new("EdDSA");
    for route in [PUBLIC, GUARDED, EVERYTHING] {
        let scene = Scene::new(&holder, route);
        assert_eq!(allocations(|| scene.pass()), 0, "{route}");
    }
    let findings = Scene::new(&holder, EVERYTHING).pass();
    assert_eq!(findings.counted.len(), 4);
    assert_eq!(
        findings.path.as_deref(),
        Some("/api/v1/bookings/4711/seats")
    );
    assert!(findings.principal.is_some() && findings.origin.is_some());
    assert_eq!(findings.max_body, Some(1 << 20));
}

#[test]
fn telling_a_client_of_its_limits_takes_one_allocation_however_many_there_are() {
    let holder = Holder::new("EdDSA");
    for route in [PUBLIC, EVERYTHING] {
        let findings = Scene::new(&holder, route).pass();
        let told = allocations(|| {
            let mut head = HeaderMap::with_capacity(8);
            limits::tell(&findings, &mut head);
            assert_eq!(head.len(), 2);
            head
        });
        // What the answer's own table takes.
        let bare = allocations(|| {
            let mut head = HeaderMap::with_capacity(8);
            for name in ["ratelimit-policy", "ratelimit"] {
                let name = HeaderName::from_static(name);
                head.insert(name, HeaderValue::from_static("a"));
            }
            head
        });
        assert_eq!(told - bare, 1, "{route}");
    }
}
