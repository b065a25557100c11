//! What a sampled request's spans need: noted while it is on its way, and handed over once it is over.

use http::header;
use pingora::Error;
use pingora::proxy::Session;

use super::context::Context;
use super::record;
use crate::base::trace;
use crate::telemetry::tracing::{Attempt, Limited, Request, Text};

/// The attempts so far of a request whose spans are wanted.
#[derive(Debug, Default)]
pub struct Recording(Vec<Attempt>);

impl Recording {
    /// The span of the attempt that goes on, which is what the server gets as its caller.
    pub fn caller(&self) -> Option<u64> {
        self.0.last().map(|attempt| attempt.span)
    }

    /// The answer's head has come.
    pub fn answered(&mut self, status: http::StatusCode) {
        if let Some(attempt) = self.0.last_mut() {
            attempt.status = status.as_u16();
        }
    }

    /// What the attempt came to grief on; the first word stays.
    pub fn failed(&mut self, error: &'static str) {
        if let Some(attempt) = self.0.last_mut() {
            attempt.error.get_or_insert(error);
        }
    }
}

/// An attempt begins, at the server of the context's lease.
pub fn begin(context: &mut Context) {
    let (Some(recording), Some(lease), Some(cluster)) =
        (&mut context.recording, &context.lease, &context.cluster)
    else {
        return;
    };
    recording.0.push(Attempt {
        span: trace::new_span(),
        begun: context.started.elapsed(),
        took: None,
        peer: lease.endpoint.address,
        server: lease.endpoint.server.clone(),
        tls: cluster.settings.transport.tls().is_some(),
        status: 0,
        error: None,
    });
}

/// The attempt that goes on is over.
pub fn end(context: &mut Context) {
    let recording = context.recording.as_mut();
    if let Some(attempt) = recording.and_then(|recording| recording.0.last_mut()) {
        let took = context.started.elapsed().saturating_sub(attempt.begun);
        attempt.took.get_or_insert(took);
    }
}

/// Hands the spans of a request over that is over at `now`, in nanoseconds since 1970. Nothing for one that was not
/// sampled.
pub fn finish(session: &Session, error: Option<&Error>, context: &mut Context, now: u64) {
    let (Some(recording), Some(trace)) = (context.recording.take(), context.trace) else {
        return;
    };
    let head = session.req_header();
    let host = head
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| head.headers.get(header::HOST).map(|value| value.as_bytes()));
    let state = context.state.take();
    let reason = record::reason(context, error);
    let rewritten = context.findings.path.as_deref();
    let nearest = record::nearest(context);
    let request = Request {
        trace,
        state,
        ended: now,
        took: context.started.elapsed(),
        method: head.method.clone(),
        path: Text::new(head.uri.path()),
        tls: session
            .digest()
            .is_some_and(|digest| digest.ssl_digest.is_some()),
        host: Text::new(&String::from_utf8_lossy(host.unwrap_or_default())),
        client: context.client.address,
        protocol: protocol(head.version),
        route: context
            .route()
            .map(|route| (route.name.clone(), route.pattern.clone())),
        status: record::status(session),
        refusal: context
            .refusal
            .map(|refusal| (refusal.code(), refusal.status())),
        reason,
        broken: error.is_some() && context.refusal.is_none() && reason != Some("client_gone"),
        limit: nearest.map(|counted| Limited {
            name: counted.limit().name().clone(),
            decision: counted.ruling().word(),
        }),
        upstream: context.cluster.as_ref().map(|cluster| cluster.name.clone()),
        rewritten: rewritten.or(context.normalised.as_deref()).map(Text::new),
        attempts: recording.0,
    };
    context.plan.tracer.queue(request);
}

fn protocol(version: http::Version) -> &'static str {
    match version {
        http::Version::HTTP_10 => "1.0",
        http::Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
