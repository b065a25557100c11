//! From a configuration to a plan. Names find what they stand for here; those that find nothing are
//! reported at their line.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::kept::Kept;
use super::target::{Redirect, Respond, Target};
use super::{Edge, Forward, Patience, Places, Plan, Route, Shared};
use crate::base::networks::Networks;
use crate::base::report::{Code, Problem, Report};
use crate::base::template::Template;
use crate::base::yaml::{At, Place};
use crate::config::{self, Config};
use crate::limit::config::Scope;
use crate::limit::{self, Limit, Store};
use crate::policy::{Keys, Names, Pipeline};
use crate::route::Router;
use crate::route::method::MethodSet;
use crate::route::router::Matcher;
use crate::route::target::Split;
use crate::telemetry::tracing::Tracer;
use crate::token::{self, ApiKeys, ForeignVerifier, Issuer, Source, TokenCache};
use crate::upstream::Cluster;
use crate::upstream::settings::Settings;

/// Makes a plan; `None` where the report has a reason against it. What the plan `before` counted goes on
/// where its definition is the same.
pub fn compile(
    config: &Config,
    shared: &Shared,
    before: Option<&Plan>,
    report: &mut Report,
) -> Option<Plan> {
    let mut kept = Kept::after(before.map(|plan| &plan.kept));
    let parts = Parts::new(config, shared, &mut kept, report);
    let compiled: Vec<(Matcher, Route)> = config
        .routes()
        .iter()
        .filter_map(|route| parts.route(route, report))
        .collect();
    let (matchers, routes): (Vec<_>, Vec<_>) = compiled.into_iter().unzip();
    let defaults = config.defaults.given();
    let unrouted = defaults.map(|defaults| parts.unrouted(&defaults.without_a_route(), report));
    let (clusters, issuers) = parts.into_what_is_kept();
    let unrouted_meters = kept.meters(&"".into());
    kept.finish();
    if report.has_errors() {
        return None;
    }
    let trusted = config
        .server
        .trusted_proxies
        .iter()
        .map(|network| network.value);
    let limits = &config.server.limits;
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    Some(Plan {
        edge: Edge {
            trusted_proxies: Networks::new(trusted),
            max_uri: size(limits.uri.0),
            max_headers: size(limits.headers.0),
            connections: limits.connections.as_ref().map(|most| most.value),
            connections_per_ip: limits.connections_per_ip,
            patience: Patience {
                header: limits.header_timeout.max(SHORTEST),
                idle: limits.idle_timeout.max(SHORTEST),
                body: limits.body_timeout.max(SHORTEST),
                tunnel: limits.tunnel_timeout.max(SHORTEST),
            },
        },
        router: Router::new(&matchers),
        routes,
        clusters,
        issuers,
        drain: config.server.drain,
        kept,
        places: Places {
            routes: config.routes.place,
            upstreams: upstream_places(config),
        },
        unrouted,
        unrouted_meters,
        tracer: Tracer::new(config.telemetry.tracing.as_ref(), shared.exporter.clone()),
    })
}

/// What routes refer to.
struct Parts<'a> {
    config: &'a Config,
    /// Each with its line.
    limits: HashMap<&'a str, (Arc<Limit>, Place)>,
    limit_names: Vec<&'a str>,
    clusters: HashMap<String, Arc<Cluster>>,
    /// Limits that are written in routes are kept as well.
    kept: RefCell<&'a mut Kept>,
    api_keys: Option<&'a ApiKeys>,
    issuers: Vec<(&'a str, Issuer)>,
    foreign: Vec<token::Kept>,
    tokens: &'a Arc<TokenCache>,
    store: Option<&'a Arc<Store>>,
}

/// A route, as its policies need to know it.
struct About<'a> {
    name: &'a Arc<str>,
    parameters: &'a [&'a str],
    methods: MethodSet,
    /// What tells it from others, on all gateways.
    place: u64,
}

impl<'a> Parts<'a> {
    fn new(
        config: &'a Config,
        shared: &'a Shared,
        kept: &'a mut Kept,
        report: &mut Report,
    ) -> Self {
        let mut limits = HashMap::new();
        for (At { value: name, place }, keys) in config.limits.iter() {
            let name = name.as_str();
            let make = || {
                let limit = Limit::new(name.into(), keys)?;
                Some(limit.counted_in(shared.store.as_ref(), 0, keys))
            };
            limits.extend(
                kept.limits
                    .keep(name, keys, make)
                    .map(|limit| (name, (limit, *place))),
            );
        }
        let mut clusters = HashMap::new();
        for (name, keys) in config.upstreams.iter() {
            let outward = shared.outward(keys, report);
            let settings = Settings::new(keys, outward);
            let cluster = shared.upstreams.prepare(&name.value, settings);
            clusters.insert(name.value.clone(), cluster);
        }
        if let Some(address) = shared.identity {
            let cluster = shared
                .upstreams
                .prepare(IDENTITY, Settings::single(address));
            clusters.insert(IDENTITY.to_owned(), cluster);
        }
        let known = shared.issuers.iter();
        let known = known.map(|(name, issuer)| (name.as_str(), issuer.clone()));
        let mut issuers: Vec<_> = known.collect();
        let mut foreign = Vec::new();
        for (name, keys) in config.issuers.iter() {
            let name = name.value.as_str();
            let make = || Some(ForeignVerifier::new(name, keys));
            let known = issuers.iter().any(|(known, _)| *known == name);
            let Some(issuer) = (!known)
                .then(|| kept.issuers.keep(name, keys, make))
                .flatten()
            else {
                continue;
            };
            let folder = shared.folder.as_ref();
            let source = folder.and_then(|folder| Source::of(keys, folder));
            foreign.extend(source.map(|source| (issuer.clone(), source)));
            issuers.push((name, Issuer::Foreign(issuer)));
        }
        Self {
            config,
            limits,
            limit_names: config.limits.names().collect(),
            clusters,
            issuers,
            foreign,
            kept: RefCell::new(kept),
            api_keys: shared.api_keys.as_ref(),
            tokens: &shared.tokens,
            store: shared.store.as_ref(),
        }
    }

    /// The upstreams by name, and the issuers in the file's order.
    fn into_what_is_kept(self) -> (Vec<Arc<Cluster>>, Vec<token::Kept>) {
        let mut clusters: Vec<_> = self.clusters.into_values().collect();
        clusters.sort_by(|one, other| one.name.cmp(&other.name));
        (clusters, self.foreign)
    }

    fn route(&self, route: &config::Route, report: &mut Report) -> Option<(Matcher, Route)> {
        let name: Arc<str> = route.name().into();
        let keys = self.config.policies(route);
        let parameters = route.matches.path.value.names();
        let methods = route.matches.methods();
        let place = identity(route);
        let about = About {
            name: &name,
            parameters: &parameters,
            methods,
            place,
        };
        let pipeline = self.pipeline(&keys, &about, report);
        let target = self.target(route, &parameters, report);
        // What is wrong with the match has been told when the file was checked.
        let matcher = route.matches.compile(&mut Report::default())?;
        Some((
            matcher,
            Route {
                identity: place,
                pattern: route.matches.path.value.to_string().into(),
                meters: self.kept.borrow_mut().meters(&name),
                name,
                pipeline,
                target: target?,
                timeout: keys.timeout.map(|timeout| timeout.value),
                timeout_place: keys
                    .timeout
                    .map(|timeout| timeout.place)
                    .unwrap_or_default(),
                place: route.place,
            },
        ))
    }

    fn unrouted(&self, keys: &Keys, report: &mut Report) -> Pipeline {
        let about = About {
            name: &"".into(),
            parameters: &[],
            methods: MethodSet::ANY,
            place: 0,
        };
        self.pipeline(keys, &about, report)
    }

    fn pipeline(&self, keys: &Keys, about: &About, report: &mut Report) -> Pipeline {
        let About { name, place, .. } = *about;
        let own_limit = |keys: &limit::config::Limit| {
            let make = || {
                let limit = Limit::new(name.clone(), keys)?;
                Some(limit.counted_in(self.store, place, keys))
            };
            let mut kept = self.kept.borrow_mut();
            let known = match keys.scope {
                Scope::Node => format!("in {name}"),
                // Other gateways know its count by the place, too.
                Scope::Cluster => format!("in {name} {place:x}"),
            };
            kept.limits.keep(&known, keys, make)
        };
        let names = Names {
            parameters: about.parameters,
            limits: &|name| self.limits.get(name).cloned(),
            limit_names: &self.limit_names,
            own_limit: &own_limit,
            issuers: &self.issuers,
            api_keys: self.api_keys,
            tokens: self.tokens,
            methods: about.methods,
        };
        Pipeline::compile(keys, &names, report)
    }

    fn target(
        &self,
        route: &config::Route,
        parameters: &[&str],
        report: &mut Report,
    ) -> Option<Target> {
        let targets = &route.targets;
        if let Some(redirect) = &targets.redirect {
            let to = Template::compile(&redirect.to.value.0, parameters)
                .map_err(|why| {
                    report.push(Problem::error(Code::UnknownName, redirect.to.place, why))
                })
                .ok()?;
            let status = StatusCode::from_u16(redirect.status.value).ok()?;
            return Some(Target::Redirect(Redirect { status, to }));
        }
        if let Some(respond) = &targets.respond {
            return Some(Target::Respond(Respond {
                status: StatusCode::from_u16(respond.status.value).ok()?,
                content_type: HeaderValue::from_str(&respond.content_type.value.0).ok()?,
                body: Bytes::from(respond.body.clone()),
            }));
        }
        self.forward(targets.upstream.as_ref()?, report)
            .map(Target::Forward)
    }

    fn forward(&self, split: &At<Split>, report: &mut Report) -> Option<Forward> {
        let mut weighted = Vec::new();
        for (name, weight) in &split.value.0 {
            match self.clusters.get(&name.value) {
                Some(cluster) => weighted.push((cluster.clone(), *weight)),
                // Wrong, but there: one message is enough. `identity` without its section is told already.
                None if self.config.upstreams.knows(&name.value) || name.value == IDENTITY => {
                    return None;
                }
                None => {
                    let message = format!("no upstream is named `{}`", name.value);
                    let problem = Problem::error(Code::UnknownName, name.place, message);
                    report.push(
                        problem
                            .suggest(&name.value, self.config.upstreams.names().chain([IDENTITY])),
                    );
                    return None;
                }
            }
        }
        Some(Forward::new(weighted))
    }
}

fn upstream_places(config: &Config) -> HashMap<String, Place> {
    let upstreams = config.upstreams.iter();
    upstreams
        .map(|(name, _)| (name.value.clone(), name.place))
        .collect()
}

/// Its hasher has no key of the process's own: gateways that share counts know a route by the same number.
fn identity(route: &config::Route) -> u64 {
    let mut hasher = DefaultHasher::new();
    (route.matches.text(), route.matches.priority).hash(&mut hasher);
    hasher.finish()
}

/// Nobody could be as quick as zero.
const SHORTEST: Duration = Duration::from_millis(10);
/// The built-in upstream's reserved name.
const IDENTITY: &str = "identity";
