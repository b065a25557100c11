//! A limit as it is compiled from the configuration: from what is known about a call to an answer.

use std::fmt;
use std::sync::Arc;

use super::config::{self, Algorithm, Counting, Mode, OnMissing};
use super::count::{Count, Hold};
use super::counted::Counted;
use super::decision::Decision;
use super::headers::Names;
use super::key::{Key, Keys, Parts};
use super::places::Places;
use super::question::{Asked, Question};
use super::shared::Shared;
use super::store::Store;
use super::tally::{Ruling, Tally};
use super::tier::{self, Tier};
use crate::base::units::Rate;

/// Counts calls; shared by all routes that name it, and kept over a reload that leaves it as it is.
pub struct Limit {
    name: Arc<str>,
    keys: Keys,
    on_missing: OnMissing,
    mode: Mode,
    /// Do successes take their calls back?
    failures: bool,
    /// The highest first; the last is everyone's.
    tiers: Box<[Tier]>,
    /// Also where it is counted in Redis: for the time without.
    count: Count,
    shared: Option<Arc<Shared>>,
    tally: Tally,
}

/// What a limit has to say about a call.
#[derive(Debug)]
pub enum Outcome {
    /// Counted, or refused for the count.
    Decided(Counted),
    /// Not counted: a part of the key is missing (`on_missing: skip`).
    Skipped,
    /// Refused for that reason (`on_missing: deny`); waiting does not help.
    Denied,
}

impl Limit {
    /// Compiles a limit. `None` where it has no quota; the configuration's check has refused that.
    pub fn new(name: Arc<str>, config: &config::Limit) -> Option<Self> {
        let prefix = u8::try_from(config.ipv6_prefix.0).unwrap_or(128);
        let max_keys = config.max_keys.0;
        let failures = matches!(config.count, Some(Counting::Failures));
        let (tiers, count) = match (config.rate, config.concurrent) {
            (Some(_), _) if config.algorithm == Algorithm::TokenBucket => {
                let (tiers, rates) = tier::buckets(&name, config)?;
                (tiers, Count::bucket(&rates, failures, max_keys))
            }
            (Some(_), _) => {
                let (tiers, rates) = tier::windows(&name, config)?;
                (tiers, Count::windows(&rates, max_keys))
            }
            (None, Some(most)) => {
                let places = Places::new(most.0, max_keys);
                let tier = Tier::everyone(Names::at_once(&name, most.0));
                (Box::from([tier]), Count::Places(places))
            }
            (None, None) => return None,
        };
        Some(Self {
            keys: Keys::new(&config.by.0, prefix),
            on_missing: config.on_missing,
            mode: config.mode,
            failures,
            tiers,
            count,
            shared: None,
            tally: Tally::default(),
            name,
        })
    }

    /// The same, counted in this store where its scope is the cluster. `place` tells limits apart that are
    /// written in routes.
    pub fn counted_in(
        self,
        store: Option<&Arc<Store>>,
        place: u64,
        config: &config::Limit,
    ) -> Self {
        let shared = store
            .filter(|_| config.scope == config::Scope::Cluster)
            .and_then(|store| Shared::new(&self.name, place, config, store.clone()));
        Self {
            shared: shared.map(Arc::new),
            ..self
        }
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Decides on a call and counts it where it is admitted. `now_millis` is monotonic time.
    pub fn decide(self: &Arc<Self>, parts: &Parts, now_millis: u64) -> Outcome {
        self.each(parts, now_millis, |tier, key| {
            self.count.decide(tier, key, now_millis)
        })
    }

    /// What the call would be told, without counting it: another limit has refused it.
    pub fn look(self: &Arc<Self>, parts: &Parts, now_millis: u64) -> Outcome {
        self.each(parts, now_millis, |tier, key| {
            (self.count.look(tier, key, now_millis), Hold::Nothing)
        })
    }

    /// Decides on a call, or only looks at it; where it is counted elsewhere, says what to ask.
    pub fn ask(self: &Arc<Self>, parts: &Parts, looks: bool, now_millis: u64) -> Asked {
        let Some(shared) = &self.shared else {
            return Asked::Told(match looks {
                false => self.tallied(self.decide(parts, now_millis)),
                true => self.look(parts, now_millis),
            });
        };
        match self.place(parts) {
            Ok((tier, key)) => Asked::Far(Box::new(Question {
                limit: Arc::clone(self),
                shared: shared.clone(),
                name: shared.key(&self.keys.bytes(parts)),
                key,
                tier,
                looks,
                now_millis,
            })),
            Err(lacking) => {
                let outcome = self.lacking(lacking, now_millis);
                Asked::Told(match looks {
                    false => self.tallied(outcome),
                    true => outcome,
                })
            }
        }
    }

    /// What became of all calls that it was asked to decide on. One that it admitted may have been refused
    /// for another limit after that.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What tells its callers apart, as it is written: `ip`, or `ip, route`. Never a caller's own.
    pub fn counts_by(&self) -> String {
        self.keys.kind()
    }

    /// Is it decided after authentication only?
    pub fn needs_principal(&self) -> bool {
        self.keys.needs_caller() || self.tiers.len() > 1
    }

    /// Does it only watch?
    pub fn is_shadow(&self) -> bool {
        self.mode == Mode::Shadow
    }

    /// Counts what became of a call, and hands it on.
    pub(super) fn tallied(&self, outcome: Outcome) -> Outcome {
        self.tally.count(outcome.ruling());
        outcome
    }

    pub(super) fn counts_failures(&self) -> bool {
        self.failures
    }

    pub(super) fn count(&self) -> &Count {
        &self.count
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn rate(&self, tier: usize) -> Option<Rate> {
        tier::at(&self.tiers, tier).rate()
    }

    pub(super) fn names(&self, tier: usize) -> &Names {
        tier::at(&self.tiers, tier).names()
    }

    pub(super) fn look_again(&self, tier: usize, key: Key, now_millis: u64) -> Decision {
        self.count.look(tier, key, now_millis)
    }

    fn each(
        self: &Arc<Self>,
        parts: &Parts,
        at_millis: u64,
        decide: impl FnOnce(usize, Key) -> (Decision, Hold),
    ) -> Outcome {
        match self.place(parts) {
            Ok((tier, key)) => self.decided((tier, key), at_millis, decide(tier, key)),
            Err(outcome) => self.lacking(outcome, at_millis),
        }
    }

    /// Where the call is counted: its tier and its key. Errors: it lacks a part of the key, which decides.
    fn place(&self, parts: &Parts) -> Result<(usize, Key), Lacking> {
        let (key, whole) = self.keys.key(parts);
        let tier = tier::of(&self.tiers, parts.caller);
        match (whole, self.on_missing) {
            (true, _) | (false, OnMissing::Share) => Ok((tier, key)),
            (false, OnMissing::Skip) => Err(Lacking::Skipped),
            (false, OnMissing::Deny) if self.is_shadow() => Err(Lacking::Watched(tier, key)),
            (false, OnMissing::Deny) => Err(Lacking::Denied),
        }
    }

    fn lacking(self: &Arc<Self>, lacking: Lacking, at_millis: u64) -> Outcome {
        match lacking {
            Lacking::Skipped => Outcome::Skipped,
            Lacking::Denied => Outcome::Denied,
            Lacking::Watched(tier, key) => {
                let told = (Decision::LACKING, Hold::Nothing);
                self.decided((tier, key), at_millis, told)
            }
        }
    }

    fn decided(
        self: &Arc<Self>,
        (tier, key): (usize, Key),
        at_millis: u64,
        (decision, hold): (Decision, Hold),
    ) -> Outcome {
        Outcome::Decided(Counted {
            limit: Arc::clone(self),
            decision,
            key,
            tier,
            hold,
            at_millis,
        })
    }
}

impl Outcome {
    fn ruling(&self) -> Ruling {
        match self {
            Self::Decided(counted) => counted.ruling(),
            Self::Skipped => Ruling::Skipped,
            Self::Denied => Ruling::Denied,
        }
    }
}

/// What becomes of a call that lacks a part of the key.
enum Lacking {
    Skipped,
    Denied,
    Watched(usize, Key),
}

/// The counts are not shown: they may be millions.
impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Limit").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests;
