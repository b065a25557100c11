//! An upstream as a request meets it: may it go there at all, to which server, and what is learnt from how it went.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use super::balance::Wish;
use super::breaker::{Admission, Breaker, State};
use super::budget::Budget;
use super::config::Address;
use super::endpoint::Endpoint;
use super::lease::{Lease, Ticket};
use super::members::{Members, Resolved};
use super::settings::Settings;
use super::tally::Tally;
use crate::base::net::UNKNOWN;

/// A compiled upstream.
#[derive(Debug)]
pub struct Cluster {
    pub name: Arc<str>,
    pub settings: Settings,
    /// Keeps this upstream's connections apart from those of another to the same address.
    pub(super) group: u64,
    members: ArcSwap<Members>,
    resolved: Mutex<Resolved>,
    /// Names that DNS was not asked for yet.
    pending: AtomicBool,
    breaker: Option<Arc<Breaker>>,
    budget: Option<Arc<Budget>>,
    in_flight: Arc<AtomicU32>,
    /// What became of retries.
    pub retries: Arc<Tally>,
    /// Held while it is decided whether one more server may be ejected: the ceiling is never passed.
    ejecting: Mutex<()>,
}

/// Why a request does not go to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoLease {
    /// Every server is out, or there is none.
    NoServer,
    /// For so many milliseconds.
    BreakerOpen(u64),
}

impl Cluster {
    /// What `previous` knows of the same servers is taken over, and its breaker and budget where their keys are the
    /// same.
    pub fn new(name: &str, group: u64, settings: Settings, previous: Option<&Self>) -> Self {
        let resolved = previous.map(|previous| {
            let resolved = previous.resolved.lock();
            resolved.unwrap_or_else(PoisonError::into_inner).clone()
        });
        let resolved = resolved.unwrap_or_default();
        let known = previous.map(Self::members);
        let members = Members::new(&settings, &resolved, |address| {
            Some(known.as_ref()?.find(address)?.standing.clone())
        });
        let same_breaker = previous.filter(|other| other.settings.breaker == settings.breaker);
        let share = |settings: &Settings| settings.retry.as_ref().map(|retry| retry.budget);
        let own_share = share(&settings);
        let same_budget = previous.filter(|other| share(&other.settings) == own_share);
        let pending = settings.names().any(|name| !resolved.contains_key(name));
        Self {
            name: name.into(),
            group,
            members: ArcSwap::from_pointee(members),
            pending: AtomicBool::new(pending),
            resolved: Mutex::new(resolved),
            breaker: match same_breaker {
                Some(previous) => previous.breaker.clone(),
                None => settings.breaker.map(|keys| Arc::new(Breaker::new(keys))),
            },
            budget: match same_budget {
                Some(previous) => previous.budget.clone(),
                None => own_share.map(|share| Arc::new(Budget::new(share))),
            },
            in_flight: previous
                .map(|previous| previous.in_flight.clone())
                .unwrap_or_default(),
            retries: previous
                .map(|previous| previous.retries.clone())
                .unwrap_or_default(),
            ejecting: Mutex::new(()),
            settings,
        }
    }

    /// It is the upstream of its name from now on: verdicts of a predecessor that nothing here would revise are gone.
    pub(super) fn take_over(&self) {
        let (probed, ejected) = (
            self.settings.health.is_some(),
            self.settings.ejection.is_some(),
        );
        for endpoint in &self.members().endpoints {
            endpoint.standing.adopt(probed, ejected);
        }
    }

    pub fn members(&self) -> Guard<Arc<Members>> {
        self.members.load()
    }

    /// Lets a request in, unless as many are in flight as may be.
    pub fn enter(self: &Arc<Self>) -> Option<Ticket> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket(self.in_flight.clone());
        if self
            .settings
            .max_requests
            .is_some_and(|most| before >= most)
        {
            return None;
        }
        if let Some(budget) = &self.budget {
            budget.earn();
        }
        Some(ticket)
    }

    /// Chooses a server. One that was tried is taken again only where no other is in.
    pub fn lease(
        self: &Arc<Self>,
        wish: &Wish,
        mut random: impl FnMut(u32) -> u32,
    ) -> Result<Lease, NoLease> {
        let trial = match self.breaker.as_ref().map(|breaker| breaker.admit(wish.now)) {
            None | Some(Admission::Free) => false,
            Some(Admission::Trial) => true,
            Some(Admission::Refused(millis)) => return Err(NoLease::BreakerOpen(millis)),
        };
        let members = self.members();
        let again = Wish {
            tried: &[],
            ..*wish
        };
        let picked = members.pick(wish, &mut random).or_else(|| {
            let again = (!wish.tried.is_empty()).then_some(again)?;
            members.pick(&again, &mut random)
        });
        let Some(endpoint) = picked else {
            if let Some(breaker) = self.breaker.as_ref().filter(|_| trial) {
                breaker.abandon();
            }
            return Err(NoLease::NoServer);
        };
        Ok(Lease::new(endpoint.clone(), trial.then(|| self.clone())))
    }

    /// May one more request be sent again? It is counted if so.
    pub fn may_retry(&self) -> bool {
        self.budget.as_ref().is_some_and(|budget| budget.spend())
    }

    /// Whole seconds after which a server may be back.
    pub fn retry_after(&self, now: u64) -> u64 {
        let members = self.members();
        let ejected = members.endpoints.iter().filter_map(|endpoint| {
            let until = endpoint.standing.ejected_until();
            until.checked_sub(now).filter(|millis| *millis > 0)
        });
        let probed = self.settings.health.as_ref();
        let probed = probed.map(|health| health.every.as_millis() as u64);
        let millis = ejected.chain(probed).min();
        seconds(millis.unwrap_or(1_000))
    }

    pub fn breaker(&self) -> Option<State> {
        self.breaker.as_ref().map(|breaker| breaker.state())
    }

    /// Requests on their way to this upstream.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Is there a name that DNS was not yet asked for?
    pub fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// DNS was asked for every name; those that it had answers for are in `resolved`. True: other servers than before.
    pub(super) fn resolve(&self, resolved: Resolved) -> bool {
        let mut held = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *held != resolved;
        if changed {
            let before = self.members.load();
            let standing = |address| Some(before.find(address)?.standing.clone());
            let members = Members::new(&self.settings, &resolved, standing);
            self.members.store(Arc::new(members));
            *held = resolved;
        }
        self.pending.store(false, Ordering::Relaxed);
        changed
    }

    /// For those who send nothing: names that DNS was not asked for have an address all the same.
    pub fn assume_resolved(&self) {
        let names = self.settings.names();
        self.resolve(names.map(|name| (name.to_owned(), vec![UNKNOWN])).collect());
    }

    /// What DNS said last.
    pub(super) fn resolved(&self) -> Resolved {
        let held = self.resolved.lock();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a server out, or lets it in again. `server` is an address, or a name of the configuration, which stands
    /// for all of its addresses. Brings the addresses.
    pub fn drain(&self, server: &Address, drained: bool) -> Vec<SocketAddr> {
        let members = self.members();
        let named = |endpoint: &&Arc<Endpoint>| match server {
            Address::Socket(address) => endpoint.address == *address,
            Address::Name(name, port) => self.resolved().get(name).is_some_and(|addresses| {
                endpoint.address.port() == *port && addresses.contains(&endpoint.address.ip())
            }),
        };
        let found: Vec<_> = members.endpoints.iter().filter(named).collect();
        for endpoint in &found {
            endpoint.standing.drain(drained);
        }
        found.iter().map(|endpoint| endpoint.address).collect()
    }

    /// Learns from one request to a server.
    pub(super) fn learn(&self, endpoint: &Endpoint, trial: bool, success: bool, now: u64) {
        let ejection = self.settings.ejection.as_ref();
        if !success && endpoint.standing.has_failed(ejection) {
            self.eject(endpoint, now);
        }
        if let Some(breaker) = &self.breaker
            && breaker.settle(trial, success, now)
        {
            log::warn!("upstream {}: too many failures, breaker opened", self.name);
        }
    }

    pub(super) fn abandon(&self) {
        if let Some(breaker) = &self.breaker {
            breaker.abandon();
        }
    }

    /// Leaves a server out, unless too many are. Failures are rare, and so is this lock.
    fn eject(&self, endpoint: &Endpoint, now: u64) {
        let Some(ejection) = &self.settings.ejection else {
            return;
        };
        let _alone = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let members = self.members();
        let is_out = |endpoint: &Endpoint| endpoint.standing.ejected_until() > now;
        let out = members.endpoints.iter().filter(|other| is_out(other));
        let room = members.endpoints.len() as f64 * ejection.max_ejected + ROUNDING;
        if is_out(endpoint) || (out.count() + 1) as f64 > room {
            return;
        }
        endpoint.standing.eject(now, ejection);
        log::warn!(
            "upstream {}: server {} left out for {} ms after {} failures in a row",
            self.name,
            endpoint.name,
            ejection.millis,
            ejection.failures
        );
    }
}

/// For `Retry-After`: rounded up, from 1 to 60.
pub fn seconds(millis: u64) -> u64 {
    millis.div_ceil(1_000).clamp(1, 60)
}

/// Two thirds of three servers are two.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests;
