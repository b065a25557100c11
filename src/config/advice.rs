//! What is sound and hardly meant: warnings. Only a file without errors gets them, since what is missing or
//! misspelt there would make everything else look unused.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Config, Route};
use crate::base::networks::{self, Networks};
use crate::base::report::{Code, Problem, Report};
use crate::policy::{self, auth};
use crate::route::router::Matcher;

mod cover;
mod reach;
mod roles;
mod unused;

/// Adds warnings to the report of a file that has no error.
pub fn advise(config: &Config, report: &mut Report) {
    if report.has_errors() {
        return;
    }
    let routes = config.routes().iter();
    let routes: Vec<_> = routes
        .filter_map(|route| Judged::new(config, route))
        .collect();
    unused::advise(config, &routes, report);
    reach::advise(&routes, report);
    cover::advise(&routes, report);
    roles::advise(config, &routes, report);
    trusted_proxies(config, report);
}

/// A route with all that holds for it.
struct Judged<'a> {
    route: &'a Route,
    keys: policy::Keys,
    matcher: Matcher,
}

impl<'a> Judged<'a> {
    fn new(config: &Config, route: &'a Route) -> Option<Self> {
        Some(Self {
            route,
            keys: config.policies(route),
            // What is wrong with it has been told.
            matcher: route.matches.compile(&mut Report::default())?,
        })
    }

    /// What callers need; `None` for a public route.
    fn requirement(&self) -> Option<&auth::Requirement> {
        match &self.keys.auth.as_ref()?.value {
            auth::Access::Required(requirement) => Some(requirement),
            auth::Access::Public => None,
        }
    }

    /// The upstreams that it forwards to.
    fn upstreams(&self) -> impl Iterator<Item = &'a str> {
        let split = self.route.targets.upstream.as_ref();
        let names = split.into_iter().flat_map(|split| &split.value.0);
        names.map(|(name, _)| name.value.as_str())
    }

    /// Host and segments as the router sees them: routes of one group match the same paths, but for what
    /// remains.
    fn place(&self) -> Place {
        let segments = self.matcher.path.segments.iter();
        Place {
            host: self.matcher.host.as_ref().map(ToString::to_string),
            segments: segments
                .map(|segment| segment.literal().map(str::to_owned))
                .collect(),
        }
    }

    /// Its place among routes of the same path: more goes first.
    fn rank(&self) -> (usize, u32) {
        (self.matcher.predicates.count(), self.matcher.priority)
    }
}

/// Where in the router's tree a pattern stands; `None` is a parameter.
#[derive(PartialEq, Eq, Hash)]
struct Place {
    host: Option<String>,
    segments: Vec<Option<String>>,
}

fn trusted_proxies(config: &Config, report: &mut Report) {
    let trusted = &config.server.trusted_proxies;
    networks::review(trusted, report);
    let set = Networks::new(trusted.iter().map(|network| network.value));
    for everyone in [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())] {
        if !set.covers(everyone) {
            continue;
        }
        // The widest one, also where it takes several to be everyone.
        let of_kind = everyone.addr().is_ipv4();
        let alike = trusted
            .iter()
            .filter(|network| network.value.addr().is_ipv4() == of_kind);
        let widest = alike.min_by_key(|network| network.value.prefix_len());
        if let Some(network) = widest.or(trusted.first()) {
            let message =
                format!("all of `{everyone}` is trusted: any client may say that it is any other");
            let problem = Problem::warning(Code::Unlikely, network.place, message);
            report.push(problem.help("name the networks of your own proxies"));
        }
    }
}

#[cfg(test)]
mod tests;
