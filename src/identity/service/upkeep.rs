//! How what ends tokens, what signs them and which API keys there are reaches those who verify them: at once where the change was made, and by asking
//! the store a few times a second everywhere else (rule 18). Never on a request's way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::Service;
use super::past::Past;
use crate::identity::refused::Refused;
use crate::token::Revocations;

/// What this gateway knows of ended tokens, and how far it has read.
#[derive(Debug, Default)]
pub struct Revoked {
    pub(in crate::identity) known: Revocations,
    pub(in crate::identity) cursor: AtomicU64,
    past: Past,
}

impl Service {
    /// Learns of everything that was ended until now. Errors: the store does not answer.
    pub async fn catch_up(&self) -> Result<(), Refused> {
        let last = self.revoked.cursor.load(Ordering::Acquire);
        // Sequence numbers are given before their transactions commit, so that a lower one may show up late.
        let from = last.saturating_sub(OVERLAP);
        let horizon = self.horizon();
        let (new, last) = self.store.revocations(from, horizon).await?;
        self.revoked.known.add(&new, horizon);
        self.revoked.cursor.fetch_max(last, Ordering::AcqRel);
        Ok(())
    }

    /// Follows the store for as long as the process lives, and clears away what has had its time.
    pub async fn follow(&self, first_round: Sender<()>) {
        let mut away = false;
        for round in 0_u64.. {
            let learnt = match self.catch_up().await {
                Ok(()) => self.follow_keys().await,
                failed => failed,
            };
            let learnt = match learnt {
                Ok(()) => self.catch_up_api_keys().await,
                failed => failed,
            };
            match learnt {
                Err(error) if !away => {
                    log::warn!("ended tokens and keys can't be followed: {error}");
                    away = true;
                }
                Ok(()) if away => {
                    log::info!("ended tokens and keys are followed again");
                    away = false;
                }
                _ => {}
            }
            // Nobody waits any more after the first one.
            let _ = first_round.send(());
            if round % TIDY_EVERY == 0 && !away {
                self.tidy().await;
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn tidy(&self) {
        let ended = self.clock.unix_millis().saturating_sub(KEPT);
        if let Err(error) = self.store.tidy(self.horizon(), ended).await {
            log::warn!("old sessions can't be cleared away: {error}");
        }
        let now = self.clock.unix_millis();
        for _ in 0..PARTS {
            match self.store.forget_attempts(now, PART).await {
                Ok(gone) if gone >= u64::from(PART) => {}
                Ok(_) => break,
                Err(error) => {
                    log::warn!("old failures to sign in can't be cleared away: {error}");
                    break;
                }
            }
        }
    }

    /// No access token that was made before is valid any more.
    fn horizon(&self) -> u64 {
        let life = self.issuer.ttl + MARGIN;
        let life = life.as_millis() as u64;
        let (wall, steady) = (self.clock.unix_millis(), self.clock.monotonic_millis());
        self.revoked.past.before(wall, steady, life)
    }
}

/// Another gateway must know within a second.
const EVERY: Duration = Duration::from_millis(300);
/// Rounds between two clearings: some ten minutes.
const TIDY_EVERY: u64 = 2_000;
/// Leeway, and clocks of gateways that differ.
const MARGIN: Duration = Duration::from_secs(120);
/// Transactions that are under way at once.
const OVERLAP: u64 = 256;
/// Counts that are forgotten in one transaction, so that none takes long, and such transactions in one round.
const PART: u32 = 1_000;
const PARTS: u32 = 1_000;
/// Ended sessions are kept for a week, in milliseconds.
const KEPT: u64 = 7 * 86_400_000;
