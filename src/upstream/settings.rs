//! What an upstream's keys come to, without the places where they stand: two definitions are the same when these
//! are equal.

use std::net::SocketAddr;
use std::time::Duration;

use super::config::{self, Address, Balance, Host, RetryOn, Timeouts};
use super::key::By;
use super::transport::Transport;
use crate::tls::Outward;

/// An upstream's definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// In the file's order, each with its weight.
    pub servers: Vec<(Address, u32)>,
    pub balance: Balance,
    pub by: By,
    pub health: Option<Health>,
    pub ejection: Option<Ejection>,
    pub breaker: Option<Breaker>,
    pub timeouts: Timeouts,
    pub retry: Option<Retry>,
    pub transport: Transport,
    pub host: Host,
    pub keepalive: Option<u32>,
    pub max_requests: Option<u32>,
    pub resolve: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    pub probe: Probe,
    pub every: Duration,
    pub timeout: Duration,
    pub unhealthy_after: u32,
    pub healthy_after: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// `GET` this path.
    Path(String),
    Tcp,
    /// gRPC's health service is asked about this service, or, where it is empty, about the whole server.
    Grpc(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ejection {
    pub failures: u32,
    pub millis: u64,
    pub max_ejected: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Breaker {
    pub failure_rate: f64,
    pub min_requests: u32,
    pub open_millis: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub attempts: u32,
    pub on: Vec<RetryOn>,
    pub budget: f64,
}

impl Settings {
    /// `tls` is what the key of that name asks for, its files read.
    pub fn new(keys: &config::Upstream, tls: Option<Outward>) -> Self {
        let servers = keys.servers.value.iter();
        Self {
            servers: servers
                .map(|server| (server.value.address.clone(), server.value.weight))
                .collect(),
            balance: keys.balance.value,
            by: keys.by.as_ref().map_or(By::Ip, |by| by.value.clone()),
            health: keys.health.as_ref().map(|keys| Health::new(&keys.value)),
            ejection: keys.ejection.as_ref().map(|keys| Ejection {
                failures: keys.value.failures.0,
                millis: keys.value.r#for.as_millis() as u64,
                max_ejected: keys.value.max_ejected.0,
            }),
            breaker: keys.breaker.as_ref().map(|keys| Breaker {
                failure_rate: keys.value.failure_rate.0,
                min_requests: keys.value.min_requests.0,
                open_millis: keys.value.open_for.as_millis() as u64,
            }),
            timeouts: keys.timeouts.value.clone(),
            retry: keys.retry.as_ref().map(|keys| Retry {
                attempts: keys.value.attempts.0,
                on: keys.value.on.clone(),
                budget: keys.value.budget.0,
            }),
            transport: Transport::new(keys.protocol, tls),
            host: keys.host,
            keepalive: keys.keepalive,
            max_requests: keys.max_requests.map(|most| most.0),
            resolve: keys.resolve.map(|every| every.value),
        }
    }

    /// One server, and the defaults of all else.
    pub fn single(address: SocketAddr) -> Self {
        Self {
            servers: vec![(Address::Socket(address), 1)],
            balance: Balance::Random,
            by: By::Ip,
            health: None,
            ejection: None,
            breaker: None,
            timeouts: Timeouts::default(),
            retry: None,
            transport: Transport::plain(),
            host: Host::Preserve,
            keepalive: None,
            max_requests: None,
            resolve: None,
        }
    }

    /// The names that DNS must resolve.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.servers
            .iter()
            .filter_map(|(address, _)| match address {
                Address::Name(name, _) => Some(name.as_str()),
                Address::Socket(_) => None,
            })
    }

    /// Tries for one request at most, the first included.
    pub fn attempts(&self) -> u32 {
        self.retry.as_ref().map_or(1, |retry| retry.attempts)
    }

    pub fn retries(&self, on: RetryOn) -> bool {
        let retry = self.retry.as_ref();
        retry.is_some_and(|retry| retry.on.contains(&on))
    }
}

impl Health {
    fn new(keys: &config::Health) -> Self {
        Self {
            probe: match (&keys.path, &keys.service) {
                (Some(path), _) => Probe::Path(path.value.0.clone()),
                (None, Some(service)) => Probe::Grpc(service.value.0.clone()),
                (None, None) if keys.grpc => Probe::Grpc(String::new()),
                (None, None) => Probe::Tcp,
            },
            every: keys.every,
            timeout: keys.timeout,
            unhealthy_after: keys.unhealthy_after.0,
            healthy_after: keys.healthy_after.0,
        }
    }
}
