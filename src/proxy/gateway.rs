//! The phases of a request, in Pingora's order.

use std::any::Any;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use pingora::ErrorSource;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::*;
use pingora::protocols::Digest;
use pingora::proxy::FailToProxy;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::Instant;

use super::at_once::at_once;
use super::context::Context;
use super::failure::BODY_TOO_LARGE;
use super::forward::Connection;
use super::line::Line;
use super::rare::Rare;
use super::traffic::Traffic;
use super::{
    answer, arrival, attempt, decision, denial, failure, forward, head, record, slow, spans,
    trailers,
};
use crate::base::clock::Clock;
use crate::plan::Plan;
use crate::policy::{Unwatched, limits};
use crate::telemetry::access::AccessLog;
use crate::telemetry::denials::Denials;
use crate::upstream::peer;

/// The edge.
pub struct Gateway {
    plan: Arc<ArcSwap<Plan>>,
    clock: Clock,
    traffic: Traffic,
    access_log: Arc<AccessLog>,
    denials: Arc<Denials>,
}

impl Gateway {
    pub fn new(
        plan: Arc<ArcSwap<Plan>>,
        clock: Clock,
        traffic: Traffic,
        access_log: Arc<AccessLog>,
        denials: Arc<Denials>,
    ) -> Self {
        Self {
            plan,
            clock,
            traffic,
            access_log,
            denials,
        }
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    /// Boxed: Pingora's futures hold it several times over.
    type CTX = Box<Context>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(Context::new(self.plan.load_full(), self.traffic.enter()))
    }

    /// What the connection hands to each of its requests; of HTTP/2, whose connections have many at once, nothing.
    fn on_connection_reuse(
        &self,
        _: &mut Session,
        context: &mut Self::CTX,
        given: Box<dyn Any + Send + Sync>,
    ) {
        if let Ok(line) = given.downcast::<Arc<Line>>() {
            context.came_by(*line);
        }
    }

    /// The default adds a compression module, switched off, that costs an allocation a request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    at_once! {
        /// Pingora's own would be boxed for nothing; the next one too.
        fn early_request_filter<'a, 'b>(&self, _: &'a mut Session, _: &'b mut Self::CTX) -> Result<()> {
            Ok(())
        }

        fn proxy_upstream_filter<'a, 'b>(&self, _: &'a mut Session, _: &'b mut Self::CTX) -> Result<bool> {
            Ok(true)
        }
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Self::CTX) -> Result<bool> {
        // Where Pingora has decided to close (HTTP/1.0, or a length beside a transfer encoding: RFC 9112 §6.1), so
        // it stays.
        let stays = session.get_keepalive().is_some() && !self.traffic.is_draining();
        session.set_keepalive(stays.then_some(0));
        context.rare = Rare::of(&session.req_header().headers);
        slow::begin(session, context);
        trailers::begin(session.req_header(), context);
        arrival::note(session, context);
        head::forget_case(session.req_header_mut());
        let (header, shaken) = (session.req_header(), arrival::handshake(session));
        match decision::decide(&self.clock, header, shaken, context, &mut Unwatched).await {
            Ok(()) => Ok(false),
            Err(reply) => {
                // Answers are the rare case: their future stays out of this one.
                Box::pin(answer::write(session, context, reply)).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(
        &self,
        _: &mut Session,
        context: &mut Self::CTX,
    ) -> Result<Box<HttpPeer>> {
        attempt::next(context, || self.clock.monotonic_millis()).await
    }

    fn fail_to_connect(
        &self,
        session: &mut Session,
        _: &HttpPeer,
        context: &mut Self::CTX,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let now = self.clock.monotonic_millis();
        attempt::not_connected(session, context, &mut error, now);
        error
    }

    at_once! {
        fn connected_to_upstream<'a, 'b, 'c, 'd>(
            &self,
            session: &'a mut Session,
            _: bool,
            peer: &'b HttpPeer,
            connection: RawFd,
            digest: Option<&'c Digest>,
            context: &'d mut Self::CTX,
        ) -> Result<()> {
            trailers::connected(digest, context);
            if peer::is_own(peer) {
                context.alarm.watch(connection);
                slow::wait_for_body(session, context);
                attempt::set_alarm(context);
            }
            Ok(())
        }
    }

    fn error_while_proxy(
        &self,
        peer: &HttpPeer,
        session: &mut Session,
        error: Box<Error>,
        context: &mut Self::CTX,
        reused: bool,
    ) -> Box<Error> {
        let mut error = error.more_context(format!("Peer: {peer}"));
        let now = self.clock.monotonic_millis();
        attempt::broken(session, context, &mut error, reused, now);
        error
    }

    at_once! {
        fn upstream_request_filter<'a, 'b, 'c>(
            &self,
            session: &'a mut Session,
            upstream: &'b mut RequestHeader,
            context: &'c mut Self::CTX,
        ) -> Result<()> {
            let connection = Connection {
                peer: arrival::peer(session),
                tls: session
                    .digest()
                    .is_some_and(|digest| digest.ssl_digest.is_some()),
                version: session.req_header().version,
                certificate: arrival::handshake(session).and_then(|shaken| shaken.certificate.as_ref()),
            };
            forward::write(upstream, &connection, context)?;
            trailers::announce(session.req_header(), upstream, context)?;
            if let Some(gate) = &context.gate {
                gate.close();
            }
            Ok(())
        }
    }

    at_once! {
        fn request_body_filter<'a, 'b, 'c>(
            &self,
            _: &'a mut Session,
            body: &'b mut Option<Bytes>,
            is_end: bool,
            context: &'c mut Self::CTX,
        ) -> Result<()> {
            // HTTP/2 may end a body with an empty piece. Pingora would write it as a last chunk, and then another:
            // the second would stand before the connection's next answer.
            if is_end && body.as_ref().is_some_and(Bytes::is_empty) {
                *body = None;
            }
            let length = body.as_ref().map_or(0, Bytes::len);
            context.body_bytes += length as u64;
            if let Some(gate) = &context.gate {
                gate.take(length);
            }
            slow::came(context, is_end);
            attempt::sent(context, is_end);
            trailers::sent(context, is_end)?;
            match context.findings.max_body {
                // The client's fault, and said so: any other error of a body on its way to HTTP/2 is only logged.
                Some(most) if context.body_bytes > most => {
                    Error::e_explain(BODY_TOO_LARGE, "max_body").map_err(|error| error.into_down())
                }
                _ => Ok(()),
            }
        }
    }

    at_once! {
        fn upstream_response_filter<'a, 'b, 'c>(
            &self,
            session: &'a mut Session,
            response: &'b mut ResponseHeader,
            context: &'c mut Self::CTX,
        ) -> Result<()> {
            // Opened and closed: without the case of its names, whoever copies it copies less.
            head::change_response(response, |_| ());
            let status = response.status;
            let switches = status == http::StatusCode::SWITCHING_PROTOCOLS;
            if switches && context.gate.is_none() {
                // The client would read what follows as the next answer, or take it for a tunnel.
                return Error::e_explain(InvalidHTTPHeader, "101 that nobody asked for")
                    .map_err(|error| error.into_up());
            }
            if !status.is_informational() || switches {
                trailers::answered(response, context);
                let at = Instant::now();
                let now = self.clock.monotonic_millis_at(at.into_std());
                return attempt::answered(session, context, status, at, now);
            }
            // Each is passed on: a server that sends nothing else would keep the client for as long as it likes.
            context.interims += 1;
            match context.interims > MOST_INTERIMS {
                true => Error::e_explain(InvalidHTTPHeader, "interim answers without end")
                    .map_err(|error| error.into_up()),
                false => Ok(()),
            }
        }
    }

    fn upstream_response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        is_end: bool,
        context: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        if context.alarm.rang().is_some() {
            // Where the close ends an answer, one that was cut would look whole.
            return Error::e_explain(ReadTimedout, "the answer was cut off");
        }
        attempt::received(context, is_end);
        trailers::received(context, is_end)?;
        Ok(None)
    }

    at_once! {
        fn response_filter<'a, 'b, 'c>(
            &self,
            session: &'a mut Session,
            response: &'b mut ResponseHeader,
            context: &'c mut Self::CTX,
        ) -> Result<()> {
            // RFC 9110 §2.5: the version is that of who sends the message, which is the gateway.
            response.set_version(http::Version::HTTP_11);
            let status = response.status;
            let ends = head::change_response(response, |headers| {
                answer::pass_on(session.req_header(), status, headers, context)
            });
            if ends || self.traffic.is_draining() {
                // Pingora writes `Connection` itself, by this.
                session.set_keepalive(None);
            }
            Ok(())
        }
    }

    /// With its last bytes a request is not in flight any more: a client that has them may send the next.
    fn response_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        context: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        // An answer of 101 has no body, but all that follows.
        if end && !context.upgraded {
            limits::leave(&mut context.findings);
        }
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
        trailers: &mut http::HeaderMap,
        context: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        if context.encoder.is_none() {
            trailers::filter(trailers, context);
        }
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
        context: &mut Self::CTX,
    ) -> FailToProxy {
        failure::tell(session, error, context, self.clock.monotonic_millis()).await
    }

    /// What clients do wrong is theirs; the access log has it, and nobody can fill the error log with it.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, error: &Error) -> bool {
        *error.esource() == ErrorSource::Downstream || *error.etype() == BODY_TOO_LARGE
    }

    at_once! {
        fn logging<'a, 'b, 'c>(
            &self,
            session: &'a mut Session,
            error: Option<&'b Error>,
            context: &'c mut Self::CTX,
        ) -> () {
            if error.is_none() {
                attempt::completed(context);
            }
            let now = Instant::now();
            context.end_attempt(now);
            let duration = now.saturating_duration_since(context.started);
            record::count(session, context, duration);
            if context.recording.is_some() {
                spans::finish(session, error, context, self.clock.unix_nanos());
            }
            if let Some(refusal) = context.refusal {
                let now = self.clock.unix_millis();
                self.denials.keep(denial::of(context, refusal, now));
            }
            if self.access_log.wants(context.id.as_str()) {
                let came = context.came.unwrap_or_else(|| {
                    let now = self.clock.unix_millis();
                    now.saturating_sub(duration.as_millis() as u64)
                });
                let record =
                    record::of(session, error, context, &self.access_log, duration, came);
                self.access_log.log(record);
            }
        }
    }

    /// Pingora's default would put the query into the error log.
    fn request_summary(&self, session: &Session, context: &Self::CTX) -> String {
        let header = session.req_header();
        format!(
            "{} {} request {}",
            header.method,
            header.uri.path(),
            context.id.as_str()
        )
    }
}

/// Of one request: hints and signs of life, as services send them in earnest, and many more.
const MOST_INTERIMS: u32 = 32;
