//! What one plan hands to the next: counters of the same name and the same definition. A plan that is
//! never put in place takes nothing away from the one that serves. Upstreams are kept by their registry.

use std::collections::HashMap;
use std::sync::Arc;

use crate::limit::{self, Limit};
use crate::telemetry::metrics::RouteMeters;
use crate::token::{ForeignVerifier, issuer};

/// The state behind a plan's names.
#[derive(Debug)]
pub struct Kept {
    pub(super) limits: States<limit::config::Limit, Limit>,
    /// With the keys that they have.
    pub(super) issuers: States<issuer::config::Issuer, ForeignVerifier>,
    /// By the route's name, which is their label.
    meters: HashMap<Arc<str>, Arc<RouteMeters>>,
    meters_before: HashMap<Arc<str>, Arc<RouteMeters>>,
}

/// States by name, each with the definition that it was made from.
#[derive(Debug)]
pub(super) struct States<D, T> {
    /// Several may have one name: limits written in routes have their route's.
    known: HashMap<String, Vec<(D, Arc<T>)>>,
    made: HashMap<String, Vec<(D, Arc<T>)>>,
}

impl Kept {
    /// Begins a plan after `before`, or the first one.
    pub fn after(before: Option<&Self>) -> Self {
        Self {
            limits: States::after(before.map(|kept| &kept.limits)),
            issuers: States::after(before.map(|kept| &kept.issuers)),
            meters: HashMap::new(),
            meters_before: before.map(|kept| kept.meters.clone()).unwrap_or_default(),
        }
    }

    /// What the plan before had and this one does not is let go.
    pub(super) fn finish(&mut self) {
        self.limits.known.clear();
        self.issuers.known.clear();
        self.meters_before.clear();
    }

    /// Routes of one name share their counters, and the name has them for as long as there is one.
    pub(super) fn meters(&mut self, name: &Arc<str>) -> Arc<RouteMeters> {
        let before = &mut self.meters_before;
        let meters = self.meters.entry(name.clone());
        meters
            .or_insert_with(|| before.remove(name).unwrap_or_default())
            .clone()
    }

    /// All counters, by the name of their routes.
    pub(super) fn all_meters(&self) -> impl Iterator<Item = (&str, &RouteMeters)> + Clone {
        self.meters
            .iter()
            .map(|(name, meters)| (&**name, &**meters))
    }
}

impl<D: PartialEq + Clone, T> States<D, T> {
    /// All states of this plan.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.made.values().flatten().map(|(_, state)| &**state)
    }

    fn after(before: Option<&Self>) -> Self {
        Self {
            known: before.map(|states| states.made.clone()).unwrap_or_default(),
            made: HashMap::new(),
        }
    }

    /// The state that the plan before had under this name and definition, else a new one. A state is given
    /// once a plan.
    pub(super) fn keep(
        &mut self,
        name: &str,
        definition: &D,
        make: impl FnOnce() -> Option<T>,
    ) -> Option<Arc<T>> {
        let known = self.known.get_mut(name).and_then(|states| {
            let same = states.iter().position(|(known, _)| known == definition)?;
            Some(states.remove(same).1)
        });
        let state = match known {
            Some(state) => state,
            None => Arc::new(make()?),
        };
        let made = self.made.entry(name.to_owned()).or_default();
        made.push((definition.clone(), state.clone()));
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(states: &mut States<u32, String>, name: &str, definition: u32) -> Arc<String> {
        let state = states.keep(name, &definition, || Some(format!("{name}{definition}")));
        state.unwrap()
    }

    #[test]
    fn the_same_name_and_definition_give_the_same_state_back() {
        let mut first = States::after(None);
        let [one, other] = [1, 2].map(|definition| keep(&mut first, "a", definition));
        let gone = keep(&mut first, "b", 3);
        first.known.clear();
        let mut second = States::after(Some(&first));
        // In another order, which is no other definition.
        assert!(Arc::ptr_eq(&keep(&mut second, "a", 2), &other));
        assert!(Arc::ptr_eq(&keep(&mut second, "a", 1), &one));
        assert!(!Arc::ptr_eq(&keep(&mut second, "a", 1), &one), "given once");
        assert!(!Arc::ptr_eq(&keep(&mut second, "b", 4), &gone));
        second.known.clear();
        drop(first);
        assert_eq!(Arc::strong_count(&gone), 1, "let go");
    }

    #[test]
    fn a_plan_that_is_thrown_away_takes_nothing_with_it() {
        let mut first = States::after(None);
        let state = keep(&mut first, "a", 1);
        drop(States::after(Some(&first)));
        let mut thrown = States::after(Some(&first));
        keep(&mut thrown, "a", 1);
        drop(thrown);
        let mut second = States::after(Some(&first));
        assert!(Arc::ptr_eq(&keep(&mut second, "a", 1), &state));
    }
}
