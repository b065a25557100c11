//! What becomes of a request, decided on its head alone: route, policies, target, and a first server. It knows
//! of no connection, so that a request can be decided on without one: `rehearsal.rs` does.

use pingora::http::RequestHeader;
use tokio::time::Instant;

use super::context::Context;
use super::{attempt, destination, intake, websocket};
use crate::base::clock::Clock;
use crate::base::reply::{Refusal, Reply};
use crate::plan::Target;
use crate::policy::{Call, Progress, Watch};
use crate::route::Found;
use crate::tls::Handshake;

/// Finds the route and runs its pipeline; what it says ends the request, or lets it be forwarded.
pub async fn decide(
    clock: &Clock,
    header: &RequestHeader,
    handshake: Option<&Handshake>,
    context: &mut Context,
    watch: &mut impl Watch,
) -> Result<(), Reply> {
    let asked = intake::read(header, context.rare, &context.plan.edge)?;
    if handshake.is_some_and(|handshake| !handshake.fits(&asked.host)) {
        return Err(Reply::refuse(Refusal::Misdirected).reason("host"));
    }
    let (index, captures) = match destination::find(&context.plan, &asked, header) {
        Found::Route { route, captures } => (route, captures),
        Found::MethodNotAllowed(allowed) => return Err(intake::method_not_allowed(allowed)),
        Found::Nothing => return Err(Reply::refuse(Refusal::NoRoute).reason("no_route")),
    };
    context.enter(index);
    let Some(route) = context.plan.route(index) else {
        return Err(Reply::refuse(Refusal::Internal).reason("route"));
    };
    // Nothing has been waited for so far: this is when the request came.
    let mut now = context.started;
    let unix_millis = clock.unix_millis();
    context.came = Some(unix_millis);
    let mut call = Call {
        header,
        client: context.client,
        path: &asked.path,
        captures: &captures,
        route: route.identity,
        now_millis: clock.monotonic_millis_at(now.into_std()),
        unix_seconds: unix_millis / 1_000,
        findings: &mut context.findings,
    };
    match route.pipeline.request(0, &mut call, watch) {
        Progress::Passed => {}
        Progress::Answered(reply) => return Err(*reply),
        // In a box of its own: the room is taken only by those who wait.
        Progress::Waiting(number, wait) => {
            let rest = Box::pin(route.pipeline.resume(number, wait, &mut call, watch));
            rest.await.map_err(|reply| *reply)?;
            now = Instant::now();
        }
    }
    match &route.target {
        Target::Respond(respond) => return Err(respond.reply()),
        Target::Redirect(redirect) => {
            return Err(redirect.reply(&asked.path, &captures, asked.query));
        }
        Target::Forward(forward) => {
            let findings = &context.findings;
            let client = context.client.address;
            context.cluster = forward
                .cluster(|| destination::caller(findings, client))
                .cloned();
        }
    }
    context.asks_for_tunnel = context.rare.upgrade && websocket::is_asked_for(header);
    if asked.path != header.uri.path() {
        context.normalised = Some(asked.path.into_owned());
    }
    attempt::begin(
        header,
        context,
        now,
        clock.monotonic_millis_at(now.into_std()),
    )
}
