//! `redis:`: the server in which gateways count together.

use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::base::decode::{self, Decode, keys, mappings};
use crate::base::report::{Code, Problem, Report};
use crate::base::secret::Secret;
use crate::base::yaml::{At, Node};

keys! {
    pub struct Redis {
        /// Where it is; it may hold a user, a password and the number of a database.
        pub url: Url,
        /// With `rediss://`: who may have signed its certificate, a PEM file. Left out: the system's authorities.
        pub ca: Option<At<String>>,
        /// How long a call waits for its answer at most.
        pub timeout: Duration = Duration::from_millis(20),
    }
}
mappings!(Redis);

/// It may hold a password.
#[derive(Debug, Clone, PartialEq)]
pub struct Url(pub Secret);

impl Url {
    /// Is the server to be spoken to over TLS?
    pub fn asks_for_tls(&self) -> bool {
        self.0.reveal().starts_with(SECURE)
    }
}

/// No message repeats a part of it.
impl Decode for Url {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let text = decode::text(node, EXPECTED, report)?.value;
        // The library reads both schemes alike, but for a fragment that would switch verification off.
        let plain = text
            .strip_prefix(SECURE)
            .map(|rest| format!("{PLAIN}{rest}"));
        let plain = plain.as_deref().unwrap_or(&text);
        let is_address = plain.starts_with(PLAIN)
            && !plain.contains('#')
            && redis::IntoConnectionInfo::into_connection_info(plain).is_ok();
        if is_address {
            return Some(Self(Secret::new(text)));
        }
        let message = format!("expected {EXPECTED}");
        report.push(Problem::error(Code::InvalidValue, node.place, message));
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": EXPECTED,
            "pattern": r"^rediss?://.+$|\$\{",
            "examples": ["redis://127.0.0.1:6379/0"],
        })
    }
}

const EXPECTED: &str = "an address such as `redis://127.0.0.1:6379/0`, or `rediss://` for TLS";
const PLAIN: &str = "redis://";
const SECURE: &str = "rediss://";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::yaml;

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for (source, why) in [
            ("http://a:hunter2@b", "expected an address"),
            ("redis://a:hunter2@:x", "expected an address"),
            ("rediss://a:hunter2@b/#insecure", "expected an address"),
            ("rediss://a:hunter2@b:x", "expected an address"),
            ("redis://a:hunter2@b/one", "expected an address"),
        ] {
            let mut report = Report::default();
            let node = yaml::read(&format!("url: '{source}'")).unwrap();
            assert_eq!(Redis::decode(&node, &mut report), None);
            let [problem] = report.problems() else {
                panic!("{report:?}");
            };
            assert!(problem.message.contains(why), "{problem:?}");
            assert!(!format!("{problem:?}").contains("hunter2"));
        }
        for (scheme, tls) in [("redis", false), ("rediss", true)] {
            let mut report = Report::default();
            let node = yaml::read(&format!("url: '{scheme}://a:hunter2@b:1/2'")).unwrap();
            let redis = Redis::decode(&node, &mut report).unwrap();
            assert_eq!(redis.timeout, Duration::from_millis(20));
            assert_eq!(redis.url.asks_for_tls(), tls);
            assert!(!format!("{redis:?}").contains("hunter2"));
        }
    }
}
