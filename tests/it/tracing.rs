//! Traces through the gateway: what is handed on, which spans a collector gets, and that no request notices it.

use std::net::SocketAddr;

use crate::support::collector::Collector;
use crate::support::edge::{get, with_top};
use crate::support::origin::Origin;
use crate::support::raw::once;
use crate::support::server::{Airside, SetUp};
use crate::support::wait::wait_for;

mod context;
mod export;
mod reload;
mod spans;

/// Answered by the gateway itself, and by an upstream.
const ROUTES: &str = "  - { path: /own, respond: { status: 200, body: own } }\n\
                      \x20 - { path: /*, upstream: origin }";

/// A gateway that exports to `{collector}`, with more keys of `tracing` if need be.
fn tracing(keys: &str) -> String {
    format!(
        "telemetry: {{ access_log: {{ to: off }}, tracing: {{ otlp: \"http://{{collector}}\", {keys} }} }}"
    )
}

fn set_up(keys: &str, collector: SocketAddr, origin: &Origin) -> SetUp {
    let set_up = with_top(&tracing(keys), ROUTES).origin(origin);
    set_up.set("collector", collector)
}

/// All requests are sampled.
fn start() -> (Airside, Collector, Origin) {
    let (collector, origin) = (Collector::start(), Origin::start());
    let airside = set_up("sample: 100%", collector.address(), &origin).start();
    (airside, collector, origin)
}

/// What the page of metrics says became of spans: exported, dropped, failed.
fn counts(airside: &Airside) -> [u64; 3] {
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let page = once(address, get("/metrics")).text();
    ["exported", "dropped", "failed"].map(|word| {
        let name = format!("airside_spans_{word}_total ");
        let line = page.lines().find_map(|line| line.strip_prefix(&name));
        line.unwrap_or_else(|| panic!("no {name}: {page}"))
            .parse()
            .unwrap()
    })
}

#[track_caller]
fn wait_for_counts(airside: &Airside, expected: [u64; 3]) {
    wait_for(&format!("exported, dropped, failed: {expected:?}"), || {
        counts(airside) == expected
    });
}
