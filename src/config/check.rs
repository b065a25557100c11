//! What only the whole file can tell: who may call is never left out, no two routes tie, no two
//! listeners share an address.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::{Config, Route};
use crate::base::net::is_loopback;
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};
use crate::limit::config::Scope;
use crate::policy::auth::BUILT_IN;
use crate::policy::limits::Use;
use crate::route::router::Matcher;
use crate::upstream;

pub mod cases;
mod limits;

/// Reports everything that is wrong between the parts. `root` is the file before it had types: it
/// knows what the file has, also where that could not be read.
pub fn check(config: &Config, root: &At<Node>, report: &mut Report) {
    everyone_says_who_may_call(config, report);
    no_two_routes_tie(config.routes(), report);
    no_two_names_alike(config.routes(), report);
    addresses_differ(config, report);
    somebody_may_come(config, report);
    admin_is_guarded(config, report);
    reserved_names(config, report);
    for (name, keys) in config.upstreams.iter() {
        upstream::check::check(name, keys, report);
    }
    attempts_fit_their_route(config, report);
    listeners_can_be_handed_over(config, report);
    listeners_can_be_used(config, report);
    cluster_limits_have_a_store(config, report);
    limits::who_calls_is_known(config, report);
    an_authority_is_for_tls(config, report);
    issuers_differ(config, report);
    cases::check(config, &config.tests.0, report);
    if config.routes().is_empty() && !has_items(root, "routes") {
        let message = "there is no route, so that every request would get 404";
        report.push(Problem::error(
            Code::InvalidValue,
            config.routes.place,
            message,
        ));
    }
    if config.listeners().is_empty() && !has_items(root, "listeners") {
        let message = "there is no listener, so that nobody could come in";
        report.push(Problem::error(
            Code::InvalidValue,
            config.listeners.place,
            message,
        ));
    }
}

/// The kernel passes some 250 sockets in one message, Pingora 32.
fn listeners_can_be_handed_over(config: &Config, report: &mut Report) {
    const MOST: usize = 32;
    if config.server.run_dir.is_some() && config.addresses().len() > MOST {
        let message = format!(
            "an upgrade hands {MOST} listeners over at most, identity and admin among them"
        );
        let problem = Problem::error(Code::InvalidValue, config.listeners.place, message);
        report.push(problem.help("leave `server.run_dir` out: then there is no `--upgrade`"));
    }
}

fn somebody_may_come(config: &Config, report: &mut Report) {
    let connections = config.server.limits.connections.as_ref();
    if let Some(connections) = connections.filter(|most| most.value == 0) {
        let message = "with no connection at all nobody could come in";
        report.push(Problem::error(
            Code::InvalidValue,
            connections.place,
            message,
        ));
    }
}

fn everyone_says_who_may_call(config: &Config, report: &mut Report) {
    if config.defaults.is_wrong() {
        return;
    }
    for route in config
        .routes()
        .iter()
        .filter(|route| config.policies(route).auth.is_none())
    {
        let message = format!("the route `{}` does not say who may call", route.name());
        let problem = Problem::error(Code::MissingKey, route.place, message);
        report.push(problem.help("add `auth: public`, `auth: required` or `auth: { roles: […] }`, or a default under `defaults:`"));
    }
}

fn no_two_routes_tie(routes: &[Route], report: &mut Report) {
    // Only routes with the same number of segments can tie: 10,000 routes are not 50 million pairs.
    let mut groups: HashMap<_, Vec<(&Route, Matcher)>> = HashMap::new();
    for route in routes {
        let Some(matcher) = route.matches.compile(report) else {
            continue;
        };
        let first = matcher
            .path
            .segments
            .iter()
            .map(|segment| segment.literal().unwrap_or("{}"))
            .collect::<Vec<_>>()
            .join("/");
        let host = matcher.host.as_ref().map(ToString::to_string);
        let key = (host, matcher.path.segments.len(), first);
        let group = groups.entry(key).or_default();
        if let Some((other, _)) = group.iter().find(|(_, other)| other.ties_with(&matcher)) {
            let message = format!(
                "the routes `{}` and `{}` can both match one request",
                other.name(),
                route.name()
            );
            let problem = Problem::error(Code::Conflict, route.matches.path.place, message)
                .label("and this one are equally specific")
                .related(other.matches.path.place, "this one");
            report.push(problem.help("give one of them a `priority`, or a `host`, `methods` or `when` that tells them apart"));
        }
        group.push((route, matcher));
    }
}

fn no_two_names_alike(routes: &[Route], report: &mut Report) {
    let mut known: HashMap<&str, Place> = HashMap::new();
    for name in routes
        .iter()
        .filter_map(|route| route.matches.name.as_ref())
    {
        if let Some(first) = known.insert(name.value.0.as_str(), name.place) {
            let message = format!("two routes are named `{}`", name.value.0);
            report.push(
                Problem::error(Code::Conflict, name.place, message).related(first, "the first one"),
            );
        }
    }
}

fn addresses_differ(config: &Config, report: &mut Report) {
    let mut all: Vec<At<SocketAddr>> = config
        .listeners()
        .iter()
        .map(|listener| listener.address)
        .collect();
    all.extend(config.identity.given().map(|identity| identity.listen));
    all.extend(config.admin.given().map(|admin| admin.listen));
    for (index, address) in all.iter().enumerate() {
        let earlier = all
            .iter()
            .take(index)
            .find(|other| clash(other.value, address.value));
        if let Some(other) = earlier {
            let message = format!(
                "`{}` and `{}` can't both be listened on",
                other.value, address.value
            );
            let place = [address.place, other.place]
                .into_iter()
                .max()
                .unwrap_or_default();
            let first = [address.place, other.place]
                .into_iter()
                .min()
                .unwrap_or_default();
            let mut problem = Problem::error(Code::Conflict, place, message);
            if first != Place::default() {
                problem = problem.related(first, "the other one");
            }
            report.push(problem);
        }
    }
}

fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.port() != 0
        && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn admin_is_guarded(config: &Config, report: &mut Report) {
    if let Some(admin) = config.admin.given()
        && admin.token.is_none()
        && !is_loopback(admin.listen.value.ip())
    {
        let message = format!(
            "the admin listener on `{}` can be reached from outside and has no `token`",
            admin.listen.value
        );
        let problem = Problem::error(Code::MissingKey, admin.listen.place, message);
        report.push(problem.help("add `token: ${env:ADMIN_TOKEN}`, or listen on 127.0.0.1"));
    }
}

/// A route's `timeout` may end a request before its upstream's attempts are used up.
fn attempts_fit_their_route(config: &Config, report: &mut Report) {
    for route in config.routes() {
        let Some(timeout) = config.policies(route).timeout else {
            continue;
        };
        if timeout.value.is_zero() {
            let message = "`timeout` must not be zero";
            report.push(Problem::error(Code::InvalidValue, timeout.place, message));
        }
        let split = route
            .targets
            .upstream
            .iter()
            .flat_map(|split| &split.value.0);
        let upstreams = split.filter_map(|(name, _)| config.upstreams.find(&name.value));
        let attempts = upstreams.filter_map(upstream::check::attempts);
        for (attempts, all, place) in attempts.filter(|(_, all, _)| *all > timeout.value) {
            let what = format!("`timeout` of the route `{}`", route.name());
            let problem = upstream::check::too_long(attempts, all, place, &what, timeout.value);
            report.push(problem.related(timeout.place, "this one"));
        }
    }
}

/// `identity` is the built-in upstream and `airside` the built-in issuer.
fn reserved_names(config: &Config, report: &mut Report) {
    let taken = config
        .upstreams
        .iter()
        .find(|(name, _)| name.value == "identity");
    if let Some((name, _)) = taken {
        let message = "`identity` is the built-in identity service; an upstream needs another name";
        report.push(Problem::error(Code::Conflict, name.place, message));
    }
    for route in config.routes() {
        let Some(split) = &route.targets.upstream else {
            continue;
        };
        let to_identity = split
            .value
            .0
            .iter()
            .find(|(name, _)| name.value == "identity");
        if let Some((name, _)) = to_identity.filter(|_| config.identity.is_absent()) {
            let message =
                "this route leads to the identity service, and the file has no `identity:`";
            report.push(Problem::error(Code::UnknownName, name.place, message));
        }
    }
}

fn cluster_limits_have_a_store(config: &Config, report: &mut Report) {
    if !config.redis.is_absent() {
        return;
    }
    let named = config.limits.iter();
    let named = named.map(|(name, limit)| (name.value.clone(), name.place, limit));
    let own = config.routes().iter().flat_map(|route| {
        let uses = route.policies.limits.iter().flatten();
        let own = uses.filter_map(Use::own);
        own.map(|limit| (route.name(), route.place, limit))
    });
    let defaults = config.defaults.given();
    let defaults = defaults.into_iter().flat_map(|keys| keys.limits.iter());
    let defaults = defaults.flatten().filter_map(|item| match item {
        Use::Own(own) => Some(("defaults".to_owned(), own.place, &own.value)),
        Use::Named(_) => None,
    });
    let own = own.chain(defaults);
    for (name, place, limit) in named.chain(own) {
        if limit.scope == Scope::Cluster {
            let message = format!(
                "the limit `{name}` is counted for all gateways, and the file has no `redis:`"
            );
            report.push(Problem::error(Code::MissingKey, place, message));
        }
    }
}

fn an_authority_is_for_tls(config: &Config, report: &mut Report) {
    if let Some(redis) = config.redis.given()
        && let Some(ca) = redis.ca.as_ref().filter(|_| !redis.url.asks_for_tls())
    {
        let message =
            "`ca` is who may have signed the server's certificate, and without TLS it shows none";
        let problem = Problem::error(Code::Conflict, ca.place, message);
        report.push(problem.help("begin the `url` with `rediss://`"));
    }
}

/// A token says by its `iss` who made it, and that must be one issuer of the file.
fn issuers_differ(config: &Config, report: &mut Report) {
    let mut known: HashMap<&str, Option<Place>> = HashMap::new();
    if let Some(identity) = config.identity.given() {
        known.insert(&identity.issuer, None);
    }
    for (name, issuer) in config.issuers.iter() {
        if name.value == BUILT_IN {
            let message = "`airside` is the built-in issuer; another one needs another name";
            report.push(Problem::error(Code::Conflict, name.place, message));
        }
        let place = issuer.issuer.place;
        match known.insert(&issuer.issuer.value, Some(place)) {
            None => {}
            Some(first) => {
                let message = "two issuers would make tokens with the same `iss`";
                let problem = Problem::error(Code::Conflict, place, message);
                report.push(match first {
                    Some(first) => problem.related(first, "the first one"),
                    None => problem.help("`identity.issuer` says the same"),
                });
            }
        }
    }
}

fn listeners_can_be_used(config: &Config, report: &mut Report) {
    let mut refuse = |place, message: &str| {
        report.push(Problem::error(
            Code::InvalidValue,
            place,
            message.to_owned(),
        ));
    };
    for listener in config.listeners() {
        if listener.protocols.value.is_empty() {
            let message = "`protocols` is empty, so that nobody could speak to this listener";
            refuse(listener.protocols.place, message);
        }
        if let Some(tls) = &listener.tls
            && tls.certificates.value.is_empty()
        {
            let message = "`tls` without a certificate has nothing to show to clients";
            refuse(tls.certificates.place, message);
        }
        if listener.proxy_protocol.value && config.server.trusted_proxies.is_empty() {
            let message =
                "`proxy_protocol` is taken from `server.trusted_proxies` only, and there are none";
            refuse(listener.proxy_protocol.place, message);
        }
    }
}

/// Has the file items there, though none of them could be read?
fn has_items(root: &At<Node>, key: &str) -> bool {
    let Node::Map(entries) = &root.value else {
        return false;
    };
    let mut entries = entries.iter().filter(|(name, _)| name.value == key);
    entries.any(|(_, node)| matches!(&node.value, Node::List(items) if !items.is_empty()))
}
