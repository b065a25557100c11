//! The upstreams of this process, and what goes on around them beside requests. It outlives a plan: the same name and
//! the same definition give the same upstream back, with all that it knows.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pingora::connectors::http::Connector;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::names::Names;
use super::settings::Settings;
use super::{probe, resolve};
use crate::base::clock::Clock;

#[derive(Debug, Default)]
pub struct Registry {
    held: Mutex<HashMap<Arc<str>, Arc<Cluster>>>,
    groups: AtomicU64,
    changed: Notify,
}

impl Registry {
    /// The upstream for a definition. One that is new is not held before `commit`: a plan may still fail.
    pub fn prepare(&self, name: &str, settings: Settings) -> Arc<Cluster> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let previous = held.get(name);
        match previous {
            Some(previous) if previous.settings == settings => previous.clone(),
            _ => {
                let group = self.groups.fetch_add(1, Ordering::Relaxed);
                let previous = previous.map(|previous| &**previous);
                Arc::new(Cluster::new(name, group, settings, previous))
            }
        }
    }

    /// These are the upstreams from now on: they are watched, others no longer.
    pub fn commit(&self, clusters: &[Arc<Cluster>]) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for cluster in clusters {
            cluster.take_over();
        }
        let named = clusters.iter();
        *held = named
            .map(|cluster| (cluster.name.clone(), cluster.clone()))
            .collect();
        self.changed.notify_one();
    }

    /// Upstreams with a name that DNS was not yet asked for.
    pub fn pending(&self) -> Vec<Arc<str>> {
        let mut pending = self.all();
        pending.retain(|cluster| cluster.is_pending());
        pending.iter().map(|cluster| cluster.name.clone()).collect()
    }

    /// Probes and resolves for as long as it is awaited.
    pub async fn watch(&self, clock: Clock, names: Names) {
        let names = Arc::new(names);
        let connector = Arc::new(Connector::new(None));
        let mut watched: Vec<(Arc<Cluster>, JoinSet<()>)> = Vec::new();
        loop {
            let current = self.all();
            let is_in = |all: &[Arc<Cluster>], cluster: &Arc<Cluster>| {
                all.iter().any(|other| Arc::ptr_eq(other, cluster))
            };
            // A set that is dropped ends its tasks.
            watched.retain(|(cluster, _)| is_in(&current, cluster));
            for cluster in current {
                if watched
                    .iter()
                    .any(|(other, _)| Arc::ptr_eq(other, &cluster))
                {
                    continue;
                }
                let mut tasks = JoinSet::new();
                if cluster.settings.names().next().is_some() {
                    tasks.spawn(resolve::watch(cluster.clone(), names.clone()));
                }
                tasks.spawn(probe::watch(
                    cluster.clone(),
                    connector.clone(),
                    clock.clone(),
                ));
                watched.push((cluster, tasks));
            }
            self.changed.notified().await;
        }
    }

    fn all(&self) -> Vec<Arc<Cluster>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn settings(port: u16) -> Settings {
        Settings::single(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    #[test]
    fn the_same_name_and_definition_give_the_same_upstream_back() {
        let registry = Registry::default();
        let first = registry.prepare("a", settings(1));
        registry.commit(&[first.clone(), registry.prepare("b", settings(1))]);
        let again = registry.prepare("a", settings(1));
        assert!(Arc::ptr_eq(&first, &again));
        let other = registry.prepare("a", settings(2));
        assert!(!Arc::ptr_eq(&first, &other));
        assert_ne!(first.group, other.group);
    }

    #[test]
    fn what_was_only_prepared_changes_nothing() {
        let registry = Registry::default();
        let first = registry.prepare("a", settings(1));
        registry.commit(std::slice::from_ref(&first));
        let _ = registry.prepare("a", settings(2));
        let _ = registry.prepare("c", settings(2));
        assert_eq!(registry.all().len(), 1);
        assert!(Arc::ptr_eq(&registry.all()[0], &first));
    }
}
