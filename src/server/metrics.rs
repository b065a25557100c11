//! The page behind `/metrics`: each part of the process writes what it has counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::crowd::Crowd;
use super::reload::Reload;
use crate::base::clock::Clock;
use crate::identity::Identity;
use crate::limit::{Counts, Limit};
use crate::plan::Plan;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::{Kind, Page, write_process, write_routes};
use crate::token::TokenCache;
use crate::upstream::Cluster;

/// All that is counted.
pub struct Metrics {
    pub plan: Arc<ArcSwap<Plan>>,
    pub reload: Arc<Reload>,
    pub access_log: Arc<AccessLog>,
    pub identity: Option<Identity>,
    pub clock: Clock,
    pub crowd: Arc<Crowd>,
}

impl Metrics {
    /// The page as it is now.
    pub fn text(&self) -> Vec<u8> {
        let mut page = Page::default();
        let plan = self.plan.load();
        write_routes(&mut page, plan.meters());
        write_upstreams(&mut page, &plan.clusters, self.clock.monotonic_millis());
        write_limits(&mut page, plan.limits());
        write_tokens(&mut page, self.reload.tokens());
        self.crowd.write(&mut page);
        self.reload.write(&mut page);
        if let Some(identity) = &self.identity {
            identity.write_metrics(&mut page);
        }
        let name = "airside_access_log_dropped_total";
        let help = "Lines of the access log that were dropped because its queue was full.";
        page.family(name, Kind::Counter, help);
        page.sample(name, &[], self.access_log.dropped());
        plan.tracer.exporter().write(&mut page);
        write_process(&mut page);
        page.into_text()
    }
}

/// Writes the families of all limits that were asked. Those that are written in routes of one name are one,
/// because their label is.
fn write_limits<'a>(page: &mut Page, limits: impl Iterator<Item = &'a Limit>) {
    let mut by_name: BTreeMap<&str, Counts> = BTreeMap::new();
    for limit in limits {
        let counts = by_name.entry(limit.name()).or_default();
        *counts = counts.plus(limit.tally().counts());
    }
    let asked = by_name.iter().filter(|(_, counts)| !counts.are_zero());
    let name = "airside_limit_decisions_total";
    let help = "What became of the calls that a limit was asked about.";
    page.family(name, Kind::Counter, help);
    for (limit, counts) in asked.clone() {
        for (ruling, count) in counts.rulings() {
            let labels = [("limit", *limit), ("decision", ruling.word())];
            page.sample(name, &labels, count);
        }
    }
    let name = "airside_limit_store_errors_total";
    let help = "Of these, those that went by `on_store_error`, because Redis was away.";
    page.family(name, Kind::Counter, help);
    for (limit, counts) in asked {
        page.sample(name, &[("limit", limit)], counts.without_store);
    }
}

fn write_tokens(page: &mut Page, cache: &TokenCache) {
    let uses = cache.uses();
    let families = [
        (
            "airside_token_cache_hits_total",
            "Tokens that were verified a moment ago and still hold.",
            uses.hits,
        ),
        (
            "airside_token_cache_misses_total",
            "Tokens whose signature had to be looked at, or that were none.",
            uses.misses,
        ),
        (
            "airside_token_cache_evictions_total",
            "Good tokens that were forgotten for others.",
            uses.evictions,
        ),
    ];
    for (name, help, count) in families {
        page.family(name, Kind::Counter, help);
        page.sample(name, &[], count);
    }
}

/// Writes the families of all upstreams, `now` in monotonic milliseconds. Servers that DNS no longer names are gone
/// with their counters.
fn write_upstreams(page: &mut Page, clusters: &[Arc<Cluster>], now: u64) {
    let all: Vec<_> = clusters
        .iter()
        .map(|cluster| (&*cluster.name, cluster.members()))
        .collect();
    let servers = all.iter().flat_map(|(upstream, members)| {
        let endpoints = members.endpoints.iter();
        endpoints.map(move |server| (*upstream, &*server.name, &server.standing))
    });
    let name = "airside_upstream_requests_total";
    let help = "Attempts at a server that are over, by what became of them.";
    page.family(name, Kind::Counter, help);
    for (upstream, server, standing) in servers.clone() {
        for (result, count) in standing.outcomes() {
            let labels = [
                ("upstream", upstream),
                ("server", server),
                ("result", result),
            ];
            page.sample(name, &labels, count);
        }
    }
    let name = "airside_upstream_healthy";
    let help = "1 where a server gets requests, 0 where it is unhealthy, ejected or drained.";
    page.family(name, Kind::Gauge, help);
    for (upstream, server, standing) in servers {
        let labels = [("upstream", upstream), ("server", server)];
        page.sample(name, &labels, u64::from(standing.out(now).is_none()));
    }
    let name = "airside_retries_total";
    let help = "Requests that were sent again, or why they were not where `retry` asks for it.";
    page.family(name, Kind::Counter, help);
    for cluster in clusters
        .iter()
        .filter(|cluster| cluster.settings.retry.is_some())
    {
        for (result, count) in cluster.retries.counts() {
            page.sample(
                name,
                &[("upstream", &cluster.name), ("result", result)],
                count,
            );
        }
    }
}
