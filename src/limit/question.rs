//! A question to the store that gateways share, on behalf of one call; and what is said where the store has
//! no answer.

use std::sync::Arc;

use super::config::OnStoreError;
use super::count::Hold;
use super::counted::Counted;
use super::decision::Decision;
use super::key::Key;
use super::rule::{Limit, Outcome};
use super::shared::Shared;

/// What a limit says at once, or would have to ask for.
#[derive(Debug)]
pub enum Asked {
    Told(Outcome),
    Far(Box<Question>),
}

/// All that the answer needs; nothing of the request is borrowed.
#[derive(Debug)]
pub struct Question {
    pub(super) limit: Arc<Limit>,
    pub(super) shared: Arc<Shared>,
    /// The key there.
    pub(super) name: String,
    /// The key here, while the store is away.
    pub(super) key: Key,
    pub(super) tier: usize,
    pub(super) looks: bool,
    pub(super) now_millis: u64,
}

impl Question {
    /// The limit's word, within the store's deadline.
    pub async fn answer(self) -> Outcome {
        let (limit, looks) = (Arc::clone(&self.limit), self.looks);
        let outcome = self.ask().await;
        match looks {
            false => limit.tallied(outcome),
            true => outcome,
        }
    }

    async fn ask(self) -> Outcome {
        let (shared, looks) = (&self.shared, self.looks);
        if let Some((decision, taken)) = shared.ask(self.name, self.tier, looks).await {
            let hold = taken.map_or(Hold::Nothing, |taken| Hold::Shared(Box::new(taken)));
            return Outcome::Decided(Counted {
                limit: self.limit,
                decision,
                key: self.key,
                tier: self.tier,
                hold,
                at_millis: self.now_millis,
            });
        }
        if !looks {
            self.limit.tally().count_without_store();
        }
        let (decision, hold) = match (self.shared.on_error, looks) {
            (OnStoreError::Allow, _) => return Outcome::Skipped,
            (OnStoreError::Deny, _) => (AWAY, Hold::Nothing),
            (OnStoreError::Local, false) => {
                let count = self.limit.count();
                count.decide(self.tier, self.key, self.now_millis)
            }
            (OnStoreError::Local, true) => {
                let count = self.limit.count();
                let decision = count.look(self.tier, self.key, self.now_millis);
                (decision, Hold::Nothing)
            }
        };
        Outcome::Decided(Counted {
            limit: self.limit,
            decision,
            key: self.key,
            tier: self.tier,
            hold,
            at_millis: self.now_millis,
        })
    }
}

/// Refused because nobody knows the count.
const AWAY: Decision = Decision {
    admitted: false,
    limit: 0,
    remaining: 0,
    reset_millis: 1_000,
    retry_after_millis: 1_000,
};
