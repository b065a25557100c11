//! What a plan uses and does not own: it outlives the plan.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::base::decode::Table;
use crate::config::Config;
use crate::identity::config::Identity;
use crate::limit::Store;
use crate::policy::auth::BUILT_IN;
use crate::token::{ApiKeys, KeyRing, Verifier};

/// Issuers and services of this process.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// The names of issuers and who verifies their tokens.
    pub issuers: Vec<(String, Arc<Verifier>)>,
    /// The identity service's API keys.
    pub api_keys: Option<ApiKeys>,
    /// Where limits of `scope: cluster` are counted.
    pub store: Option<Arc<Store>>,
    /// Where the built-in upstream `identity` listens.
    pub identity: Option<SocketAddr>,
}

impl Shared {
    /// For commands that compile a plan and serve nothing: issuers without keys, so that every name
    /// resolves and no credential is ever valid.
    pub fn offline(config: &Config) -> Self {
        let keyless = |name: &str, issuer: String, audience: String| {
            let verifier = Verifier::new(name, issuer, audience, KeyRing::default(), 0);
            (name.to_owned(), Arc::new(verifier))
        };
        let others = config.issuers.iter().flat_map(Table::names);
        let others = others.map(|name| keyless(name, String::new(), String::new()));
        if config.identity.is_absent() {
            return Self {
                issuers: others.collect(),
                api_keys: None,
                store: None,
                identity: None,
            };
        }
        // Where the section is wrong, its own problem is told; names that lead to it are right all the same.
        let identity = config.identity.given();
        let text = |text: fn(&Identity) -> &String| identity.map(text).cloned().unwrap_or_default();
        let built_in = keyless(
            BUILT_IN,
            text(|identity| &identity.issuer),
            text(|identity| &identity.audience),
        );
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self {
            issuers: std::iter::once(built_in).chain(others).collect(),
            api_keys: Some(ApiKeys::default()),
            store: None,
            identity: Some(identity.map_or(nowhere, |identity| identity.listen.value)),
        }
    }
}
