//! Asks servers whether they are well, away from all requests. What the answers lead to is `standing`'s.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::cluster::Cluster;
use super::endpoint::Endpoint;
use super::settings::{Health, Probe};
use super::standing::Turn;
use crate::base::clock::Clock;

/// Probes each server of an upstream at its own times, until it is dropped.
pub async fn watch(cluster: Arc<Cluster>, clock: Clock) {
    let Some(health) = cluster.settings.health.clone() else {
        return;
    };
    let health = Arc::new(health);
    let mut due: HashMap<SocketAddr, Instant> = HashMap::new();
    let mut running = JoinSet::new();
    loop {
        let members = Arc::clone(&cluster.members());
        due.retain(|address, _| members.find(*address).is_some());
        let now = Instant::now();
        let mut next = now + health.every;
        for endpoint in &members.endpoints {
            // The first time soon, and not all at once.
            let soon = || now + health.every.min(AT_ONCE).mul_f64(rand::random());
            let at = due.entry(endpoint.address).or_insert_with(soon);
            if *at <= now {
                *at = now + jittered(health.every);
                let (name, health) = (cluster.name.clone(), health.clone());
                running.spawn(ask(name, endpoint.clone(), health, clock.clone()));
            }
            next = next.min(*at);
        }
        while running.try_join_next().is_some() {}
        sleep_until(next).await;
    }
}

/// A tenth more or less: gateways that started together drift apart.
pub(super) fn jittered(every: Duration) -> Duration {
    every.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

async fn ask(upstream: Arc<str>, endpoint: Arc<Endpoint>, health: Arc<Health>, clock: Clock) {
    let asked = timeout(health.timeout, find_fault(&endpoint, &health.probe));
    let fault = match asked.await {
        Ok(fault) => fault,
        Err(_) => Some("no answer in time".to_owned()),
    };
    let now = clock.monotonic_millis();
    let server = &endpoint.name;
    match endpoint.standing.probed(fault.is_none(), now, &health) {
        Some(Turn::Well) => log::info!("upstream {upstream}: server {server} is well again"),
        Some(Turn::Unwell) => {
            let why = fault.unwrap_or_default();
            log::warn!("upstream {upstream}: server {server} is unhealthy: {why}");
        }
        None => {}
    }
}

/// What is wrong with a server; `None` where it is well.
async fn find_fault(endpoint: &Endpoint, probe: &Probe) -> Option<String> {
    let stream = match TcpStream::connect(endpoint.address).await {
        Ok(stream) => stream,
        Err(error) => return Some(format!("no connection: {error}")),
    };
    match probe {
        Probe::Tcp => None,
        Probe::Path(path) => match status(stream, endpoint, path).await {
            Ok(status) if status.is_success() => None,
            Ok(status) => Some(format!("{path} answered {}", status.as_u16())),
            Err(error) => Some(format!("{path} was not answered: {error}")),
        },
    }
}

async fn status(
    stream: TcpStream,
    endpoint: &Endpoint,
    path: &str,
) -> Result<http::StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let request = Request::get(path)
        .header(header::HOST, endpoint.authority.clone())
        .header(header::USER_AGENT, "airside-probe")
        .header(header::CONNECTION, "close")
        .body(Empty::<bytes::Bytes>::new())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let exchange = sender.send_request(request);
    tokio::pin!(exchange, connection);
    tokio::select! {
        answer = &mut exchange => Ok(answer?.status()),
        ended = &mut connection => match ended {
            // The answer may have come with the end.
            Ok(()) => Ok(exchange.await?.status()),
            Err(error) => Err(error.into()),
        },
    }
}

/// The first probes are spread over this.
const AT_ONCE: Duration = Duration::from_millis(500);
