//! `redis:`: the grammar; its feature is not built yet.

use std::time::Duration;

use crate::base::decode::{keys, mappings};
use crate::base::secret::Secret;

keys! {
    pub struct Redis {
        pub url: Url,
        pub timeout: Duration = Duration::from_millis(20),
    }
}
mappings!(Redis);

/// It may hold a password.
#[derive(Debug, Clone, PartialEq)]
pub struct Url(pub Secret);

impl crate::base::decode::FromText for Url {
    const EXPECTED: &'static str = "an address such as `redis://127.0.0.1:6379/0`";

    fn from_text(text: &str) -> Result<Self, String> {
        match text.starts_with("redis://") || text.starts_with("rediss://") {
            true => Ok(Self(Secret::new(text))),
            false => Err("it begins with neither `redis://` nor `rediss://`".to_owned()),
        }
    }
}
