//! `scope: cluster`: calls counted in Redis, where all gateways see them. A script decides there, in one
//! step and by the server's clock; what it tells of the key is the state that the local arithmetic knows, so
//! that clients are told the same, and the call's own part of it is what it may give back.

use std::fmt::{self, Write};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::Script;

use super::bucket::{Bucket, Fill};
use super::config::{self, Algorithm, Counting, OnStoreError};
use super::count;
use super::decision::Decision;
use super::sliding::Sliding;
use super::store::{Command, OpenError, Store};
use super::tier;

/// A limit's counts in Redis.
pub(super) struct Shared {
    store: Arc<Store>,
    /// What the keys of this limit begin with, on all gateways.
    prefix: Box<str>,
    way: Way,
    pub on_error: OnStoreError,
}

enum Way {
    Windows {
        meters: Box<[Sliding]>,
        /// Of each tier its meter and its count.
        tiers: Box<[(usize, u64)]>,
    },
    Bucket {
        bucket: Bucket,
        fills: Box<[Fill]>,
        /// Are calls in flight held until they are known to have failed?
        holds: bool,
    },
}

/// What a call has taken in Redis, and the key's state as it was told then.
#[derive(Debug)]
pub(super) struct Taken {
    shared: Arc<Shared>,
    key: String,
    tier: usize,
    /// Redis's time, in milliseconds since 1970.
    at: u64,
    /// As the local meter packs it.
    state: u64,
    /// Windows: the one of each width that counted the call, or -1. A bucket: the slot of the hold.
    receipts: Vec<i64>,
}

/// An answer in the terms of the local arithmetic.
struct Told {
    decision: Decision,
    at: u64,
    state: u64,
    receipts: Vec<i64>,
}

/// How a call ended for its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// As if it had never been counted.
    Undone,
    Failed,
}

impl Store {
    /// Begins to use the server of this address; it may be away. `tls` says whom to trust where the address begins
    /// with `rediss://`.
    pub fn start(
        url: &str,
        timeout: Duration,
        tls: Option<Arc<rustls::ClientConfig>>,
    ) -> Result<Self, OpenError> {
        let probe = || Command {
            script: &BUCKET,
            key: "airside::probe".to_owned(),
            // A bucket that is never empty and full again at once: a write like any other.
            arguments: vec![1, 1, 1 << 24, 1 << 24, 1, 1 << 24, 0],
        };
        Self::open(url, timeout, tls, probe)
    }
}

impl Shared {
    /// The same counts as every limit of this name and definition has, at the same `place`: limits that are
    /// written in routes may have one name. `None` where the limit has no rate.
    pub(super) fn new(
        name: &str,
        place: u64,
        config: &config::Limit,
        store: Arc<Store>,
    ) -> Option<Self> {
        let way = match config.algorithm {
            Algorithm::SlidingWindow => {
                let (_, rates) = tier::windows(name, config)?;
                let (meters, tiers) = count::meters(&rates);
                Way::Windows {
                    meters: meters.into(),
                    tiers,
                }
            }
            Algorithm::TokenBucket => {
                let (_, rates) = tier::buckets(name, config)?;
                let holds = matches!(config.count, Some(Counting::Failures));
                let (bucket, fills) = Bucket::within_doubles(&rates, holds);
                Way::Bucket {
                    bucket,
                    fills,
                    holds,
                }
            }
        };
        let definition = digest(&SHA256, definition(place, config).as_bytes());
        let definition = short(definition.as_ref());
        Some(Self {
            store,
            prefix: format!("airside:{name}:{definition}:").into(),
            way,
            on_error: config.on_store_error,
        })
    }

    /// The key of these parts.
    pub(super) fn key(&self, parts: &[u8]) -> String {
        let parts = digest(&SHA256, parts);
        format!("{}{}", self.prefix, short(parts.as_ref()))
    }

    /// Decides on a call, and counts it where it is admitted, unless it only looks. `None` without an answer
    /// in time.
    pub(super) async fn ask(
        self: &Arc<Self>,
        key: String,
        tier: usize,
        looks: bool,
    ) -> Option<(Decision, Option<Taken>)> {
        let command = self.question(key, tier, looks)?;
        let answer = self.store.ask(&command).await?;
        let told = self.read(tier, &answer)?;
        let taken = (told.decision.admitted && !looks).then(|| Taken {
            shared: self.clone(),
            key: command.key,
            tier,
            at: told.at,
            state: told.state,
            receipts: told.receipts,
        });
        Some((told.decision, taken))
    }

    fn question(&self, key: String, tier: usize, looks: bool) -> Option<Command> {
        let mut arguments = vec![i64::from(!looks)];
        let script = match &self.way {
            Way::Windows { meters, tiers } => {
                let (own, count) = *tiers.get(tier)?;
                arguments.extend([own as i64 + 1, count as i64]);
                arguments.extend(meters.iter().flat_map(Sliding::arguments));
                &WINDOWS
            }
            Way::Bucket {
                bucket,
                fills,
                holds,
            } => {
                arguments.extend(bucket.arguments(*fills.get(tier)?));
                arguments.push(i64::from(*holds));
                &BUCKET
            }
        };
        Some(Command {
            script,
            key,
            arguments,
        })
    }

    fn read(&self, tier: usize, answer: &[i64]) -> Option<Told> {
        let [admitted, at, one, two, three, receipts @ ..] = answer else {
            return None;
        };
        let (at, one, two, three) = (*at as u64, *one as u64, *two as u64, *three as u64);
        let (state, receipts) = match &self.way {
            Way::Windows { meters, tiers } => {
                let meter = meters.get(tiers.get(tier)?.0)?;
                (meter.starting_with(one, two, three), receipts.to_vec())
            }
            Way::Bucket { bucket, .. } => (bucket.packed(one, two, at), vec![three as i64]),
        };
        let decision = Decision {
            admitted: *admitted == 1,
            ..self.look(tier, state, at)?
        };
        Some(Told {
            decision,
            at,
            state,
            receipts,
        })
    }

    fn look(&self, tier: usize, state: u64, now: u64) -> Option<Decision> {
        Some(match &self.way {
            Way::Windows { meters, tiers } => {
                let (own, count) = *tiers.get(tier)?;
                meters.get(own)?.look(count, state, now)
            }
            Way::Bucket { bucket, fills, .. } => bucket.look(*fills.get(tier)?, state, now),
        })
    }
}

impl Taken {
    /// Is it known only later whether the call counts?
    pub(super) fn is_held(&self) -> bool {
        matches!(self.shared.way, Way::Bucket { holds: true, .. })
    }

    /// Tells Redis how the call ended, so long after it came; nobody waits for that. What is left then is
    /// what the call found, without what others did meanwhile.
    pub(super) fn end(self, end: End, after_millis: u64) -> Decision {
        let state = self.state_after(end).unwrap_or(self.state);
        let now = self.at + after_millis;
        let decision = self.shared.look(self.tier, state, now);
        let shared = self.shared.clone();
        if let Some(command) = self.command(end) {
            shared.store.tell(command);
        }
        decision.unwrap_or(Decision::LACKING)
    }

    fn state_after(&self, end: End) -> Option<u64> {
        match (&self.shared.way, end) {
            (Way::Windows { .. }, End::Failed) => None,
            (Way::Windows { meters, tiers }, End::Undone) => {
                let meter = meters.get(tiers.get(self.tier)?.0)?;
                meter.give_back(meter.receipt_at(self.state), self.state)
            }
            (
                Way::Bucket {
                    bucket,
                    fills,
                    holds,
                },
                end,
            ) => {
                let fill = *fills.get(self.tier)?;
                match (holds, end) {
                    (true, end) => bucket.settle(fill, end == End::Failed, self.state, self.at),
                    (false, End::Undone) => bucket.give_back(fill, self.state, self.at),
                    (false, End::Failed) => None,
                }
            }
        }
    }

    fn command(self, end: End) -> Option<Command> {
        let (script, arguments): (&'static Script, _) = match &self.shared.way {
            Way::Windows { meters, .. } => {
                if end == End::Failed {
                    return None;
                }
                let widest = meters.iter().map(Sliding::width).max()?;
                let mut arguments = vec![2 * widest as i64 + 1_000];
                arguments.extend(&self.receipts);
                (&WINDOWS_BACK, arguments)
            }
            Way::Bucket {
                bucket,
                fills,
                holds,
            } => {
                let todo = match (holds, end) {
                    (false, End::Undone) => 2,
                    (false, End::Failed) => return None,
                    (true, End::Undone) => 3,
                    (true, End::Failed) => 4,
                };
                let mut arguments = vec![todo];
                arguments.extend(bucket.arguments(*fills.get(self.tier)?));
                arguments.push(i64::from(*holds));
                arguments.extend(&self.receipts);
                arguments.push(self.at as i64);
                (&BUCKET, arguments)
            }
        };
        Some(Command {
            script,
            key: self.key,
            arguments,
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_tuple("Shared").field(&self.prefix).finish()
    }
}

/// What must be the same for two gateways to count together, in words that stay as they are.
fn definition(place: u64, config: &config::Limit) -> String {
    let mut text = format!("1 {place:x} {:?}", config.algorithm);
    for part in &config.by.0 {
        let _ = write!(text, " {part:?}");
    }
    let rate = |rate: crate::base::units::Rate| (rate.count, rate.window.as_millis());
    let roles = config.per_role.iter();
    let mut roles: Vec<_> = roles
        .map(|(role, of)| (role.value.as_str(), rate(*of)))
        .collect();
    roles.sort_unstable();
    let burst = config.burst.map(|burst| burst.0);
    let failures = config.count.is_some();
    let _ = write!(
        text,
        " {:?} {roles:?} {burst:?} {failures} {}",
        config.rate.map(rate),
        config.ipv6_prefix.0
    );
    text
}

/// 128 bits of a hash, as text.
fn short(digest: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or(digest))
}

macro_rules! script {
    ($file:literal) => {
        LazyLock::new(|| {
            Script::new(concat!(
                include_str!("shared/prelude.lua"),
                include_str!($file)
            ))
        })
    };
}

static WINDOWS: LazyLock<Script> = script!("shared/windows.lua");
static WINDOWS_BACK: LazyLock<Script> = script!("shared/windows_back.lua");
static BUCKET: LazyLock<Script> = script!("shared/bucket.lua");

#[cfg(test)]
mod tests;
