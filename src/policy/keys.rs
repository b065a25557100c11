//! The keys of a route that belong to policies; `defaults` holds the same ones.

use std::time::Duration;

use super::{access, auth, compress, cors, headers, limits};
use crate::base::decode::{keys, mappings};
use crate::base::units::ByteSize;
use crate::base::yaml::At;

keys! {
    /// A route's policies.
    pub struct Keys {
        /// Networks that may call; all others may not.
        pub allow: Option<At<access::List>>,
        /// Networks that may not call; it wins over `allow`.
        pub deny: Option<At<access::List>>,
        /// Which other origins a browser may call from.
        pub cors: Option<cors::Cors>,
        /// Names of limits, or limits written here.
        pub limits: Option<limits::Uses>,
        /// Who may call: `public`, `required`, or a mapping of what is required.
        pub auth: Option<At<auth::Access>>,
        /// The largest request body.
        pub max_body: Option<At<ByteSize>>,
        /// The upstream's path, built from the captures; the query stays.
        pub rewrite: Option<At<String>>,
        /// Changes the head that the upstream gets.
        pub request_headers: Option<headers::Edit>,
        /// Changes the head of every answer, refusals too.
        pub response_headers: Option<headers::Edit>,
        /// Codings for answers that gain by it, the best first: `zstd`, `br`, `gzip`.
        pub compress: Option<Vec<compress::Coding>>,
        /// The longest that a request may take, from its head to the end of its answer.
        pub timeout: Option<At<Duration>>,
    }
}
mappings!(Keys);

impl Keys {
    /// Of the defaults, what holds for answers to requests that meet no route.
    pub fn without_a_route(&self) -> Self {
        Self {
            allow: None,
            deny: None,
            cors: self.cors.clone(),
            limits: None,
            auth: None,
            max_body: None,
            rewrite: None,
            request_headers: None,
            response_headers: self.response_headers.clone(),
            compress: None,
            timeout: None,
        }
    }

    /// These keys, and for those left out the defaults'.
    pub fn or(&self, defaults: &Self) -> Self {
        let (own, other) = (self.clone(), defaults.clone());
        Self {
            allow: own.allow.or(other.allow),
            deny: own.deny.or(other.deny),
            cors: own.cors.or(other.cors),
            limits: own.limits.or(other.limits),
            auth: own.auth.or(other.auth),
            max_body: own.max_body.or(other.max_body),
            rewrite: own.rewrite.or(other.rewrite),
            request_headers: own.request_headers.or(other.request_headers),
            response_headers: own.response_headers.or(other.response_headers),
            compress: own.compress.or(other.compress),
            timeout: own.timeout.or(other.timeout),
        }
    }
}
