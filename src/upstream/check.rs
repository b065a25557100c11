//! What is wrong with one upstream though each of its keys is right.

use std::time::Duration;

use super::config::{Address, Balance, Protocol, RetryOn, Timeouts, Upstream};
use crate::base::report::{Code, Problem, Report};
use crate::base::units::show_duration;
use crate::base::yaml::{At, Place};

/// Reports it. `name` is the upstream's, with its place.
pub fn check(name: &At<String>, upstream: &Upstream, report: &mut Report) {
    servers(name, upstream, report);
    balance(upstream, report);
    health(upstream, report);
    limits(upstream, report);
    timeouts(upstream, report);
    retry(upstream, report);
    certificate(upstream, report);
}

/// The longest that an upstream's attempts may take together, where it has more than one: pauses between them are
/// short. Where nothing but a missing connection is tried again, attempts end with `connect`.
pub fn attempts(upstream: &Upstream) -> Option<(u32, Duration, Place)> {
    let retry = upstream.retry.as_ref()?;
    let timeouts = &upstream.timeouts.value;
    let attempts = retry.value.attempts.0;
    let only_connect = retry.value.on.iter().all(|on| *on == RetryOn::Connect);
    let each = match only_connect {
        true => timeouts.connect,
        false => timeouts.connect + timeouts.first_byte,
    };
    (attempts > 1).then(|| (attempts, each.saturating_mul(attempts), retry.place))
}

fn servers(name: &At<String>, upstream: &Upstream, report: &mut Report) {
    let servers = &upstream.servers.value;
    if servers.is_empty() {
        let message = format!("the upstream `{}` has no server", name.value);
        invalid(report, upstream.servers.place, message);
    }
    for (index, server) in servers.iter().enumerate() {
        let same = |other: &&At<super::config::Server>| other.value.address == server.value.address;
        if let Some(first) = servers.iter().take(index).find(same) {
            let message = format!("the server `{}` is there twice", server.value.address);
            let problem = Problem::error(Code::Conflict, server.place, message);
            let problem = problem.related(first.place, "the first one");
            report.push(problem.help("a server gets more requests by its `weight`"));
        }
    }
    let named =
        |server: &At<super::config::Server>| matches!(server.value.address, Address::Name(..));
    if let Some(every) = &upstream.resolve
        && !servers.iter().any(named)
    {
        let message = "`resolve` has no effect: no server has a name that DNS resolves";
        report.push(Problem::warning(Code::Conflict, every.place, message));
    }
}

fn balance(upstream: &Upstream, report: &mut Report) {
    match (&upstream.balance, &upstream.by) {
        (balance, None) if balance.value == Balance::Hash => {
            let message = "`balance: hash` does not say what it goes by";
            let problem = Problem::error(Code::MissingKey, balance.place, message);
            report.push(
                problem.help("add `by: ip`, `by: user`, `by: header:NAME` or `by: cookie:NAME`"),
            );
        }
        (balance, Some(by)) if balance.value != Balance::Hash => {
            let message = format!(
                "`by` has no meaning with `balance: {}`",
                balance.value.word()
            );
            let problem = Problem::error(Code::Conflict, by.place, message);
            report.push(problem.help("it belongs to `balance: hash`"));
        }
        _ => {}
    }
}

fn health(upstream: &Upstream, report: &mut Report) {
    let Some(At { value, place }) = &upstream.health else {
        return;
    };
    let ways = [value.path.is_some(), value.tcp, value.grpc];
    if ways.iter().filter(|asked| **asked).count() != 1 {
        let message = "`health` asks in one way: give `path`, `grpc: true`, or `tcp: true`";
        report.push(Problem::error(Code::Conflict, *place, message));
    }
    if let Some(path) = &value.path
        && upstream.protocol == Protocol::Grpc
    {
        let message = "`path` is asked by GET, which servers of gRPC do not answer";
        let problem = Problem::error(Code::Conflict, path.place, message);
        report.push(problem.help("use `grpc: true`, or `tcp: true`"));
    }
    if value.grpc && upstream.protocol == Protocol::Http1 {
        let message = "`grpc: true` asks in HTTP/2, and `protocol` says `http1`";
        let problem = Problem::error(Code::Conflict, *place, message);
        report.push(problem.help("gRPC needs `protocol: grpc`"));
    }
    if let Some(service) = value.service.as_ref().filter(|_| !value.grpc) {
        let message = "`service` has no meaning without `grpc: true`";
        report.push(Problem::error(Code::Conflict, service.place, message));
    }
    positive(report, *place, "every", value.every);
    positive(report, *place, "timeout", value.timeout);
    if value.timeout > value.every {
        let (timeout, every) = (show_duration(value.timeout), show_duration(value.every));
        let message = format!("`timeout` ({timeout}) is longer than `every` ({every})");
        invalid(report, *place, message);
    }
}

fn limits(upstream: &Upstream, report: &mut Report) {
    if let Some(At { value, place }) = &upstream.ejection {
        positive(report, *place, "for", value.r#for);
        let servers = &upstream.servers.value;
        let fixed = servers
            .iter()
            .all(|server| matches!(server.value.address, Address::Socket(_)));
        let room = servers.len() as f64 * value.max_ejected.0;
        if fixed && !servers.is_empty() && room + 1e-9 < 1.0 {
            let share = value.max_ejected.0 * 100.0;
            let count = servers.len();
            let message = format!(
                "`ejection` has no effect: {share}% of {count} server{} is less than one",
                if count == 1 { "" } else { "s" }
            );
            report.push(Problem::warning(Code::InvalidValue, *place, message));
        }
    }
    if let Some(At { value, place }) = &upstream.breaker {
        positive(report, *place, "open_for", value.open_for);
        if value.failure_rate.0 == 0.0 {
            let message = "a `failure_rate` of 0% would open the breaker without a failure";
            invalid(report, *place, message);
        }
    }
    if let Some(every) = &upstream.resolve {
        positive(report, every.place, "resolve", every.value);
    }
}

fn timeouts(upstream: &Upstream, report: &mut Report) {
    let At { value, place } = &upstream.timeouts;
    let Timeouts {
        connect,
        first_byte,
        idle,
        total,
    } = value;
    let bounds = [
        ("connect", Some(connect)),
        ("first_byte", Some(first_byte)),
        ("idle", Some(idle)),
        ("total", total.as_ref()),
    ];
    for (name, bound) in bounds {
        positive(report, *place, name, *bound.unwrap_or(&Duration::MAX));
    }
    if let (Some((attempts, all, place)), Some(total)) = (attempts(upstream), total)
        && all > *total
    {
        report.push(too_long(attempts, all, place, "`timeouts.total`", *total));
    }
}

fn retry(upstream: &Upstream, report: &mut Report) {
    let Some(At { value, place }) = &upstream.retry else {
        return;
    };
    let idle = match () {
        () if value.attempts.0 == 1 => "`attempts` counts the first one too",
        () if value.on.is_empty() => "`on` names nothing",
        () if value.budget.0 == 0.0 => "`budget` allows none",
        () => return,
    };
    let message = format!("`retry` has no effect: {idle}");
    report.push(Problem::warning(Code::InvalidValue, *place, message));
}

/// The warning that a bound may end a request before its attempts are used up.
pub fn too_long(
    attempts: u32,
    all: Duration,
    place: Place,
    what: &str,
    bound: Duration,
) -> Problem {
    let (all, bound) = (show_duration(all), show_duration(bound));
    let message = format!("{attempts} attempts may take {all}, and {what} ends them after {bound}");
    Problem::warning(Code::Conflict, place, message)
        .help("shorten `timeouts.connect` and `timeouts.first_byte`, or lengthen the bound")
}

fn certificate(upstream: &Upstream, report: &mut Report) {
    let Some(At { value: tls, .. }) = &upstream.tls else {
        return;
    };
    let (place, missing) = match (&tls.cert, &tls.key) {
        (Some(cert), None) => (cert.place, "key"),
        (None, Some(key)) => (key.place, "cert"),
        _ => return,
    };
    let message =
        format!("a client certificate is a `cert` and its `key`; the `{missing}` is missing");
    report.push(Problem::error(Code::MissingKey, place, message));
}

fn positive(report: &mut Report, place: Place, name: &str, duration: Duration) {
    if duration.is_zero() {
        invalid(report, place, format!("`{name}` must not be zero"));
    }
}

fn invalid(report: &mut Report, place: Place, message: impl Into<String>) {
    report.push(Problem::error(Code::InvalidValue, place, message));
}
