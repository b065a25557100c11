//! One attempt after another at an upstream: where each goes, what bounds it, and whether there is a next one.

use std::time::Duration;

use http::StatusCode;
use pingora::http::RequestHeader;
use pingora::prelude::*;
use pingora::proxy::Session;
use pingora::upstreams::peer::HttpPeer;
use pingora::{ErrorSource, ErrorType, RetryType};
use rand::RngExt;
use tokio::time::Instant;

use super::alarm::Bound;
use super::context::{Context, Stage};
use super::{failure, slow, spans};
use crate::base::reply::{Refusal, Reply};
use crate::upstream::balance::Wish;
use crate::upstream::config::{Balance, RetryOn};
use crate::upstream::key::Asker;
use crate::upstream::tally::SENT;
use crate::upstream::{Cluster, Lease, NoLease};

/// A status that is tried again elsewhere; the client never sees it.
pub const STATUS: ErrorType = ErrorType::new("StatusToRetry");

/// Takes a request's place in its upstream and on a first server, or says what is answered instead. `now` is
/// `begun` in the clock's milliseconds.
pub fn begin(
    header: &RequestHeader,
    context: &mut Context,
    begun: Instant,
    now: u64,
) -> Result<(), Reply> {
    let Some(cluster) = &context.cluster else {
        return Ok(());
    };
    context.deadline = deadline(context, cluster, begun);
    let Some(ticket) = cluster.enter() else {
        let reply = Reply::refuse(Refusal::Overloaded).reason("max_requests");
        return Err(failure::after(reply, 1));
    };
    context.ticket = Some(ticket);
    if cluster.settings.balance == Balance::Hash {
        context.key = cluster.settings.by.key(&Asker {
            address: context.client.address,
            user: context
                .findings
                .principal
                .as_ref()
                .map(|principal| principal.user.as_str()),
            headers: &header.headers,
        });
    }
    let lease = lease(context, now).map_err(|why| failure::no_lease(cluster, why, now))?;
    context.lease = Some(lease);
    Ok(())
}

/// Goes on to the next attempt, or to the first. Errors: there is no server, or no time.
pub async fn next(context: &mut Context, now: impl Fn() -> u64) -> Result<Box<HttpPeer>> {
    if context.attempts > 0 {
        context.end_attempt(Instant::now());
        if !context.tried.is_empty() {
            pause(context).await;
        }
    }
    context.attempts += 1;
    context.alarm.forget();
    context.is_reused = false;
    context.stage = Stage::Sending;
    context.failed = false;
    context.body_bytes = 0;
    let begun = Instant::now();
    let left = left_at(context, begun);
    if let Some((Duration::ZERO, bound)) = left {
        context.bound = Some(bound);
        return Error::e_explain(failure::TOO_LATE, "no time is left for an attempt");
    }
    let lease = match context.lease.take() {
        Some(lease) => lease,
        None => lease(context, now()).or_else(|why| {
            context.no_lease = Some(why);
            Error::e_explain(failure::NO_LEASE, "no server for another attempt")
        })?,
    };
    let Some(cluster) = context.cluster.as_ref() else {
        return Error::e_explain(InternalError, "no upstream was chosen");
    };
    let left = left.map(|(left, _)| left);
    let peer = match context.asks_for_tunnel {
        true => {
            let (peer, gate) = cluster.tunnel(&lease.endpoint, left);
            context.gate = Some(gate);
            peer
        }
        false => cluster.kept(&lease.endpoint, left, !context.rare.hop),
    };
    context.server = Some(lease.endpoint.address);
    context.tried.push(lease.endpoint.address);
    context.lease = Some(lease);
    context.attempt = Some(begun);
    spans::begin(context);
    Ok(peer)
}

/// A server for the next attempt.
fn lease(context: &Context, now: u64) -> Result<Lease, NoLease> {
    let wish = Wish {
        now,
        key: context.key,
        tried: &context.tried,
    };
    let cluster = context.cluster.as_ref().ok_or(NoLease::NoServer)?;
    cluster.lease(&wish, |below| rand::rng().random_range(0..below.max(1)))
}

/// Waits a little before another attempt: those who failed together should not come back together.
async fn pause(context: &Context) {
    let pause = pause_after(context.attempts, rand::random());
    let left = left(context).map(|(left, _)| left);
    tokio::time::sleep(left.map_or(pause, |left| left.min(pause))).await;
}

/// By chance, which is from 0 to 1: up to 25 ms after the first attempt, then twice as much, and never above 250 ms.
fn pause_after(attempts: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE * (1 << attempts.saturating_sub(1).min(8));
    doubled.min(LONGEST_PAUSE).mul_f64(chance)
}

/// How long the request may still take, and by which bound.
fn left(context: &Context) -> Option<(Duration, Bound)> {
    left_at(context, Instant::now())
}

fn left_at(context: &Context, now: Instant) -> Option<(Duration, Bound)> {
    let (at, bound) = context.deadline?;
    Some((at.saturating_duration_since(now), bound))
}

/// The earlier one of the route's bound, from when the request came, and the upstream's, from when it may go there.
fn deadline(context: &Context, cluster: &Cluster, begun: Instant) -> Option<(Instant, Bound)> {
    let timeout = context.route().and_then(|route| route.timeout);
    let route = timeout.map(|timeout| (context.started + timeout, Bound::Route));
    let total = cluster.settings.timeouts.total;
    let total = total.map(|total| (begun + total, Bound::Total));
    route.into_iter().chain(total).min_by_key(|(at, _)| *at)
}

/// Sets the alarm to what holds now. Before the answer's head the server has its time once it has the whole request:
/// a client that is slow to send is no fault of its. After the head it has its time from the last byte.
pub fn set_alarm(context: &Context) {
    set_alarm_at(context, Instant::now);
}

fn set_alarm_at(context: &Context, now: impl FnOnce() -> Instant) {
    let Some(cluster) = &context.cluster else {
        return;
    };
    let timeouts = &cluster.settings.timeouts;
    let within = |within, bound| Some((now() + within, bound));
    let step = match context.stage {
        Stage::Sending => slow::due(context).map(|due| (due, Bound::Client)),
        Stage::Sent => within(timeouts.first_byte, Bound::FirstByte),
        Stage::Answered => within(timeouts.idle, Bound::Idle),
        // Who talks through a tunnel, or is silent, is not timed by the request that opened it.
        Stage::Tunnel => return context.alarm.off(),
    };
    let nearest = step.into_iter().chain(context.deadline);
    match nearest.min_by_key(|(at, _)| *at) {
        Some((at, bound)) => context.alarm.set(at, bound),
        None => context.alarm.rest(),
    }
}

/// A part of the request goes to the server, or the last of it.
pub fn sent(context: &mut Context, is_end: bool) {
    if is_end && context.stage == Stage::Sending {
        context.stage = Stage::Sent;
        set_alarm(context);
    }
}

/// A part of the answer comes from the server, or the last of it.
pub fn received(context: &Context, is_end: bool) {
    match is_end {
        // From here on the connection may be another request's.
        true => context.alarm.off(),
        false => set_alarm(context),
    }
}

/// The request is over, and nothing went wrong.
pub fn completed(context: &Context) {
    let well = matches!(context.stage, Stage::Answered | Stage::Tunnel) && !context.failed;
    if let Some(lease) = context.lease.as_ref().filter(|_| well) {
        lease.complete();
    }
}

/// No connection: nothing of this attempt was sent, so that any method may go elsewhere.
pub fn not_connected(session: &Session, context: &mut Context, error: &mut Error, now: u64) {
    error.set_retry(false);
    if let Some((Duration::ZERO, bound)) = left(context) {
        // It had less time than the server may take.
        context.bound = Some(bound);
        note(context, error, now);
        return;
    }
    note(context, error, now);
    settle(context, false, now);
    error.set_retry(may_retry(session, context, RetryOn::Connect, false));
}

/// The connection was there, and then something went wrong.
pub fn broken(session: &Session, context: &mut Context, error: &mut Error, reused: bool, now: u64) {
    context.alarm.off();
    context.bound = context
        .alarm
        .rang()
        .or_else(|| bound_of(error, context.stage));
    if *error.etype() == STATUS {
        // It was decided when the status came.
        return error.set_retry(true);
    }
    note(context, error, now);
    // A reset that came before the request was written is a failed write, which Pingora does not tell from others.
    let closed = error.retry == RetryType::ReusedOnly || *error.etype() == WriteError;
    let stale = closed && (reused || context.is_reused);
    error.set_retry(false);
    let begun = session.response_written().is_some();
    let on = match (context.bound, error.esource(), error.etype()) {
        // Whose fault it is that the time is up can't be told, or it is the client's.
        (Some(Bound::Total | Bound::Route | Bound::Client), _, _) => return,
        (Some(_), _, _) => RetryOn::S504,
        // An unused connection that the server closed before it knew of the request: not a failure of its, and what
        // may be repeated is, on another connection.
        (None, ErrorSource::Upstream, _) if stale && !begun && is_repeatable(session) => {
            if context.stale < MOST_STALE {
                context.stale += 1;
                context.tried.pop();
                error.set_retry(true);
                return;
            }
            RetryOn::Reset
        }
        (None, ErrorSource::Upstream, _) => RetryOn::Reset,
        _ => return,
    };
    settle(context, false, now);
    if !begun {
        error.set_retry(may_retry(session, context, on, true));
    }
}

/// The answer's head has come by `at`, which is `now` in the clock's milliseconds. Errors: `STATUS`, where it is tried
/// again elsewhere.
pub fn answered(
    session: &Session,
    context: &mut Context,
    status: StatusCode,
    at: Instant,
    now: u64,
) -> Result<()> {
    let on = match status.as_u16() {
        502 => Some(RetryOn::S502),
        503 => Some(RetryOn::S503),
        504 => Some(RetryOn::S504),
        _ => None,
    };
    settle(context, on.is_none(), now);
    if let Some(recording) = &mut context.recording {
        recording.answered(status);
    }
    context.failed = on.is_some();
    if let Some(on) = on
        && may_retry(session, context, on, true)
    {
        return Error::e_explain(STATUS, "a status that is tried again");
    }
    context.stage = match status {
        StatusCode::SWITCHING_PROTOCOLS => Stage::Tunnel,
        _ => Stage::Answered,
    };
    set_alarm_at(context, || at);
    Ok(())
}

/// Which bound one of Pingora's own timers stands for.
fn bound_of(error: &Error, stage: Stage) -> Option<Bound> {
    let begun = matches!(stage, Stage::Answered | Stage::Tunnel);
    match (error.esource(), error.etype()) {
        (ErrorSource::Upstream, ReadTimedout) if !begun => Some(Bound::FirstByte),
        (ErrorSource::Upstream, ReadError) if !begun && failure::timed_out(error) => {
            Some(Bound::FirstByte)
        }
        (ErrorSource::Upstream, ReadTimedout | WriteTimedout) => Some(Bound::Idle),
        _ => None,
    }
}

/// Notes what the attempt came to grief on, in the word that the access log has for it.
fn note(context: &mut Context, error: &Error, now: u64) {
    if context.recording.is_some() {
        let word = failure::word(error, context, now);
        if let Some(recording) = &mut context.recording {
            recording.failed(word);
        }
    }
}

fn settle(context: &mut Context, success: bool, now: u64) {
    if let (Some(lease), Some(cluster)) = (&mut context.lease, &context.cluster) {
        lease.settle(cluster, success, now);
    }
}

/// May the request be sent again? `sent`: the server may have seen it. Why not is kept for the log, where retries
/// are configured for this.
fn may_retry(session: &Session, context: &mut Context, on: RetryOn, sent: bool) -> bool {
    let Some(cluster) = &context.cluster else {
        return false;
    };
    if !cluster.settings.retries(on) {
        return false;
    }
    let why_not = if context.attempts.saturating_sub(context.stale) >= cluster.settings.attempts() {
        "attempts"
    } else if sent && !session.req_header().method.is_idempotent() {
        "method"
    } else if session.as_ref().retry_buffer_truncated() {
        "body"
    } else if left(context).is_some_and(|(left, _)| left < WORTHWHILE) {
        "deadline"
    } else if !cluster.may_retry() {
        "budget"
    } else {
        cluster.retries.count(SENT);
        return true;
    };
    cluster.retries.count(why_not);
    context.not_retried = Some(why_not);
    false
}

/// May the server get the request twice, and is all of it still here?
fn is_repeatable(session: &Session) -> bool {
    session.req_header().method.is_idempotent() && !session.as_ref().retry_buffer_truncated()
}

const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// With less time than that, another attempt is not begun.
const WORTHWHILE: Duration = Duration::from_millis(5);
/// Closed connections that a request may meet in the pool before it counts as a failure.
const MOST_STALE: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_chance_takes_some_of_each() {
        let longest = [1, 2, 3, 4, 5, 9, 100].map(|attempts| pause_after(attempts, 1.0));
        let millis = longest.map(|pause| pause.as_millis());
        assert_eq!(millis, [25, 50, 100, 200, 250, 250, 250]);
        assert_eq!(pause_after(3, 0.5), Duration::from_millis(50));
        assert_eq!(pause_after(3, 0.0), Duration::ZERO);
    }
}
