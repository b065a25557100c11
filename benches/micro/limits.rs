//! One decision of each way to count, of one client and of ever new ones, and what comes back with the end of
//! the call.

use std::net::{IpAddr, Ipv4Addr};

use divan::Bencher;
use http::HeaderMap;

use crate::scene::{call, limit};

const WAYS: [(&str, &str); 4] = [
    ("sliding_window", "rate: 16000000/1h"),
    (
        "token_bucket",
        "{ rate: 16000000/1s, burst: 16000000, algorithm: token_bucket }",
    ),
    ("concurrent", "concurrent: 10"),
    ("failures", "{ rate: 16000000/1h, count: failures }"),
];

/// One client that calls again and again.
#[divan::bench(args = WAYS.map(|(way, _)| way))]
fn same_key(bencher: Bencher, way: &str) {
    let limit = limit(source(way));
    let headers = HeaderMap::new();
    let parts = call(IpAddr::V4(Ipv4Addr::LOCALHOST), &headers);
    // Its page of the table is taken with the first call.
    drop(limit.decide(&parts, 1_000));
    bencher.bench_local(|| limit.decide(&parts, 1_000));
}

/// A client that never called before, in a table that is full of busy ones: one leaves for it, which for the
/// first two is remembered in a sketch.
#[divan::bench(args = ["sliding_window", "token_bucket"])]
fn new_key_in_a_full_table(bencher: Bencher, way: &str) {
    let source = match way {
        "sliding_window" => "{ rate: 16000000/1h, max_keys: 4096 }",
        _ => "{ rate: 16000000/1h, burst: 16000000, algorithm: token_bucket, max_keys: 4096 }",
    };
    let limit = limit(source);
    let headers = HeaderMap::new();
    let mut number = 0_u32;
    let mut decide = || {
        number = number.wrapping_add(1);
        let parts = call(IpAddr::V4(Ipv4Addr::from_bits(number)), &headers);
        // Twice: who called once is not worth remembering.
        (limit.decide(&parts, 1_000), limit.decide(&parts, 1_000))
    };
    (0..100_000).for_each(|_| drop(decide()));
    bencher.bench_local(decide);
}

fn source(way: &str) -> &'static str {
    let known = WAYS.iter().find(|(name, _)| *name == way);
    known.map(|(_, source)| *source).unwrap()
}
