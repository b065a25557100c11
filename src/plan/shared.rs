//! What a plan uses and does not own: it outlives the plan.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::report::{Code, Problem, Report};
use crate::config::Config;
use crate::identity::config::Identity;
use crate::limit::Store;
use crate::policy::auth::BUILT_IN;
use crate::telemetry::tracing::Exporter;
use crate::tls::Outward;
use crate::token::{ApiKeys, Issuer, KeyRing, TokenCache, Verifier};
use crate::upstream::{Registry, config::Upstream};

/// Issuers and services of this process.
#[derive(Debug, Clone, Default)]
pub struct Shared {
    /// The identity service's API keys.
    pub api_keys: Option<ApiKeys>,
    /// The names of issuers and who verifies their tokens. Those of the configuration that are not among them
    /// are made with the plan.
    pub issuers: Vec<(String, Issuer)>,
    /// Tokens that were verified a moment ago.
    pub tokens: Arc<TokenCache>,
    /// Where limits of `scope: cluster` are counted.
    pub store: Option<Arc<Store>>,
    /// Where the built-in upstream `identity` listens.
    pub identity: Option<SocketAddr>,
    /// What is known of upstreams.
    pub upstreams: Arc<Registry>,
    /// The way of spans to their collector.
    pub exporter: Arc<Exporter>,
    /// What paths of the configuration are relative to. `None` where nothing is served: no file is read then.
    pub folder: Option<PathBuf>,
}

impl Shared {
    /// What an upstream's `tls` asks for, its files read now. A file that can't be used is reported.
    pub(super) fn outward(&self, keys: &Upstream, report: &mut Report) -> Option<Outward> {
        let (tls, folder) = (keys.tls.as_ref()?, self.folder.as_ref()?);
        let read = Outward::open(&tls.value, folder);
        read.map_err(|why| {
            let problem = Problem::error(Code::InvalidValue, tls.place, why.to_string());
            report.push(problem);
        })
        .ok()
    }

    /// For commands that compile a plan and serve nothing: issuers without keys, so that every name
    /// resolves and no credential is ever valid.
    pub fn offline(config: &Config) -> Self {
        let keyless = |name: &str, issuer: String, audience: String| {
            let verifier = Verifier::new(name, issuer, audience, KeyRing::default(), 0);
            (name.to_owned(), Issuer::Own(Arc::new(verifier)))
        };
        let others = config.issuers.names();
        let others = others.map(|name| keyless(name, String::new(), String::new()));
        if config.identity.is_absent() {
            return Self {
                issuers: others.collect(),
                api_keys: None,
                tokens: Arc::default(),
                store: None,
                identity: None,
                upstreams: Arc::default(),
                exporter: Arc::default(),
                folder: None,
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
            tokens: Arc::default(),
            store: None,
            identity: Some(identity.map_or(nowhere, |identity| identity.listen.value)),
            upstreams: Arc::default(),
            exporter: Arc::default(),
            folder: None,
        }
    }
}
