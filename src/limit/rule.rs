//! A limit as it is compiled from the configuration: from what is known about a call to an answer.

use std::fmt;
use std::sync::Arc;

use super::config::{self, OnMissing};
use super::headers::Names;
use super::key::{Keys, Parts};
use super::sliding::{Decision, Sliding};
use super::table::Table;

/// Counts calls; shared by all routes that name it, and kept over a reload that leaves it as it is.
pub struct Limit {
    name: Arc<str>,
    keys: Keys,
    on_missing: OnMissing,
    table: Table,
    names: Names,
}

/// What a limit has to say about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Counted, or refused for the count.
    Decided(Decision),
    /// Not counted: a part of the key is missing (`on_missing: skip`).
    Skipped,
    /// Refused for that reason (`on_missing: deny`); waiting does not help.
    Denied,
}

impl Limit {
    /// Compiles a limit. `None` where it has no `rate`; the configuration's check has refused that.
    pub fn new(name: Arc<str>, config: &config::Limit) -> Option<Self> {
        let rate = config.rate?;
        let prefix = u8::try_from(config.ipv6_prefix.0).unwrap_or(128);
        Some(Self {
            keys: Keys::new(&config.by.0, prefix),
            on_missing: config.on_missing,
            table: Table::new(Sliding::new(rate), config.max_keys.0),
            names: Names::new(&name, rate),
            name,
        })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Decides on a call and counts it where it is admitted. `now_millis` is monotonic time.
    pub fn decide(&self, parts: &Parts, now_millis: u64) -> Outcome {
        if parts.user.is_none() && self.needs_principal() {
            match self.on_missing {
                OnMissing::Share => {}
                OnMissing::Deny => return Outcome::Denied,
                OnMissing::Skip => return Outcome::Skipped,
            }
        }
        Outcome::Decided(self.table.decide(self.keys.key(parts), now_millis))
    }

    /// Is it decided after authentication only?
    pub fn needs_principal(&self) -> bool {
        self.keys.needs_user()
    }

    /// How it appears in the response's fields.
    pub fn names(&self) -> &Names {
        &self.names
    }
}

/// The counts are not shown: they may be millions.
impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Limit").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::User;
    use super::*;
    use crate::base::decode::Decode;
    use crate::base::report::Report;
    use crate::base::yaml;

    fn limit(source: &str) -> Limit {
        let mut report = Report::default();
        let config = config::Limit::decode(&yaml::read(source).unwrap(), &mut report).unwrap();
        assert!(!report.has_errors(), "{report:?}");
        Limit::new("sample".into(), &config).unwrap()
    }

    fn call(client: &str, user: Option<&'static str>) -> Parts<'static> {
        Parts {
            client: client.parse().unwrap(),
            route: 0,
            user: user.map(|id| User {
                id,
                issuer: "airside",
            }),
        }
    }

    fn admits(limit: &Limit, parts: &Parts) -> bool {
        matches!(limit.decide(parts, 1_000), Outcome::Decided(decision) if decision.admitted)
    }

    #[test]
    fn each_client_has_its_own_20_calls_in_two_minutes() {
        let limit = limit("rate: 20/2m");
        let (one, other) = (call("192.0.2.1", None), call("192.0.2.2", None));
        for _ in 0..20 {
            assert!(admits(&limit, &one));
        }
        let Outcome::Decided(refusal) = limit.decide(&one, 1_000) else {
            panic!("counted by address, which is always known")
        };
        assert!(!refusal.admitted);
        assert!(admits(&limit, &other));
        let then = 1_000 + refusal.retry_after_millis;
        let at = |now| match limit.decide(&one, now) {
            Outcome::Decided(decision) => decision.admitted,
            outcome => panic!("{outcome:?}"),
        };
        assert!(!at(then - 1));
        assert!(at(then));
    }

    #[test]
    fn calls_without_a_user_share_one_count_unless_told_otherwise() {
        let strangers = [call("192.0.2.1", None), call("192.0.2.2", None)];
        let shared = limit("{ rate: 1/1m, by: user }");
        assert!(shared.needs_principal());
        assert!(admits(&shared, &strangers[0]));
        assert!(!admits(&shared, &strangers[1]));
        assert!(admits(&shared, &call("192.0.2.1", Some("u1"))));

        let denied = limit("{ rate: 1/1m, by: user, on_missing: deny }");
        assert_eq!(denied.decide(&strangers[0], 0), Outcome::Denied);
        assert!(admits(&denied, &call("192.0.2.1", Some("u1"))));

        let skipped = limit("{ rate: 1/1m, by: [ip, user], on_missing: skip }");
        assert_eq!(skipped.decide(&strangers[0], 0), Outcome::Skipped);
    }

    #[test]
    fn a_global_limit_counts_all_calls_together() {
        let limit = limit("{ rate: 1/1m, by: global }");
        assert!(!limit.needs_principal());
        assert!(admits(&limit, &call("192.0.2.1", None)));
        assert!(!admits(&limit, &call("192.0.2.2", Some("u1"))));
    }
}
