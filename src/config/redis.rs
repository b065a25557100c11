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
        /// How long a call waits for its answer at most.
        pub timeout: Duration = Duration::from_millis(20),
    }
}
mappings!(Redis);

/// It may hold a password.
#[derive(Debug, Clone, PartialEq)]
pub struct Url(pub Secret);

/// No message repeats a part of it.
impl Decode for Url {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let text = decode::text(node, EXPECTED, report)?.value;
        let known = text.starts_with("redis://");
        if known && redis::IntoConnectionInfo::into_connection_info(text.as_str()).is_ok() {
            return Some(Self(Secret::new(text)));
        }
        let message = match text.starts_with("rediss://") {
            true => "TLS to Redis is not built yet".to_owned(),
            false => format!("expected {EXPECTED}"),
        };
        report.push(Problem::error(Code::InvalidValue, node.place, message));
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": EXPECTED,
            "pattern": r"^redis://.+$|\$\{",
            "examples": ["redis://127.0.0.1:6379/0"],
        })
    }
}

const EXPECTED: &str = "an address such as `redis://127.0.0.1:6379/0`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::yaml;

    #[test]
    fn what_is_no_address_is_told_without_its_password() {
        for (source, why) in [
            ("http://a:hunter2@b", "expected an address"),
            ("redis://a:hunter2@:x", "expected an address"),
            ("rediss://a:hunter2@b", "not built yet"),
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
        let mut report = Report::default();
        let node = yaml::read("url: 'redis://a:hunter2@b:1/2'").unwrap();
        let redis = Redis::decode(&node, &mut report).unwrap();
        assert_eq!(redis.timeout, Duration::from_millis(20));
        assert!(!format!("{redis:?}").contains("hunter2"));
    }
}
