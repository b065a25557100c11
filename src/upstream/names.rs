//! Asks DNS. hickory rather than the system's resolver: it says how long an answer holds, blocks no thread, and its
//! timeouts are ours to set.

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// Where names are asked for.
#[derive(Default)]
pub struct Names {
    /// In place of the system's servers.
    server: Option<SocketAddr>,
    /// Made at the first use, inside the runtime, and anew after a failure: the system's servers may be others then.
    resolver: Mutex<Option<TokioResolver>>,
}

/// What DNS said.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Sorted, each once, at least one.
    pub addresses: Vec<IpAddr>,
    /// How long it holds.
    pub ttl: Duration,
}

impl Names {
    /// The system's servers (`/etc/resolv.conf`, `/etc/hosts`), or else this one.
    pub fn new(server: Option<SocketAddr>) -> Self {
        Self {
            server,
            ..Self::default()
        }
    }

    /// Errors: why there is no answer, for the log.
    pub async fn find(&self, name: &str) -> Result<Answer, String> {
        let resolver = self.resolver()?;
        let found = resolver.lookup_ip(name).await;
        let found = found.map_err(|error| {
            self.forget();
            error.to_string()
        })?;
        let mut addresses: Vec<IpAddr> = found.iter().collect();
        addresses.sort();
        addresses.dedup();
        if addresses.is_empty() {
            return Err("it has no address".to_owned());
        }
        let ttl = found
            .valid_until()
            .saturating_duration_since(Instant::now());
        Ok(Answer { addresses, ttl })
    }

    fn resolver(&self) -> Result<TokioResolver, String> {
        let mut held = self
            .resolver
            .lock()
            .unwrap_or_else(|held| held.into_inner());
        if let Some(resolver) = &*held {
            return Ok(resolver.clone());
        }
        let builder = match self.server {
            None => TokioResolver::builder_tokio(),
            Some(server) => Ok(TokioResolver::builder_with_config(
                only(server),
                TokioRuntimeProvider::default(),
            )),
        };
        let made = builder.and_then(|mut builder| {
            tune(builder.options_mut());
            builder.build()
        });
        let made = made.map_err(|error| error.to_string())?;
        Ok(held.insert(made).clone())
    }

    fn forget(&self) {
        let held = self.resolver.lock();
        *held.unwrap_or_else(|held| held.into_inner()) = None;
    }
}

fn only(server: SocketAddr) -> ResolverConfig {
    let port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.into_iter().map(port).collect();
    let server = NameServerConfig::new(server.ip(), true, connections);
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

fn tune(options: &mut ResolverOpts) {
    options.timeout = PATIENCE;
    options.attempts = 2;
    // When to ask again is decided by who asks.
    options.cache_size = 0;
    // A gateway without IPv6 would fail at half of the servers that both kinds are given for.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
}

const PATIENCE: Duration = Duration::from_secs(2);
