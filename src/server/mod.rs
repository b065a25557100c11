//! The assembly: makes the parts of a configuration and runs them as Pingora services.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use pingora::server::{RunArgs, Server};
use pingora::services::listening::Service;

use crate::admin::{self, Readiness};
use crate::base::clock::Clock;
use crate::base::report::Report;
use crate::config::{Config, Threads};
use crate::identity::Identity;
use crate::plan::{self, Plan, Shared};
use crate::policy::auth::BUILT_IN;
use crate::proxy::{Gateway, Traffic};
use crate::telemetry::access::AccessLog;
use crate::tls::{Outward, TlsError};

mod axum_app;
mod door;
mod edge;
mod opening;
mod preflight;
mod renewal;
mod stop;

use axum_app::AxumApp;
use door::Doors;
use edge::{BeforeTls, Edge, Http2Bounds};

/// A gateway that is ready to run.
pub struct Assembly {
    config: Config,
    plan: Arc<ArcSwap<Plan>>,
    clock: Clock,
    traffic: Traffic,
    identity: Option<Identity>,
    access_log: Arc<AccessLog>,
    doors: Arc<Doors>,
    apps: Vec<App>,
}

/// Why a gateway does not start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the configuration has problems")]
    Config(Report),
    #[error("identity: {0}")]
    Identity(#[from] crate::identity::OpenError),
    #[error("can't take signals: {0}")]
    Signals(std::io::Error),
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    #[error("access log: {0}")]
    AccessLog(std::io::Error),
    #[error("can't listen on {address} ({purpose}): {why}")]
    Listen {
        address: SocketAddr,
        purpose: String,
        why: std::io::Error,
    },
}

/// Handlers on a listener of their own.
struct App {
    name: String,
    address: SocketAddr,
    router: Router,
}

impl Assembly {
    /// Opens stores and keys and compiles the plan. `folder` is what relative paths are relative to.
    pub fn new(config: Config, folder: &Path) -> Result<Self, StartError> {
        // First of all: nothing is written where the start fails for this.
        for (purpose, address) in config.addresses() {
            preflight::can_listen(address, purpose)?;
        }
        let clock = Clock::system();
        let doors = Doors::open(config.listeners(), folder, clock.unix_seconds())?;
        let outward = outward(&config, folder)?;
        let identity = config.identity.given();
        let identity = identity
            .map(|config| Identity::open(config, folder, clock.clone()))
            .transpose()?;
        let shared = Shared {
            issuers: identity
                .iter()
                .map(|identity| (BUILT_IN.to_owned(), identity.verifier()))
                .collect(),
            identity: config
                .identity
                .given()
                .map(|identity| identity.listen.value),
            outward,
        };
        let mut report = Report::default();
        let Some(plan) = plan::compile(&config, &shared, &mut report) else {
            return Err(StartError::Config(report.sorted()));
        };
        let access_log = AccessLog::start(&config.telemetry.access_log, folder)
            .map_err(StartError::AccessLog)?;
        Ok(Self {
            plan: Arc::new(ArcSwap::from_pointee(plan)),
            clock,
            traffic: Traffic::default(),
            identity,
            access_log: Arc::new(access_log),
            doors: Arc::new(doors),
            apps: Vec::new(),
            config,
        })
    }

    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Runs handlers of the caller's beside the gateway, on a listener of their own.
    pub fn serve_beside(
        &mut self,
        name: &str,
        address: SocketAddr,
        router: Router,
    ) -> Result<(), StartError> {
        preflight::can_listen(address, name)?;
        self.add(name, address, router);
        Ok(())
    }

    fn add(&mut self, name: &str, address: SocketAddr, router: Router) {
        self.apps.push(App {
            name: name.to_owned(),
            address,
            router,
        });
    }

    /// Runs until a signal ends it. `ready` is called once everything can be listened on.
    pub fn run(mut self, ready: impl FnOnce()) -> Result<(), StartError> {
        stop::survive_hangup_and_quit().map_err(StartError::Signals)?;
        self.add_own_apps();
        preflight::exit_when_a_listener_fails();
        let mut server = Server::new_with_opt_and_conf(None, self.server_conf());
        server.bootstrap();

        let gateway = Gateway::new(
            self.plan.clone(),
            self.clock.clone(),
            self.traffic.clone(),
            self.access_log.clone(),
        );
        let proxy = http_proxy(&server.configuration, gateway);
        let limits = &self.config.server.limits;
        let bounds = Http2Bounds {
            headers: usize::try_from(limits.headers.0).unwrap_or(usize::MAX),
            idle: limits.idle_timeout,
        };
        let app = Edge::new(proxy, self.doors.clone(), self.plan.clone(), bounds);
        let mut edge = Service::new("edge".to_owned(), app);
        let before_tls = BeforeTls {
            doors: self.doors.clone(),
            plan: self.plan.clone(),
        };
        self.doors.add_to(&mut edge, Arc::new(before_tls))?;
        renewal::start(self.doors.certificates(), self.clock.clone());
        edge.threads = Some(self.threads());
        server.add_service(edge);
        for app in self.apps {
            let mut service = Service::new(app.name, AxumApp::new(app.router));
            service.add_tcp(&app.address.to_string());
            service.threads = Some(1);
            server.add_service(service);
        }
        ready();
        let stop = stop::Stop::new(self.traffic, self.config.server.drain);
        server.run(RunArgs {
            shutdown_signal: Box::new(stop),
        });
        self.access_log.stop();
        Ok(())
    }

    fn add_own_apps(&mut self) {
        let mut readiness = Readiness::default();
        let traffic = self.traffic.clone();
        readiness.add(
            "gateway",
            Arc::new(move || {
                let leaving = traffic.is_draining();
                Box::pin(async move {
                    if leaving {
                        Err("leaving".to_owned())
                    } else {
                        Ok(())
                    }
                })
            }),
        );
        if let (Some(identity), Some(config)) = (&self.identity, self.config.identity.given()) {
            let (address, router) = (config.listen.value, identity.router());
            let checked = identity.clone();
            readiness.add(
                "identity",
                Arc::new(move || {
                    let identity = checked.clone();
                    Box::pin(async move { identity.ready().await })
                }),
            );
            identity.start_upkeep();
            self.add("identity", address, router);
        }
        if let Some(config) = self.config.admin.given() {
            let token = config.token.as_ref().map(|token| token.value.0.clone());
            let router = admin::router(readiness, self.plan.clone(), token);
            let address = config.listen.value;
            self.add("admin", address, router);
        }
    }

    fn threads(&self) -> usize {
        match self.config.server.threads {
            Threads::Auto => std::thread::available_parallelism().map_or(1, usize::from),
            Threads::Count(count) => usize::from(count),
        }
    }

    fn server_conf(&self) -> ServerConf {
        ServerConf {
            threads: self.threads(),
            // A pool smaller than the concurrency costs a connection a request.
            upstream_keepalive_pool_size: 1_024,
            // Our own stop waits for what is in flight; Pingora's would sleep in full, even when idle.
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(1),
            ..ServerConf::default()
        }
    }
}

/// The upstreams that TLS is spoken to, with their files read.
fn outward(config: &Config, folder: &Path) -> Result<HashMap<String, Outward>, TlsError> {
    let all = config.upstreams.iter();
    let tls = all.filter_map(|(name, upstream)| {
        let tls = Outward::open(upstream.tls.as_ref()?, folder);
        Some(tls.map(|tls| (name.value.clone(), tls)))
    });
    tls.collect()
}
