//! The assembly: makes the parts of a configuration and runs them as Pingora services.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use nix::unistd::Pid;
use pingora::server::configuration::{Opt, ServerConf};
use pingora::server::{RunArgs, Server};
use pingora::services::background::background_service;
use pingora::services::listening::Service;

use crate::base::clock::Clock;
use crate::base::networks::Networks;
use crate::base::report::Report;
use crate::config::{Config, Threads};
use crate::identity::Identity;
use crate::plan::{self, Plan, Shared};
use crate::policy::auth::BUILT_IN;
use crate::proxy::{Gateway, Ledger, Traffic};
use crate::telemetry::access::AccessLog;
use crate::telemetry::denials::Denials;
use crate::token::{Issuer, Keeper};
use crate::upstream::{Registry, Shelves};

mod apps;
mod axum_app;
mod calm;
mod crowd;
mod door;
mod ebb;
pub mod edge;
pub mod files;
mod handover;
mod leave;
mod manager;
mod metrics;
pub mod opening;
mod preflight;
mod proxy;
mod reload;
mod renewal;
mod restart;
mod signals;
mod sockets;
mod start;
mod store;
mod upkeep;
mod watch;

pub use start::{Origin, StartError};

use axum_app::AxumApp;
use crowd::{Crowd, Doorkeeper};
use door::Doors;
use ebb::Ebb;
use edge::Edge;
use handover::{Handover, RunDir};
use leave::Leave;
use reload::{Follows, Reload};
use sockets::{Inherited, Opened, Sockets};
use upkeep::Upkeep;

/// A gateway that is ready to run.
pub struct Assembly {
    config: Config,
    plan: Arc<ArcSwap<Plan>>,
    clock: Clock,
    traffic: Traffic,
    identity: Option<Identity>,
    keeper: Arc<Keeper>,
    /// Whose word on a client's address is taken, for identity; the edge's are the plan's.
    proxies: Arc<ArcSwap<Networks>>,
    access_log: Arc<AccessLog>,
    denials: Arc<Denials>,
    upstreams: Arc<Registry>,
    names: Option<SocketAddr>,
    doors: Arc<Doors>,
    crowd: Arc<Crowd>,
    apps: Vec<App>,
    reload: Arc<Reload>,
    watched: bool,
    run_dir: Option<RunDir>,
    /// The process whose listeners this one takes over.
    predecessor: Option<Pid>,
}

/// Handlers on a listener of their own.
struct App {
    name: String,
    address: SocketAddr,
    router: Router,
}

impl Assembly {
    /// Opens stores and keys and compiles the plan. `folder` is what relative paths are relative to, `file`
    /// what a reload reads.
    pub fn new(config: Config, folder: &Path, origin: Origin) -> Result<Self, StartError> {
        let run_dir = config.server.run_dir.as_ref();
        let run_dir = run_dir.map(|path| RunDir::open(&folder.join(path)));
        let run_dir = run_dir.transpose().map_err(|why| origin.run_dir(why))?;
        let predecessor = match (origin.upgrade, &run_dir) {
            (false, _) => None,
            (true, Some(run_dir)) => run_dir.serving(),
            (true, None) => return Err(StartError::NoRunDir),
        };
        // First of all: nothing more is written where the start fails for this. A predecessor's listeners are
        // taken; what it does not have is tried by Pingora.
        if predecessor.is_none() {
            for (key, address) in config.addresses() {
                let purpose = origin.whereabouts(&key, address.place);
                preflight::can_listen(address.value, &purpose)?;
            }
        }
        let clock = Clock::system();
        let doors = Doors::open(config.listeners(), folder, clock.unix_seconds());
        let doors = doors.map_err(|why| origin.tls(why))?;
        let identity = config.identity.given();
        let identity = identity
            .map(|config| Identity::open(config, folder, clock.clone()))
            .transpose()
            .map_err(|why| origin.identity(why))?;
        let own = identity.iter();
        let own = own.map(|identity| (BUILT_IN.to_owned(), Issuer::Own(identity.verifier())));
        let store = config.redis.given();
        let store = store.map(|redis| store::open(redis, folder)).transpose()?;
        let shared = Shared {
            store: store.map(Arc::new),
            api_keys: identity.as_ref().map(Identity::api_keys),
            issuers: own.collect(),
            identity: config
                .identity
                .given()
                .map(|identity| identity.listen.value),
            folder: Some(folder.to_owned()),
            ..Shared::default()
        };
        let names = upkeep::dns_server().map_err(StartError::Dns)?;
        let mut report = Report::default();
        let files = files::raise();
        files::check(&config, files, &mut report);
        let plan = plan::compile(&config, &shared, None, &mut report);
        let Some(plan) = plan.filter(|_| !report.has_errors()) else {
            return Err(origin.refuse(report));
        };
        shared.upstreams.commit(&plan.clusters);
        plan.tracer.begin().map_err(StartError::Tracing)?;
        let access_log = AccessLog::start(&config.telemetry.access_log, folder);
        let access_log = access_log.map_err(|why| origin.access_log(why))?;
        let plan = Arc::new(ArcSwap::from_pointee(plan));
        let crowd = Crowd::new(plan.clone(), files::room(files), clock.clone());
        let watched = origin.file.is_some();
        let keeper = Arc::<Keeper>::default();
        let trusted = config.server.trusted_proxies.iter();
        let proxies = Networks::new(trusted.map(|network| network.value));
        let proxies = Arc::new(ArcSwap::from_pointee(proxies));
        let follows = Follows {
            plan: plan.clone(),
            acceptors: doors.acceptors(),
            keeper: keeper.clone(),
            proxies: proxies.clone(),
        };
        let reload = Reload::new(
            origin,
            config.clone(),
            shared.clone(),
            follows,
            clock.clone(),
        );
        Ok(Self {
            plan,
            reload: Arc::new(reload),
            watched,
            run_dir,
            predecessor,
            clock,
            traffic: Traffic::default(),
            identity,
            keeper,
            proxies,
            access_log: Arc::new(access_log),
            denials: Arc::default(),
            upstreams: shared.upstreams,
            names,
            doors: Arc::new(doors),
            crowd: Arc::new(crowd),
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

    /// Runs until a signal ends it. `ready` is called once everything is listened on.
    pub fn run(mut self, ready: impl FnOnce() + Send + 'static) -> Result<(), StartError> {
        let sockets = Sockets::default();
        let handover = Arc::new(Handover::new(self.run_dir.clone(), sockets.clone()));
        let (leave, orders) = Leave::new(
            self.traffic.clone(),
            self.plan.clone(),
            self.access_log.clone(),
            handover.clone(),
        );
        signals::take(self.reload.clone(), handover.clone(), leave).map_err(StartError::Signals)?;
        if self.watched {
            watch::start(self.reload.clone()).map_err(StartError::Watch)?;
        }
        self.add_own_apps();
        preflight::exit_when_a_listener_fails();
        if let (Some(run_dir), Some(predecessor)) = (&self.run_dir, self.predecessor) {
            run_dir.ask(predecessor).map_err(StartError::Signals)?;
        }
        let opt = Opt {
            upgrade: self.predecessor.is_some(),
            ..Opt::default()
        };
        let mut server = Server::new_with_opt_and_conf(opt, self.server_conf());
        // The sockets of a predecessor come first; the listeners wait for them.
        let taken = server.bootstrap_as_a_service();
        let own: Vec<_> = self.apps.iter().map(|app| app.address).collect();
        let mut addresses = own.clone();
        let edge = self.config.listeners().iter();
        addresses.extend(edge.map(|listener| listener.address.value));
        let inherited = Inherited::new(sockets.clone(), addresses.clone());
        let inherited = server.add_boxed_service(Box::new(inherited));
        inherited.add_dependency(&taken);

        let gateway = Gateway::new(
            self.plan.clone(),
            self.clock.clone(),
            self.traffic.clone(),
            self.access_log.clone(),
            self.denials.clone(),
        );
        let shelves = Arc::new(Shelves::new(self.threads(), files::kept(&self.config)));
        let proxy = proxy::make(&server.configuration, gateway, shelves.clone());
        let proxy = proxy.map_err(StartError::Proxy)?;
        let (doors, plan, crowd) = (self.doors.clone(), self.plan.clone(), self.crowd.clone());
        let ledger = Ledger::new(plan.clone(), self.access_log.clone(), self.clock.clone());
        let ebb = Ebb::new(self.traffic.clone(), self.threads());
        let app = Edge::new(proxy, doors, plan, crowd, ledger, ebb);
        let mut edge = Service::new("edge".to_owned(), app);
        edge.set_connection_filter(Arc::new(Doorkeeper(self.crowd.clone())));
        self.doors.add_to(&mut edge);
        renewal::start(self.doors.acceptors(), self.clock.clone());
        edge.threads = Some(self.threads());
        // What the edge passes to identity must find it listening.
        let own = server.add_boxed_service(Box::new(Opened::new(sockets.clone(), own, || ())));
        own.add_dependency(&inherited);
        server.add_service(edge).add_dependency(&own);
        let upkeep = Upkeep::new(self.upstreams, shelves, self.clock, self.names);
        server.add_service(background_service("upstreams", upkeep));
        for app in self.apps {
            let mut service = Service::new(app.name, AxumApp::new(app.router));
            service.add_tcp(&app.address.to_string());
            service.threads = Some(1);
            server.add_service(service).add_dependency(&inherited);
        }
        let opened = Opened::new(sockets, addresses, move || {
            handover.claim();
            manager::tell_ready();
            ready();
        });
        let opened = server.add_boxed_service(Box::new(opened));
        opened.add_dependency(&inherited);
        server.run(RunArgs {
            shutdown_signal: Box::new(orders),
        });
        Ok(())
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
            // One worker has nobody to take tasks from, and a scheduler that does not look for them is cheaper.
            work_stealing: self.threads() > 1,
            // A pool smaller than the concurrency costs a connection a request.
            upstream_keepalive_pool_size: files::kept(&self.config),
            // Ours are bounded by `retry.attempts`, and by `MOST_STALE` in `proxy/attempt.rs`.
            max_retries: 24,
            // `leave` ends the process; Pingora would sleep in full, even when idle.
            grace_period_seconds: Some(u64::from(u32::MAX)),
            upgrade_sock: self
                .run_dir
                .as_ref()
                .map(|run_dir| run_dir.socket().display().to_string())
                .unwrap_or_default(),
            ..ServerConf::default()
        }
    }
}

/// How long the listeners are closed before connections without a request are: one that was taken last may
/// have its first on the way.
const LAST_ACCEPTED: std::time::Duration = std::time::Duration::from_millis(300);
