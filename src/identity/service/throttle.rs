//! An attempt at a password, from its reservation to its end: what it is counted under is noted before
//! anything is hashed, and one that is not made takes as long as one that is.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::Service;
use crate::base::clock::Clock;
use crate::identity::password::{Checked, Place};
use crate::identity::refused::Refused;
use crate::identity::store::UserStore;
use crate::identity::throttle::{Aim, Attempt, Outcome, Reserved, Rules, Subject, Ticket};

/// What attempts share.
pub struct Throttle {
    rules: Rules,
    /// Told of each attempt that ends here.
    ended: Notify,
    pace: Mutex<VecDeque<Duration>>,
}

/// May a password be checked?
pub(super) enum Admission {
    Granted(Reservation),
    /// Not before so many milliseconds.
    Delayed(Place, u64),
}

/// A granted attempt. Dropped without an end, because the client has left or the store has failed, it is given
/// back where nothing was hashed, and counts as failed where it was.
pub(super) struct Reservation {
    pub(super) begun: Arc<AtomicBool>,
    place: Option<Place>,
    ticket: Option<Ticket>,
    store: Arc<dyn UserStore>,
    clock: Clock,
}

impl Throttle {
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ended: Notify::new(),
            pace: Mutex::default(),
        }
    }

    /// Remembers how long a failed attempt took, but for its waiting.
    fn note(&self, took: Duration) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        if pace.len() >= REMEMBERED {
            pace.pop_front();
        }
        pace.push_back(took);
    }

    /// How long one of the latest took, by chance which.
    fn any(&self) -> Option<Duration> {
        let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let index = rand::random_range(0..pace.len().max(1));
        pace.get(index).copied()
    }
}

impl Service {
    /// Takes a place for hashing and counts the attempt as being made. Errors: no place is free, the address has
    /// spent its attempts, the store does not answer.
    pub(super) async fn admit(
        &self,
        aim: Option<Aim>,
        client: IpAddr,
    ) -> Result<Admission, Refused> {
        let mut place = self.passwords.enter()?;
        let rules = self.throttle.rules;
        if rules.are_off() {
            return Ok(Admission::Granted(self.reservation(place)));
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = self.throttle.ended.notified();
            let attempt = Attempt {
                address: Subject::address(client),
                aim,
                at: self.clock.unix_millis(),
                rules,
            };
            let mut reservation = self.reservation(place);
            // Not dropped with the request: a client that leaves now has its attempt given back, once it is counted.
            let reserving = tokio::spawn(async move {
                let reserved = reservation.store.reserve_attempt(attempt).await;
                if let Ok(Reserved::Granted(ticket)) = &reserved {
                    reservation.hold(*ticket);
                }
                (reserved, reservation)
            });
            let (reserved, mut reservation) = reserving.await.map_err(|_| Refused::Internal)?;
            match reserved? {
                Reserved::Granted(_) => return Ok(Admission::Granted(reservation)),
                Reserved::AccountDelayed(millis) => {
                    return Ok(Admission::Delayed(reservation.place()?, millis));
                }
                Reserved::AddressSpent(millis) => return Err(Refused::RateLimited(millis)),
                // An end that another gateway notes tells nobody here, hence the second look.
                Reserved::Pending => drop(timeout(SECOND_LOOK, ended).await),
            }
            place = reservation.place()?;
        }
        Err(Refused::Busy)
    }

    /// Notes how an attempt ended.
    pub(super) async fn settle(
        &self,
        mut reservation: Reservation,
        outcome: Outcome,
    ) -> Result<(), Refused> {
        if let Some(ticket) = reservation.ticket.take() {
            let (store, at) = (Arc::clone(&self.store), self.clock.unix_millis());
            // Not dropped with the request, and never done twice: that would end the attempt of somebody else. One
            // that fails to be noted counts as failed before long.
            let settling =
                tokio::spawn(async move { store.settle_attempt(ticket, outcome, at).await });
            settling.await.map_err(|_| Refused::Internal)??;
        }
        self.throttle.ended.notify_waiters();
        Ok(())
    }

    /// Notes a failure and lets its answer be one of the usual pace.
    pub(super) async fn fail(
        &self,
        reservation: Reservation,
        checked: Checked,
        began: Instant,
    ) -> Result<(), Refused> {
        self.settle(reservation, Outcome::Failed).await?;
        let took = began.elapsed();
        self.throttle.note(took.saturating_sub(checked.waited));
        answer_after(began, took).await;
        Ok(())
    }

    /// Lets an attempt that may not be made take as long as one that is: its turn in the queue, and then the time
    /// that one of the latest took, without a thread (rule 15).
    pub(super) async fn pretend(&self, place: Place, began: Instant) -> Result<(), Refused> {
        let (waited, estimate) = self.passwords.let_pass(place).await?;
        let took = self.throttle.any().unwrap_or(estimate);
        answer_after(began, (waited + took).max(began.elapsed())).await;
        Ok(())
    }

    /// A reservation of nothing yet.
    fn reservation(&self, place: Place) -> Reservation {
        Reservation {
            begun: Arc::default(),
            place: Some(place),
            ticket: None,
            store: Arc::clone(&self.store),
            clock: self.clock.clone(),
        }
    }
}

impl Reservation {
    /// Where the ticket is for nothing that is counted, there is nothing to give back.
    fn hold(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket).filter(|ticket| !ticket.is_blank());
    }

    /// The place that it came with; once.
    pub(super) fn place(&mut self) -> Result<Place, Refused> {
        self.place.take().ok_or(Refused::Internal)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let outcome = match self.begun.load(Ordering::Acquire) {
            true => Outcome::Failed,
            false => Outcome::NotMade,
        };
        let (store, at) = (Arc::clone(&self.store), self.clock.unix_millis());
        runtime.spawn(async move {
            if let Err(error) = store.settle_attempt(ticket, outcome, at).await {
                log::debug!("an attempt that was given up can't be settled: {error}");
            }
        });
    }
}

/// Waits until `took` after the beginning, rounded up to a whole step. A timer and a thread that has finished
/// would wake a task at different fractions of a millisecond; after a whole step both are the same.
async fn answer_after(began: Instant, took: Duration) {
    let steps = took.as_nanos().div_ceil(STEP.as_nanos());
    let rounded = STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
    sleep_until(began + rounded).await;
}

const REMEMBERED: usize = 64;
const STEP: Duration = Duration::from_millis(10);
/// How long an attempt waits for others of its account.
const PATIENCE: Duration = Duration::from_secs(10);
const SECOND_LOOK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
