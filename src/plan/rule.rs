//! Which line of the configuration refused a request: asked of the plan that the request began with.

use super::Plan;
use crate::base::reply::Refusal;
use crate::base::yaml::Place;
use crate::policy::{Refused, Rule};

impl Plan {
    /// The rule behind a refusal: of the route's policies, else of the route, its upstream or the edge. `None`
    /// where it is HTTP itself that refuses, or the gateway that failed.
    pub fn rule(
        &self,
        route: Option<u32>,
        upstream: Option<&str>,
        refused: &Refused,
    ) -> Option<Rule> {
        let route = route.and_then(|index| self.route(index));
        if let Some(rule) = route.and_then(|route| route.pipeline.rule(refused)) {
            return Some(rule);
        }
        let upstream = |key: &str| {
            let name = upstream?;
            let place = self.places.upstreams.get(name).copied();
            let rule = Rule::new(format!("upstreams.{name}{key}"), place.unwrap_or_default());
            Some(rule)
        };
        match (refused.refusal, refused.reason) {
            (Refusal::UpstreamTimeout, "route_timeout") => {
                Some(Rule::new("timeout", route?.timeout_place))
            }
            (Refusal::UpstreamTimeout, _) => upstream(".timeouts"),
            (Refusal::Overloaded, "max_requests") => upstream(".max_requests"),
            (Refusal::NoHealthyUpstream, "breaker_open") => upstream(".breaker"),
            (Refusal::NoHealthyUpstream | Refusal::UpstreamUnreachable, _) => upstream(""),
            (Refusal::NoRoute | Refusal::MethodNotAllowed, _) => {
                Some(Rule::new("routes", self.places.routes))
            }
            (Refusal::UriTooLong, _) => Some(Rule::new("server.limits.uri", Place::default())),
            (Refusal::HeadersTooLarge, _) => {
                Some(Rule::new("server.limits.headers", Place::default()))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::secret;
    use crate::config;
    use crate::plan::{Shared, compile};
    use crate::policy::Findings;

    const SOURCE: &str = r#"listeners: [{ address: "127.0.0.1:3001" }]
identity: {}
upstreams:
  a: { servers: ["127.0.0.1:1"] }
defaults:
  max_body: 1KiB
routes:
  - path: /a
    upstream: a
    allow: [192.0.2.0/24]
    deny: [192.0.2.1]
    auth:
      roles: [admin]
    timeout: 5s
"#;

    fn plan() -> Plan {
        let (config, mut report) = config::parse(SOURCE, &secret::Process::new(Path::new(".")));
        let config = config.unwrap();
        let plan = compile(&config, &Shared::offline(&config), None, &mut report);
        plan.unwrap_or_else(|| panic!("{report:?}"))
    }

    #[test]
    fn each_refusal_leads_to_its_line() {
        let plan = plan();
        let findings = Findings::default();
        let rule = |route, upstream, refusal, reason| {
            let refused = Refused {
                refusal,
                reason,
                findings: &findings,
            };
            plan.rule(route, upstream, &refused)
                .map(|rule| (rule.name.into_owned(), rule.place.line))
        };
        let known = |name: &str, line| Some((name.to_owned(), line));
        for (refusal, reason, name, line) in [
            (Refusal::Forbidden, "address_not_allowed", "allow", 10),
            (Refusal::Forbidden, "denied_address", "deny", 11),
            (Refusal::Unauthenticated, "expired", "auth", 13),
            (Refusal::Overloaded, "no_issuer_keys", "auth", 13),
            (Refusal::Forbidden, "missing_role", "auth.roles", 13),
            (Refusal::BodyTooLarge, "content_length", "max_body", 6),
            (Refusal::BodyTooLarge, "body", "max_body", 6),
            (Refusal::UpstreamTimeout, "route_timeout", "timeout", 14),
            (
                Refusal::UpstreamTimeout,
                "total_timeout",
                "upstreams.a.timeouts",
                4,
            ),
            (Refusal::UpstreamUnreachable, "tls", "upstreams.a", 4),
            (
                Refusal::Overloaded,
                "max_requests",
                "upstreams.a.max_requests",
                4,
            ),
            (
                Refusal::NoHealthyUpstream,
                "breaker_open",
                "upstreams.a.breaker",
                4,
            ),
        ] {
            assert_eq!(
                rule(Some(0), Some("a"), refusal, reason),
                known(name, line),
                "{reason}"
            );
        }
        assert_eq!(
            rule(None, None, Refusal::NoRoute, "no_route"),
            known("routes", 8)
        );
        assert_eq!(
            rule(None, None, Refusal::BadRequest, "several_credentials"),
            None
        );
        assert_eq!(
            rule(Some(0), Some("a"), Refusal::Internal, "internal"),
            None
        );
    }
}
