//! `redis:`: the server in which gateways count together.

use std::time::Duration;

use crate::base::decode::{FromText, keys, mappings};
use crate::base::secret::Secret;

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

impl FromText for Url {
    const EXPECTED: &'static str = "an address such as `redis://127.0.0.1:6379/0`";

    fn from_text(text: &str) -> Result<Self, String> {
        if text.starts_with("rediss://") {
            return Err("TLS to Redis is not built yet: a tunnel can bring it".to_owned());
        }
        if !text.starts_with("redis://") {
            return Err("it does not begin with `redis://`".to_owned());
        }
        match redis::IntoConnectionInfo::into_connection_info(text) {
            Ok(_) => Ok(Self(Secret::new(text))),
            Err(_) => Err("it is no address of a Redis server".to_owned()),
        }
    }
}
