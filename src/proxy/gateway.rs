//! The phases of a request, in Pingora's order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::ErrorSource;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::*;
use pingora::proxy::FailToProxy;
use pingora::upstreams::peer::HttpPeer;
use rand::RngExt;

use super::context::{Context, Id};
use super::failure::{BODY_TOO_LARGE, NO_SERVER};
use super::forward::{Connection, TRACEPARENT, X_FORWARDED_FOR, X_REQUEST_ID};
use super::traffic::Traffic;
use super::{answer, failure, forward, intake, record, websocket};
use crate::base::clock::Clock;
use crate::base::id::TraceParent;
use crate::base::net;
use crate::base::reply::{Refusal, Reply};
use crate::plan::{Plan, Target};
use crate::policy::compress::Encoder;
use crate::policy::{Call, Verdict};
use crate::route::Found;
use crate::route::predicate::Asked;
use crate::telemetry::access::AccessLog;
use crate::tls::Handshake;

/// The edge.
pub struct Gateway {
    plan: Arc<ArcSwap<Plan>>,
    clock: Clock,
    traffic: Traffic,
    access_log: Arc<AccessLog>,
}

impl Gateway {
    pub fn new(
        plan: Arc<ArcSwap<Plan>>,
        clock: Clock,
        traffic: Traffic,
        access_log: Arc<AccessLog>,
    ) -> Self {
        Self {
            plan,
            clock,
            traffic,
            access_log,
        }
    }

    /// Finds the route and runs its pipeline; what it says ends the request, or lets it be forwarded.
    fn decide(
        &self,
        header: &RequestHeader,
        handshake: Option<&Handshake>,
        context: &mut Context,
    ) -> Result<(), Reply> {
        let plan = context.plan.clone();
        let asked = intake::read(header, &plan.edge)?;
        if handshake.is_some_and(|handshake| !handshake.fits(&asked.host)) {
            return Err(Reply::refuse(Refusal::Misdirected).reason("host"));
        }
        let query = asked.query.unwrap_or_default();
        let found = plan.router.find(
            &asked.host,
            &asked.path,
            Asked {
                method: asked.method,
                headers: &header.headers,
                query,
            },
        );
        let (index, captures) = match found {
            Found::Route { route, captures } => (route, captures),
            Found::MethodNotAllowed(allowed) => return Err(intake::method_not_allowed(allowed)),
            Found::Nothing => return Err(Reply::refuse(Refusal::NoRoute).reason("no_route")),
        };
        context.route = Some(index);
        let Some(route) = plan.route(index) else {
            return Err(Reply::refuse(Refusal::Internal).reason("route"));
        };
        let mut call = Call {
            header,
            client: context.client,
            path: &asked.path,
            captures: &captures,
            route: index,
            now_millis: self.clock.monotonic_millis(),
            unix_seconds: self.clock.unix_seconds(),
            findings: &mut context.findings,
        };
        if let Verdict::Answer(reply) = route.pipeline.request(&mut call) {
            return Err(*reply);
        }
        match &route.target {
            Target::Respond(respond) => return Err(respond.reply()),
            Target::Redirect(redirect) => {
                return Err(redirect.reply(&asked.path, &captures, asked.query));
            }
            Target::Forward(forward) => {
                let findings = &context.findings;
                let client = context.client.address;
                context.cluster = forward.cluster(|| caller(findings, client)).cloned();
            }
        }
        context.asks_for_tunnel = websocket::is_asked_for(header);
        if asked.path != header.uri.path() {
            context.normalised = Some(asked.path.into_owned());
        }
        Ok(())
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::new(self.plan.load_full(), self.traffic.enter())
    }

    /// The default adds a compression module, switched off, that costs an allocation a request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> Result<bool> {
        // On every request: after the first one Pingora has no timeout of its own.
        // Where it has decided to close (HTTP/1.0, or a length beside a transfer encoding: RFC 9112 §6.1), so
        // it stays.
        let stays = session.get_keepalive().is_some() && !self.traffic.is_draining();
        session.set_keepalive(stays.then_some(context.plan.edge.idle_timeout));
        let peer = peer_of(session).unwrap_or(net::UNKNOWN);
        let header = session.req_header();
        let forwarded = header.headers.get_all(X_FORWARDED_FOR);
        let lines: smallvec::SmallVec<[&[u8]; 2]> =
            forwarded.iter().map(|line| line.as_bytes()).collect();
        context.client = net::client(peer, lines, &context.plan.edge.trusted_proxies);
        if context.client.via_trusted_proxy
            && let Some(id) = header.headers.get(X_REQUEST_ID).and_then(Id::brought)
        {
            context.id = id;
        }
        let trace = header
            .headers
            .get(TRACEPARENT)
            .map(|value| value.as_bytes());
        context.trace = Some(TraceParent::continue_or_start(trace));
        match self.decide(header, handshake_of(session), context) {
            Ok(()) => Ok(false),
            Err(reply) => {
                // Answers are the rare case: their future stays out of this one.
                Box::pin(answer::write(session, context, reply)).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, _: &mut Session, context: &mut Context) -> Result<Box<HttpPeer>> {
        context.end_attempt();
        context.attempts += 1;
        let cluster = context
            .cluster
            .as_ref()
            .or_err(InternalError, "no upstream was chosen")?;
        let lease = cluster.lease(|below| rand::rng().random_range(0..below.max(1)));
        let lease = lease.or_err(NO_SERVER, "the upstream has no server")?;
        let peer = match context.asks_for_tunnel {
            true => {
                let (peer, gate) = cluster.tunnel(&lease.endpoint);
                context.gate = Some(gate);
                peer
            }
            false => cluster.peer(&lease.endpoint),
        };
        context.server = Some(lease.endpoint.name.clone());
        context.lease = Some(lease);
        context.attempt = Some(Instant::now());
        Ok(Box::new(peer))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        upstream: &mut RequestHeader,
        context: &mut Context,
    ) -> Result<()> {
        let connection = Connection {
            peer: peer_of(session),
            tls: session
                .digest()
                .is_some_and(|digest| digest.ssl_digest.is_some()),
            version: session.req_header().version,
            certificate: handshake_of(session).and_then(|shaken| shaken.certificate.as_ref()),
        };
        forward::write(upstream, &connection, context)?;
        if let Some(gate) = &context.gate {
            gate.close();
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<()> {
        // HTTP/2 may end a body with an empty piece. Pingora would write it as a last chunk, and then another:
        // the second would stand before the connection's next answer.
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        context.body_bytes += body.as_ref().map_or(0, |chunk| chunk.len() as u64);
        match context.findings.max_body {
            // The client's fault, and said so: any other error of a body on its way to HTTP/2 is only logged.
            Some(most) if context.body_bytes > most => {
                Error::e_explain(BODY_TOO_LARGE, "max_body").map_err(|error| error.into_down())
            }
            _ => Ok(()),
        }
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        let switches = response.status == http::StatusCode::SWITCHING_PROTOCOLS;
        match switches && context.gate.is_none() {
            // The client would read what follows as the next answer, or take it for a tunnel.
            true => Error::e_explain(InvalidHTTPHeader, "101 that nobody asked for")
                .map_err(|error| error.into_up()),
            false => Ok(()),
        }
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> Result<()> {
        // RFC 9110 §2.5: the version is that of who sends the message, which is the gateway.
        response.set_version(http::Version::HTTP_11);
        // After a switch of protocols `Connection` and `Upgrade` are the answer.
        if response.status != http::StatusCode::SWITCHING_PROTOCOLS {
            answer::strip_hop_by_hop(response);
        } else if let Some(gate) = &context.gate {
            gate.tunnel();
            session.set_read_timeout(None);
        }
        if !response.status.is_informational() {
            answer::finish_head(response, context);
            if let Some(agreed) = context.findings.coding
                && session.req_header().method != http::Method::HEAD
            {
                context.encoder = Encoder::begin(agreed, response);
            }
        }
        let version = session.req_header().version;
        if version == http::Version::HTTP_10 && answer::ends_with_the_connection(response) {
            session.set_keepalive(None);
        }
        if self.traffic.is_draining() {
            // Pingora writes `Connection` itself, by this.
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Context,
    ) -> Result<Option<Duration>> {
        if let Some(encoder) = &mut context.encoder {
            let piece = body.take().unwrap_or_default();
            let coded = encoder.push(&piece, end);
            *body = Some(coded.or_err(InternalError, "compressing")?);
        }
        Ok(None)
    }

    /// A compressed answer ends where its trailers begin; what is kept back until then takes their place.
    async fn response_trailer_filter(
        &self,
        _: &mut Session,
        _: &mut http::HeaderMap,
        context: &mut Context,
    ) -> Result<Option<Bytes>> {
        let rest = context
            .encoder
            .take()
            .map(|mut encoder| encoder.push(b"", true));
        rest.transpose().or_err(InternalError, "compressing")
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        context: &mut Context,
    ) -> FailToProxy {
        context.end_attempt();
        let written = session
            .response_written()
            .is_some_and(|head| !head.status.is_informational());
        let Some(reply) = failure::reply(error, context).filter(|_| !written) else {
            context.reason = "client_gone";
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        };
        // After a failed attempt Pingora closes the connection, whatever is returned here: say so.
        if context.attempts > 0 {
            session.set_keepalive(None);
        }
        let status = reply.status.as_u16();
        let sent = Box::pin(answer::write(session, context, reply)).await;
        FailToProxy {
            error_code: status,
            can_reuse_downstream: sent.is_ok(),
        }
    }

    /// What clients do wrong is theirs; the access log has it, and nobody can fill the error log with it.
    fn suppress_error_log(&self, _: &Session, _: &Context, error: &Error) -> bool {
        *error.esource() == ErrorSource::Downstream || *error.etype() == BODY_TOO_LARGE
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        context.end_attempt();
        if self.access_log.wants(context.id.as_str()) {
            let record = record::of(
                session,
                error,
                context,
                &self.access_log,
                self.clock.unix_millis(),
            );
            self.access_log.log(record);
        }
    }

    /// Pingora's default would put the query into the error log.
    fn request_summary(&self, session: &Session, context: &Context) -> String {
        let header = session.req_header();
        format!(
            "{} {} request {}",
            header.method,
            header.uri.path(),
            context.id.as_str()
        )
    }
}

/// The address at the other end of the connection.
fn peer_of(session: &Session) -> Option<std::net::IpAddr> {
    session
        .client_addr()?
        .as_inet()
        .map(std::net::SocketAddr::ip)
}

/// What the client's TLS told, where it speaks TLS.
fn handshake_of(session: &Session) -> Option<&Handshake> {
    let tls = session.digest()?.ssl_digest.as_ref()?;
    tls.extension.get()
}

/// Who calls, as a number: the user, or else the address.
fn caller(findings: &crate::policy::Findings, client: std::net::IpAddr) -> u64 {
    use std::hash::{BuildHasher, Hash, Hasher};
    // A fixed seed: another gateway, and this one after a restart, send a caller to the same upstream.
    let mut hasher = foldhash::quality::FixedState::default().build_hasher();
    match &findings.principal {
        Some(principal) => principal.user.hash(&mut hasher),
        None => client.hash(&mut hasher),
    }
    hasher.finish()
}
