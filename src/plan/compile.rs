//! From a configuration to a plan. Names find what they stand for here; those that find nothing are
//! reported at their line.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::target::{Redirect, Respond, Target};
use super::{Edge, Forward, Plan, Route, Shared};
use crate::base::net::Networks;
use crate::base::report::{Code, Problem, Report};
use crate::base::template::Template;
use crate::base::yaml::At;
use crate::config::{self, Config};
use crate::limit::{self, Limit};
use crate::policy::{Names, Pipeline};
use crate::route::Router;
use crate::route::router::Matcher;
use crate::route::target::Split;
use crate::upstream::Cluster;

/// Makes a plan; `None` where the report has a reason against it.
pub fn compile(config: &Config, shared: &Shared, report: &mut Report) -> Option<Plan> {
    let parts = Parts::new(config, shared, report);
    let compiled: Vec<(Matcher, Route)> = config
        .routes()
        .iter()
        .filter_map(|route| parts.route(route, report))
        .collect();
    let (matchers, routes): (Vec<_>, Vec<_>) = compiled.into_iter().unzip();
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
            trusted_proxies: Networks::new(trusted.collect()),
            max_uri: size(limits.uri.0),
            max_headers: size(limits.headers.0),
            // Pingora counts whole seconds, and takes 0 as "for ever".
            idle_timeout: limits.idle_timeout.as_secs().max(1),
        },
        router: Router::new(&matchers),
        routes,
    })
}

/// What routes refer to.
struct Parts<'a> {
    config: &'a Config,
    limits: HashMap<&'a str, Arc<Limit>>,
    limit_names: Vec<&'a str>,
    clusters: HashMap<String, Arc<Cluster>>,
    issuers: Vec<(&'a str, Arc<crate::token::Verifier>)>,
}

impl<'a> Parts<'a> {
    fn new(config: &'a Config, shared: &'a Shared, report: &mut Report) -> Self {
        let limits = config.limits.iter();
        let limits = limits.filter_map(|(name, keys)| {
            let limit = Limit::new(name.value.as_str().into(), keys)?;
            Some((name.value.as_str(), Arc::new(limit)))
        });
        let mut clusters = HashMap::new();
        for (group, (name, upstream)) in config.upstreams.iter().enumerate() {
            if upstream.servers.value.is_empty() {
                let message = format!("the upstream `{}` has no server", name.value);
                report.push(Problem::error(
                    Code::InvalidValue,
                    upstream.servers.place,
                    message,
                ));
            }
            let outward = shared.outward.get(&name.value).cloned();
            let cluster = Cluster::new(&name.value, group as u64, upstream, outward);
            clusters.insert(name.value.clone(), Arc::new(cluster));
        }
        if let Some(address) = shared.identity {
            let cluster = Cluster::single(IDENTITY, u64::MAX, address);
            clusters.insert(IDENTITY.to_owned(), Arc::new(cluster));
        }
        let issuers = shared.issuers.iter();
        Self {
            config,
            limits: limits.collect(),
            limit_names: config.limits.names().collect(),
            clusters,
            issuers: issuers
                .map(|(name, verifier)| (name.as_str(), verifier.clone()))
                .collect(),
        }
    }

    fn route(&self, route: &config::Route, report: &mut Report) -> Option<(Matcher, Route)> {
        let name: Arc<str> = route.name().into();
        let keys = self.config.policies(route);
        let parameters = route.matches.path.value.names();
        let own_limit = |keys: &limit::config::Limit| Limit::new(name.clone(), keys).map(Arc::new);
        let names = Names {
            parameters: &parameters,
            limits: &|name| self.limits.get(name).cloned(),
            limit_names: &self.limit_names,
            own_limit: &own_limit,
            issuers: &self.issuers,
        };
        let pipeline = Pipeline::compile(&keys, &names, report);
        let target = self.target(route, &parameters, report);
        // What is wrong with the match has been told when the file was checked.
        let matcher = route.matches.compile(&mut Report::default())?;
        Some((
            matcher,
            Route {
                name,
                pipeline,
                target: target?,
            },
        ))
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

/// The built-in upstream's reserved name.
const IDENTITY: &str = "identity";
