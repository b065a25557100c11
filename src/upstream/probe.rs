//! Asks servers whether they are well, away from all requests. What the answers lead to is `standing`'s.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, header};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::listeners::ALPN;
use pingora::prelude::*;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::cluster::Cluster;
use super::endpoint::Endpoint;
use super::settings::{Health, Probe};
use super::standing::Turn;
use super::wellness;
use crate::base::clock::Clock;

/// Probes each server of an upstream at its own times, until it is dropped.
pub async fn watch(cluster: Arc<Cluster>, connector: Arc<Connector>, clock: Clock) {
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
                let asker = Asker {
                    cluster: cluster.clone(),
                    health: health.clone(),
                    connector: connector.clone(),
                };
                running.spawn(asker.ask(endpoint.clone(), clock.clone()));
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

/// What one probe needs.
struct Asker {
    cluster: Arc<Cluster>,
    health: Arc<Health>,
    connector: Arc<Connector>,
}

impl Asker {
    async fn ask(self, endpoint: Arc<Endpoint>, clock: Clock) {
        let asked = timeout(self.health.timeout, self.find_fault(&endpoint));
        let fault = match asked.await {
            Ok(fault) => fault,
            Err(_) => Some("no answer in time".to_owned()),
        };
        let now = clock.monotonic_millis();
        let (upstream, server) = (&self.cluster.name, &endpoint.name);
        match endpoint.standing.probed(fault.is_none(), now, &self.health) {
            Some(Turn::Well) => log::info!("upstream {upstream}: server {server} is well again"),
            Some(Turn::Unwell) => {
                let why = fault.unwrap_or_default();
                log::warn!("upstream {upstream}: server {server} is unhealthy: {why}");
            }
            None => {}
        }
    }

    /// What is wrong with a server; `None` where it is well.
    async fn find_fault(&self, endpoint: &Endpoint) -> Option<String> {
        match &self.health.probe {
            Probe::Tcp => {
                let connected = TcpStream::connect(endpoint.address).await;
                let why = connected.err()?;
                Some(format!("no connection: {why}"))
            }
            Probe::Path(path) => match self.status(endpoint, path).await {
                Ok(status) if status.is_success() => None,
                Ok(status) => Some(format!("{path} answered {}", status.as_u16())),
                Err(error) => Some(format!("{path} was not answered: {error}")),
            },
            Probe::Grpc(service) => match self.wellness(endpoint, service).await {
                Ok(fault) => fault,
                Err(error) => Some(format!("its health service did not answer: {error}")),
            },
        }
    }

    /// Asks as requests do, with the upstream's TLS and in its HTTP, on a connection of the probe's own.
    async fn status(&self, endpoint: &Endpoint, path: &str) -> Result<StatusCode> {
        let peer = self.peer(endpoint);
        let mut request = RequestHeader::build("GET", path.as_bytes(), Some(3))?;
        request.insert_header(header::HOST, endpoint.authority.clone())?;
        request.insert_header(header::USER_AGENT, wellness::AGENT)?;
        let (mut session, _) = self.connector.get_http_session(&*peer).await?;
        if session.as_http1().is_some() {
            request.insert_header(header::CONNECTION, "close")?;
        }
        session.write_request_header(Box::new(request)).await?;
        session.finish_request_body().await?;
        session.read_response_header().await?;
        let status = session.response_header().map(|head| head.status);
        session.shutdown().await;
        status.or_err(InvalidHTTPHeader, "no head")
    }

    /// Asks gRPC's health service. Brings what is wrong, by what it says.
    async fn wellness(&self, endpoint: &Endpoint, service: &str) -> Result<Option<String>> {
        let mut peer = self.peer(endpoint);
        // It is always HTTP/2, also where requests may go without.
        peer.options.alpn = ALPN::H2;
        let (session, _) = self.connector.get_http_session(&*peer).await?;
        let HttpSession::H2(mut stream) = session else {
            return Ok(Some("it does not speak HTTP/2".to_owned()));
        };
        let authority = endpoint.authority.clone();
        let fault = wellness::ask(&mut stream, authority, service, self.health.timeout).await;
        stream.shutdown();
        fault
    }

    fn peer(&self, endpoint: &Endpoint) -> Box<HttpPeer> {
        let mut peer = self.cluster.peer(endpoint, None);
        // No other probe may use the connection.
        peer.options.max_h2_streams = 1;
        peer
    }
}

/// The first probes are spread over this.
const AT_ONCE: Duration = Duration::from_millis(500);
