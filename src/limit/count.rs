//! The ways to count behind one face: what a call takes, how it is given back, and what is left. Whose
//! call it is, and in which tier, is told.

use smallvec::SmallVec;

use super::bucket::{Bucket, Fill};
use super::decision::Decision;
use super::key::Key;
use super::places::{Place, Places};
use super::shared::Taken;
use super::sliding::{Receipt, Sliding};
use super::table::Table;
use crate::base::units::Rate;

/// How a limit counts. Its tiers are rates for holders of different roles; all of them count the same
/// calls.
pub(super) enum Count {
    /// `sliding_window`: a table for each width of window. A call is decided in its own tier's and
    /// counted in all, so that who gains or loses a role finds all of their calls.
    Windows {
        tables: Box<[Table<Sliding>]>,
        /// Of each tier its table and its count.
        tiers: Box<[(usize, u64)]>,
    },
    /// `token_bucket`: one bucket, of which the same share is used in every tier.
    Bucket {
        table: Table<Bucket>,
        tiers: Box<[Fill]>,
        /// Are calls in flight held until they are known to have failed?
        holds: bool,
    },
    /// `concurrent`.
    Places(Places),
}

/// What a call has taken and may give back.
#[derive(Debug)]
pub(super) enum Hold {
    Nothing,
    /// A receipt of each table that counted it.
    Windows(SmallVec<[Option<Receipt>; 1]>),
    /// A call in the bucket.
    Bucket,
    /// A place in the bucket, until it is known whether the call failed.
    Held,
    Place(Place),
    /// What the call has taken in Redis.
    Shared(Box<Taken>),
}

impl Count {
    pub(super) fn windows(rates: &[Rate], max_keys: u32) -> Self {
        let (meters, tiers) = meters(rates);
        let tables = meters.iter().map(|meter| Table::new(*meter, max_keys));
        Self::Windows {
            tables: tables.collect(),
            tiers,
        }
    }

    /// Rates, each with what the bucket holds for it.
    pub(super) fn bucket(rates: &[(Rate, u32)], holds: bool, max_keys: u32) -> Self {
        let (bucket, tiers) = Bucket::new(rates, holds);
        Self::Bucket {
            table: Table::new(bucket, max_keys),
            tiers,
            holds,
        }
    }

    /// Decides on a call and counts it where it is admitted.
    pub(super) fn decide(&self, tier: usize, key: Key, now: u64) -> (Decision, Hold) {
        match self {
            Self::Windows { tables, tiers } => {
                let (own, count) = *at(tiers, tier);
                let table = at(tables, own);
                let (decision, receipt) =
                    table.update(key, now, |state| table.meter.decide(count, state, now));
                if !decision.admitted {
                    return (decision, Hold::Nothing);
                }
                let receipts = tables.iter().enumerate().map(|(number, table)| {
                    let charge = |state| table.meter.charge(state, now);
                    match number == own {
                        true => receipt,
                        false => table.update(key, now, charge),
                    }
                });
                (decision, Hold::Windows(receipts.collect()))
            }
            Self::Bucket {
                table,
                tiers,
                holds,
            } => {
                let fill = *at(tiers, tier);
                let decision = table.update(key, now, |state| table.meter.decide(fill, state, now));
                let hold = match (decision.admitted, holds) {
                    (false, _) => Hold::Nothing,
                    (true, true) => Hold::Held,
                    (true, false) => Hold::Bucket,
                };
                (decision, hold)
            }
            Self::Places(places) => match places.enter(key) {
                (decision, Some(place)) => (decision, Hold::Place(place)),
                (decision, None) => (decision, Hold::Nothing),
            },
        }
    }

    /// What a call would be told, without counting it.
    pub(super) fn look(&self, tier: usize, key: Key, now: u64) -> Decision {
        match self {
            Self::Windows { tables, tiers } => {
                let (own, count) = *at(tiers, tier);
                let table = at(tables, own);
                table.meter.look(count, table.state(key, now), now)
            }
            Self::Bucket { table, tiers, .. } => {
                let state = table.state(key, now);
                table.meter.look(*at(tiers, tier), state, now)
            }
            Self::Places(places) => places.look(key),
        }
    }

    /// Makes it as if the call had never been counted. `at_millis` is when it was.
    pub(super) fn give_back(&self, tier: usize, key: Key, hold: Hold, at_millis: u64) {
        match (self, hold) {
            (Self::Windows { tables, .. }, Hold::Windows(receipts)) => {
                for (table, receipt) in tables.iter().zip(receipts) {
                    if let Some(receipt) = receipt {
                        table.update_if_here(key, |state| table.meter.give_back(receipt, state));
                    }
                }
            }
            (Self::Bucket { table, tiers, .. }, Hold::Bucket) => {
                let fill = *at(tiers, tier);
                table.update_if_here(key, |state| table.meter.give_back(fill, state, at_millis));
            }
            (Self::Bucket { .. }, Hold::Held) => self.settle(tier, key, false, at_millis),
            (Self::Places(places), Hold::Place(place)) => places.leave(place),
            _ => {}
        }
    }

    /// A held call is over and failed.
    pub(super) fn failed(&self, tier: usize, key: Key, at_millis: u64) {
        self.settle(tier, key, true, at_millis);
    }

    fn settle(&self, tier: usize, key: Key, failed: bool, at_millis: u64) {
        if let Self::Bucket { table, tiers, .. } = self {
            let fill = *at(tiers, tier);
            let step = |state| table.meter.settle(fill, failed, state, at_millis);
            table.update_if_here(key, step);
        }
    }
}

/// A meter for each width of these rates, and of each rate its meter's number and its count.
pub(super) fn meters(rates: &[Rate]) -> (Vec<Sliding>, Box<[(usize, u64)]>) {
    let mut widths: Vec<_> = rates.iter().map(|rate| rate.window).collect();
    widths.sort_unstable();
    widths.dedup();
    let meters = widths.iter().map(|width| {
        let alike = rates.iter().filter(|rate| rate.window == *width);
        let most = alike.map(|rate| rate.count).max().unwrap_or(1);
        Sliding::new(most, *width)
    });
    let tiers = rates.iter().filter_map(|rate| {
        let meter = widths.binary_search(&rate.window).ok()?;
        Some((meter, u64::from(rate.count)))
    });
    (meters.collect(), tiers.collect())
}

#[expect(
    clippy::indexing_slicing,
    reason = "tiers are numbered by the limit that made them, and tables by their tiers"
)]
fn at<T>(items: &[T], index: usize) -> &T {
    &items[index]
}
