//! People and tokens; knows nothing of the proxy, which reaches it like any other upstream.
//!
//! - `config`: the `identity:` mapping.
//! - `http/`: one file a resource; JSON in, JSON out.
//! - `service`: the rules, without HTTP and SQL; `refused`: why they say no.
//! - `store/`: what the rules need of a database, and the two that do it, SQLite and MySQL.
//! - `password/`: plain, accepted, hashed, by types; the threads that hash.
//! - `rotation`: the life of a signing key.
//! - `throttle`: how failures are slowed down.
//! - `email`, `role`, `user`, `api_key`, `issuer`: the nouns. `workers`: threads behind a bounded queue.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::base::clock::Clock;
use crate::base::networks::Networks;
use crate::telemetry::metrics::{Kind, Page, Words};
use crate::token::{ApiKeys, KeyError, OWN_LEEWAY_SECONDS, Verifier};

pub use config::role;

use config::StoreAddress;
use issuer::Issuer;
use password::{PasswordPool, PasswordRules};
use refused::Refused;
use service::{Keys, KnownApiKeys, Lifetimes, Revoked, Service, Throttle};
use store::{Mysql, MysqlOpenError, PrepareError, Sqlite, StoreError, StoreOpenError, UserStore};

pub mod api_key;
pub mod config;
pub mod email;
mod http;
mod issuer;
pub mod password;
pub mod refresh;
pub mod refused;
pub mod rotation;
pub mod service;
pub mod session;
pub mod store;
pub mod throttle;
pub mod user;
mod workers;

/// The identity service, open and ready to be served. Needs no runtime until a request comes.
#[derive(Clone)]
pub struct Identity {
    service: Arc<Service>,
}

/// Why the service can't start; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    #[error(transparent)]
    Mysql(#[from] MysqlOpenError),
    #[error("the users' database: {0}")]
    Prepare(#[from] PrepareError),
    #[error("no thread for hashing passwords: {0}; lower `identity.password.workers`")]
    Threads(#[source] io::Error),
}

impl Identity {
    /// Reads or makes the signing keys, opens the store and starts the threads. Relative paths are
    /// relative to `folder`. A MySQL store may be away: it is waited for beside the service, which says
    /// so meanwhile.
    pub fn open(config: &config::Identity, folder: &Path, clock: Clock) -> Result<Self, OpenError> {
        let keys = Keys::open(&config.keys, &config.access_token, folder)?;
        let (issuer, audience) = (config.issuer.clone(), config.audience.clone());
        let revoked = Revoked::default();
        let verifier = Verifier::new(
            ISSUER,
            issuer,
            audience,
            keys.ring.clone(),
            OWN_LEEWAY_SECONDS,
        )
        .with_revocations(revoked.known.clone());
        let signup = config.signup.roles.iter().map(|role| role.value.clone());
        let service = Service {
            store: open_store(config, folder, &clock)?,
            passwords: start_pool(&config.password).map_err(OpenError::Threads)?,
            rules: PasswordRules {
                min_length: config.password.min_length.0 as usize,
            },
            signup: config.signup.enabled.then(|| signup.collect()),
            issuer: Issuer {
                name: config.issuer.clone(),
                audience: config.audience.clone(),
                ttl: config.access_token.ttl.value,
            },
            verifier: Arc::new(verifier),
            lifetimes: Lifetimes {
                session: config.refresh_token.ttl,
                idle: config.refresh_token.idle,
                grace: config.refresh_token.grace.value,
            },
            throttle: Throttle::new(rules(&config.throttle)),
            revoked,
            api_keys: KnownApiKeys::default(),
            keys,
            clock,
            signins: Words::default(),
        };
        Ok(Self {
            service: Arc::new(service),
        })
    }

    /// The handlers of the service's listener. `proxies` are those whose word on a client's address is taken,
    /// at the moment of a request.
    pub fn router(&self, proxies: Arc<ArcSwap<Networks>>) -> axum::Router {
        http::router(Arc::clone(&self.service), proxies)
    }

    /// Verifies the tokens that this service gives; for the edge.
    pub fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&self.service.verifier)
    }

    /// How many passwords were checked since the start, those of nobody among them.
    pub fn password_checks(&self) -> u64 {
        self.service.passwords.checks()
    }

    /// The API keys that this service has given; for the edge.
    pub fn api_keys(&self) -> ApiKeys {
        self.service.api_keys.keys.clone()
    }

    /// The rules themselves; for the shell.
    pub fn service(&self) -> &Arc<Service> {
        &self.service
    }

    /// Starts what has to go on beside the handlers, on a thread of its own, and waits a moment for its first
    /// round: what was ended before this start must not be taken after it.
    pub fn start_upkeep(&self) {
        let service = Arc::clone(&self.service);
        let (first_round, done) = std::sync::mpsc::channel();
        let follow = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            match runtime {
                Ok(runtime) => runtime.block_on(service.follow(first_round)),
                Err(error) => log::error!("ended tokens and API keys can't be followed: {error}"),
            }
        };
        match std::thread::Builder::new()
            .name("airside-upkeep".to_owned())
            .spawn(follow)
        {
            Ok(_) => drop(done.recv_timeout(FIRST_ROUND)),
            Err(error) => log::error!("ended tokens and API keys can't be followed: {error}"),
        }
    }

    /// Waits until the store's schema was brought up to date, or could not be: for the shell.
    pub async fn prepared(&self) -> Result<(), StoreError> {
        self.service.store.prepared().await
    }

    /// Brings the store's schema up to date and gives the names of the steps that were missing. Nothing
    /// else is opened or made.
    pub async fn migrate(
        config: &config::Identity,
        folder: &Path,
        clock: &Clock,
    ) -> Result<Vec<String>, OpenError> {
        match &config.store {
            StoreAddress::SqliteFile(path) => Ok(Sqlite::migrate(&folder.join(path))?),
            StoreAddress::SqliteMemory => Ok(Vec::new()),
            StoreAddress::Mysql(address) => Ok(Mysql::migrate(address, folder, clock).await??),
        }
    }

    /// Writes what was counted of sign-ins, and how many passwords wait for a thread.
    pub fn write_metrics(&self, page: &mut Page) {
        let name = "airside_signins_total";
        page.family(name, Kind::Counter, "Sign-ins, by how they ended.");
        for (result, count) in self.service.signins.counts() {
            page.sample(name, &[("result", result)], count);
        }
        let name = "airside_password_queue_depth";
        let help = "Passwords that wait for a thread to hash them.";
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], self.service.passwords.waiting() as u64);
    }

    /// Can users sign in? Errors: what is missing, for `/readyz` and the log.
    pub async fn ready(&self) -> Result<(), String> {
        self.service
            .store
            .ping()
            .await
            .map_err(|error| error.to_string())?;
        match self.service.can_sign() {
            true => Ok(()),
            false => Err(Refused::KeyIsNew.to_string()),
        }
    }
}

fn open_store(
    config: &config::Identity,
    folder: &Path,
    clock: &Clock,
) -> Result<Arc<dyn UserStore>, OpenError> {
    let roles = config.all_roles();
    Ok(match &config.store {
        StoreAddress::SqliteFile(path) => {
            Arc::new(Sqlite::open(&folder.join(path), &roles, clock)?)
        }
        StoreAddress::SqliteMemory => Arc::new(Sqlite::in_memory(&roles, clock)?),
        StoreAddress::Mysql(address) => Arc::new(Mysql::open(address, folder, &roles, clock)?),
    })
}

fn rules(config: &config::Throttle) -> throttle::Rules {
    throttle::Rules {
        account_failures: config.account_failures.0,
        account_max_delay: config.account_max_delay.value.as_millis() as u64,
        ip_per_minute: config.ip_per_minute.0,
    }
}

fn start_pool(config: &config::Password) -> io::Result<PasswordPool> {
    let threads = config.workers.count();
    PasswordPool::start(config.bcrypt_cost.0, threads, config.queue.0 as usize)
}

/// The built-in issuer's name in the configuration.
const ISSUER: &str = "airside";
/// A database that does not answer by then is waited for beside the traffic.
const FIRST_ROUND: Duration = Duration::from_secs(2);
