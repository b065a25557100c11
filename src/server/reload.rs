//! A new configuration in place of the old one, while requests pass: compiled whole, then swapped in one
//! step, or nothing changes and the problems are told. When it is time is `watch`'s, the signals' and the
//! admin listener's.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use serde_json::{Value, json};

use super::start::Origin;
use super::watch::Stamp;
use super::{files, manager, restart};
use crate::admin::Reloads;
use crate::base::clock::Clock;
use crate::base::networks::Networks;
use crate::base::report::Report;
use crate::base::units::show_time;
use crate::config::{self, Config};
use crate::plan::{self, Plan, Shared};
use crate::telemetry::logs;
use crate::telemetry::metrics::{Counter, Kind, Page};
use crate::tls::Acceptor;
use crate::token::{Keeper, TokenCache};

/// Reads the file anew and puts what it says in place.
pub struct Reload {
    /// `None` where the configuration is part of the program.
    file: Option<PathBuf>,
    shared: Shared,
    follows: Follows,
    clock: Clock,
    running: Mutex<Running>,
    done: Counter,
    refused: Counter,
    state: ArcSwap<State>,
}

/// What goes by the configuration that is in place.
pub struct Follows {
    pub plan: Arc<ArcSwap<Plan>>,
    /// Read again with the configuration.
    pub acceptors: Vec<Arc<Acceptor>>,
    /// Of other issuers' keys.
    pub keeper: Arc<Keeper>,
    /// Whose word on a client's address identity takes.
    pub proxies: Arc<ArcSwap<Networks>>,
}

struct Running {
    config: Config,
    /// The files as they were when they were last read.
    seen: Stamp,
}

/// What is in place, for who asks.
#[derive(Debug, Clone)]
struct State {
    /// 1 at the start, one more with each change.
    version: u64,
    /// Unix milliseconds.
    since: u64,
    /// The text of the file.
    source: Arc<str>,
    refused: Option<Refused>,
}

/// A configuration that was not put in place.
#[derive(Debug, Clone)]
struct Refused {
    /// Unix milliseconds.
    at: u64,
    summary: String,
}

impl Reload {
    pub fn new(
        origin: Origin,
        config: Config,
        shared: Shared,
        follows: Follows,
        clock: Clock,
    ) -> Self {
        let state = State {
            version: 1,
            since: clock.unix_millis(),
            source: origin.source.as_str().into(),
            refused: None,
        };
        Self {
            running: Mutex::new(Running {
                config,
                seen: Stamp::of(origin.file.iter().chain(&origin.references)),
            }),
            done: Counter::default(),
            refused: Counter::default(),
            file: origin.file,
            shared,
            follows,
            clock,
            state: ArcSwap::from_pointee(state),
        }
    }

    /// Reloads, says in the log how that went, and gives it as JSON. Errors: nothing was changed.
    pub fn now(&self, cause: &str) -> Result<Value, Value> {
        let Some(file) = &self.file else {
            let message = "the configuration is part of the program: there is no file to read";
            log::warn!("{message}");
            return Err(json!({ "sound": false, "message": message }));
        };
        manager::tell_reloading();
        let done = self.read_anew(file, cause);
        manager::tell_ready();
        done
    }

    fn read_anew(&self, file: &Path, cause: &str) -> Result<Value, Value> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let name = file.display().to_string();
        // Before the files are read: a change in between is seen by the next look.
        running.seen = running.seen.now();
        let loaded = match config::load(file) {
            Ok(loaded) => loaded,
            Err(error) => {
                let summary = format!("can't read {name}: {error}");
                log::error!("not reloaded ({cause}): {summary}");
                self.refuse(summary.clone());
                return Err(json!({ "sound": false, "message": summary }));
            }
        };
        let mut report = loaded.report;
        let before = self.follows.plan.load();
        let next = loaded.config.and_then(|config| {
            restart::check(&running.config, &config, &loaded.source, &mut report);
            files::check(&config, files::most(), &mut report);
            let plan = plan::compile(&config, &self.shared, Some(&before), &mut report);
            config::advise(&config, &mut report);
            plan.map(|plan| (config, plan))
        });
        let report = report.sorted();
        // References of a refused file count as well: what is wrong may be put right there.
        running.seen = running.seen.with(&loaded.references);
        let text = report.text(&name, &loaded.source, false);
        let Some((config, plan)) = next.filter(|_| !report.has_errors()) else {
            log::error!("not reloaded ({cause}), the configuration before stays:\n{text}");
            self.refuse(summary(&text));
            return Err(report.json(&name, &loaded.source));
        };
        if !report.problems().is_empty() {
            log::warn!("{text}");
        }
        let routes = plan.routes.len();
        self.put_in_place(plan, &config);
        running.config = config;
        let version = self.replaced(&loaded.source);
        log::info!("reloaded ({cause}): version {version}, {routes} routes");
        Ok(
            json!({ "version": version, "routes": routes, "problems": problems(&report, &name, &loaded.source) }),
        )
    }

    fn put_in_place(&self, plan: Plan, config: &Config) {
        let follows = &self.follows;
        // A new issuer has its keys before its first token comes, where that does not take too long.
        follows.keeper.begin(&plan.issuers);
        if let Err(why) = plan.tracer.begin() {
            log::error!("spans can't be exported: {why}");
        }
        let plan = Arc::new(plan);
        follows.plan.store(plan.clone());
        self.shared.upstreams.commit(&plan.clusters);
        follows.keeper.only(&plan.issuers);
        let trusted = config.server.trusted_proxies.iter();
        let trusted = Networks::new(trusted.map(|network| network.value));
        follows.proxies.store(Arc::new(trusted));
        logs::adjust(&config.telemetry.log);
        let now = self.clock.unix_seconds();
        let read = follows.acceptors.iter().flat_map(|each| each.reload(now));
        for why in read.filter_map(Result::err) {
            log::error!("a certificate can't be used, the one before stays: {why}");
        }
    }

    /// Have the files changed since they were last read? Gives how they are.
    pub(super) fn changed(&self) -> Option<Stamp> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let now = running.seen.now();
        (now != running.seen).then_some(now)
    }

    /// What every plan keeps of the tokens that were verified.
    pub fn tokens(&self) -> &TokenCache {
        &self.shared.tokens
    }

    /// Writes how often it was reloaded, and which version is in place.
    pub fn write(&self, page: &mut Page) {
        let name = "airside_config_reloads_total";
        page.family(
            name,
            Kind::Counter,
            "Reloads, by whether they changed anything.",
        );
        page.sample(name, &[("result", "done")], self.done.value());
        page.sample(name, &[("result", "refused")], self.refused.value());
        let name = "airside_config_version";
        let help = "1 at the start, one more with each configuration that was put in place.";
        page.family(name, Kind::Gauge, help);
        page.sample(name, &[], self.state.load().version);
    }

    fn replaced(&self, source: &str) -> u64 {
        self.done.add(1);
        let version = self.state.load().version + 1;
        self.state.store(Arc::new(State {
            version,
            since: self.clock.unix_millis(),
            source: source.into(),
            refused: None,
        }));
        version
    }

    fn refuse(&self, summary: String) {
        self.refused.add(1);
        let mut state = State::clone(&self.state.load());
        let at = self.clock.unix_millis();
        state.refused = Some(Refused { at, summary });
        self.state.store(Arc::new(state));
    }
}

impl Reloads for Reload {
    fn reload(&self) -> Result<Value, Value> {
        self.now("asked by the admin listener")
    }

    fn file(&self) -> Option<String> {
        self.file.as_ref().map(|file| file.display().to_string())
    }

    fn config(&self) -> Value {
        let state = Arc::clone(&self.state.load());
        config::effective(&state.source).unwrap_or_default()
    }

    fn state(&self) -> Value {
        let state = self.state.load();
        let refused = state.refused.as_ref();
        let refused =
            refused.map(|refused| json!({ "at": show_time(refused.at), "why": refused.summary }));
        json!({ "version": state.version, "since": show_time(state.since), "refused": refused })
    }
}

fn problems(report: &Report, name: &str, source: &str) -> Value {
    report
        .json(name, source)
        .get_mut("problems")
        .map(Value::take)
        .unwrap_or_default()
}

/// The report's last line: `airside.yaml: 2 errors`.
fn summary(text: &str) -> String {
    text.lines().last().unwrap_or_default().to_owned()
}
