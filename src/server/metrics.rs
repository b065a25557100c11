//! The page behind `/metrics`: each part of the process writes what it has counted.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::reload::Reload;
use crate::base::clock::Clock;
use crate::identity::Identity;
use crate::plan::Plan;
use crate::telemetry::access::AccessLog;
use crate::telemetry::metrics::{Kind, Page, write_process, write_routes};
use crate::upstream::Cluster;

/// All that is counted.
pub struct Metrics {
    pub plan: Arc<ArcSwap<Plan>>,
    pub reload: Arc<Reload>,
    pub access_log: Arc<AccessLog>,
    pub identity: Option<Identity>,
    pub clock: Clock,
}

impl Metrics {
    /// The page as it is now.
    pub fn text(&self) -> Vec<u8> {
        let mut page = Page::default();
        let plan = self.plan.load();
        write_routes(&mut page, plan.meters());
        write_upstreams(&mut page, &plan.clusters, self.clock.monotonic_millis());
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
