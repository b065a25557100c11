//! The threads that hash. A hash takes a core for a fifth of a second, so that as many as clients ask
//! for would take the proxy's cores; here a few run, some wait, and the rest are told to come back.

use std::io;

use super::{AcceptedPassword, PasswordHash, PlainPassword};
use crate::identity::workers::{NotDone, Workers};

/// Hashes and checks passwords on its own threads.
pub struct PasswordPool {
    workers: Workers<()>,
    cost: u32,
    nobody: PasswordHash,
}

impl PasswordPool {
    /// `threads` that hash at a cost, and room for `queue` that wait.
    pub fn start(cost: u32, threads: usize, queue: usize) -> io::Result<Self> {
        Ok(Self {
            workers: Workers::start("airside-bcrypt", vec![(); threads], queue)?,
            cost,
            nobody: PasswordHash::of_nobody(cost),
        })
    }

    pub async fn hash(&self, password: AcceptedPassword) -> Result<PasswordHash, NotDone> {
        let cost = self.cost;
        let job = move |(): &mut ()| PasswordHash::of(&password, cost);
        self.workers.run(job).await?.map_err(|error| {
            log::error!("a password can't be hashed: {error}");
            NotDone::Failed
        })
    }

    /// Is the hash this password's? Without one, for an unknown user, the answer is no and takes the
    /// same time.
    pub async fn check(
        &self,
        plain: PlainPassword,
        hash: Option<PasswordHash>,
    ) -> Result<bool, NotDone> {
        let (hash, known) = match hash {
            Some(hash) => (hash, true),
            None => (self.nobody.clone(), false),
        };
        let fits = self.workers.run(move |()| hash.fits(&plain)).await?;
        Ok(fits && known)
    }

    /// How many passwords wait for a thread.
    pub fn waiting(&self) -> usize {
        self.workers.waiting()
    }

    /// Was the hash made at a lower cost than is wanted now?
    pub fn is_outdated(&self, hash: &PasswordHash) -> bool {
        hash.cost() < self.cost
    }

    /// A new hash of a password that has just been found right. Errors: the threads are all busy.
    pub async fn rehash(&self, plain: PlainPassword) -> Result<PasswordHash, NotDone> {
        self.hash(AcceptedPassword(plain.0)).await
    }
}
