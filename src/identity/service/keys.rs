//! The keys of this gateway: what it signs with, what it verifies with, and how both follow the store.

use std::collections::HashSet;
use std::path::Path;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::{Admin, Service};
use crate::identity::config::{AccessToken, Key};
use crate::identity::refused::Refused;
use crate::identity::rotation::{KeyChange, KeyState, Own, Step, StoredKey};
use crate::identity::store::{Actor, Source, StoreError};
use crate::token::{
    KeyError, KeyFolder, KeyRing, KeySet, SharedKey, Signer, SigningKey, VerifyKey,
};

/// The keys of one gateway.
pub struct Keys {
    pub(in crate::identity) ring: KeyRing,
    signer: ArcSwapOption<Signer>,
    /// None where a secret is shared: then there is nothing to publish, and nothing to follow.
    pairs: Option<Mutex<Pairs>>,
}

/// A key as the shell shows it.
pub struct ListedKey {
    pub key: StoredKey,
    /// Is its private half in this gateway's folder?
    pub is_here: bool,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    #[error(
        "`HS256` has no keys to rotate: its one key is `identity.access_token.secret`; change that \
         everywhere at once, which ends every token in use"
    )]
    Shared,
    #[error(
        "the key {0} is published already, and signs as soon as a gateway has had it for a while"
    )]
    Already(String),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// Why a key is not ended.
#[derive(Debug, thiserror::Error)]
pub enum NotRetired {
    #[error(
        "`HS256` has no keys to retire: its one key is `identity.access_token.secret`; change that \
         everywhere at once, which ends every token in use"
    )]
    Shared,
    #[error("no key is called `{0}`: see `airside keys list`")]
    Unknown(String),
    #[error("the key {0} is retired already")]
    Already(String),
    #[error(
        "the key {0} is the only one to sign with: make another by `airside keys rotate`, wait until \
         `airside keys list` calls it active, some five seconds, and retire this one then"
    )]
    Last(String),
    #[error(transparent)]
    Refused(#[from] Refused),
}

struct Pairs {
    folder: KeyFolder,
    own: Own,
    /// In the folder, and known not to be in the store.
    unpublished: HashSet<String>,
    /// What the ring has.
    in_ring: Vec<String>,
}

impl Keys {
    /// Reads the private keys, or makes the first one. Until the store is heard of, its own are all that
    /// this gateway verifies with. `folder` is what relative paths are relative to.
    pub fn open(path: &str, config: &AccessToken, folder: &Path) -> Result<Self, KeyError> {
        let life = config.ttl.value;
        let algorithm = match config.key() {
            Key::Pair(algorithm) => algorithm,
            Key::Shared(secret) => {
                let key = SharedKey::new(secret.reveal().as_bytes(), life.as_secs());
                return Ok(Self {
                    ring: KeyRing::new(KeySet::Shared(key.clone())),
                    signer: ArcSwapOption::from_pointee(Signer::Shared(key)),
                    pairs: None,
                });
            }
        };
        let folder = KeyFolder::open(&folder.join(path))?;
        let keys = folder.load_or_create(algorithm)?;
        let public = keys.iter().map(SigningKey::verify_key).collect();
        let named = |key: SigningKey| (key.kid().to_owned(), key);
        let own = Own {
            algorithm,
            token_life: life.as_millis() as u64,
            keys: keys.into_iter().map(named).collect(),
            seen: Default::default(),
        };
        Ok(Self {
            ring: KeyRing::new(KeySet::new(public)),
            signer: ArcSwapOption::empty(),
            pairs: Some(Mutex::new(Pairs {
                folder,
                own,
                unpublished: HashSet::new(),
                in_ring: Vec::new(),
            })),
        })
    }
}

impl Service {
    /// The public keys, as `/.well-known/jwks.json` shows them.
    pub fn jwks(&self) -> serde_json::Value {
        self.keys.ring.load().jwks()
    }

    /// Is there a key that may sign?
    pub fn can_sign(&self) -> bool {
        self.keys.signer.load().is_some()
    }

    /// Learns which keys there are now, and does what is due: publishes, activates, retires.
    pub async fn follow_keys(&self) -> Result<(), Refused> {
        let Some(pairs) = &self.keys.pairs else {
            return Ok(());
        };
        let mut pairs = pairs.lock().await;
        // More steps are never due at once; if they were, the next round would go on.
        for _ in 0..STEPS {
            let stored = self.store.signing_keys(false).await?;
            self.keys
                .take(&mut pairs, &stored, self.clock.monotonic_millis());
            self.drop_retired(&mut pairs, &stored).await?;
            let (monotonic, now) = (self.clock.monotonic_millis(), self.clock.unix_millis());
            let Some(step) = pairs.own.step(&stored, monotonic, now) else {
                return Ok(());
            };
            self.carry_out(&mut pairs, step).await?;
        }
        Ok(())
    }

    /// Makes a key and publishes it. Whoever has its private half signs with it in a while.
    pub async fn rotate_keys(&self, by: Admin) -> Result<String, NotRotated> {
        let pairs = self.keys.pairs.as_ref().ok_or(NotRotated::Shared)?;
        // The key in use has to be known before there is one that replaces it.
        self.follow_keys().await?;
        let mut pairs = pairs.lock().await;
        let stored = self
            .store
            .signing_keys(false)
            .await
            .map_err(Refused::from)?;
        let is_waiting = |key: &&StoredKey| {
            key.state() == KeyState::Next && pairs.own.keys.contains_key(key.kid())
        };
        if let Some(waiting) = stored.iter().find(is_waiting) {
            return Err(NotRotated::Already(waiting.kid().to_owned()));
        }
        let key = pairs.folder.add(pairs.own.algorithm)?;
        let publish = KeyChange::Publish {
            key: key.verify_key(),
            token_life: pairs.own.token_life,
        };
        self.change_key(publish, by.0).await?;
        let kid = key.kid().to_owned();
        pairs.own.keys.insert(kid.clone(), key);
        Ok(kid)
    }

    /// Ends a key and every token that it has signed, here and at all gateways within a second. One must stay
    /// for this gateway to sign with, where it is one of its own.
    pub async fn retire_key(&self, kid: &str, by: Admin) -> Result<(), NotRetired> {
        let pairs = self.keys.pairs.as_ref().ok_or(NotRetired::Shared)?;
        let mut pairs = pairs.lock().await;
        let all = self.store.signing_keys(true).await.map_err(Refused::from)?;
        let named = |why: fn(String) -> NotRetired| why(kid.to_owned());
        let Some(key) = all.iter().find(|key| key.kid() == kid) else {
            return Err(named(NotRetired::Unknown));
        };
        if key.state() == KeyState::Retired {
            return Err(named(NotRetired::Already));
        }
        let own = &pairs.own.keys;
        let signs =
            |key: &StoredKey| key.state() == KeyState::Active && own.contains_key(key.kid());
        if signs(key) && !all.iter().any(|other| other.kid() != kid && signs(other)) {
            return Err(named(NotRetired::Last));
        }
        let end = KeyChange::End {
            kid: kid.to_owned(),
        };
        let origin = self.origin(by.0, Source::default());
        match self.store.change_key(end, origin).await {
            Ok(true) => {}
            Ok(false) => return Err(named(NotRetired::Already)),
            Err(StoreError::LastKey) => return Err(named(NotRetired::Last)),
            Err(error) => return Err(Refused::from(error).into()),
        }
        let stored = self
            .store
            .signing_keys(false)
            .await
            .map_err(Refused::from)?;
        self.keys
            .take(&mut pairs, &stored, self.clock.monotonic_millis());
        self.drop_retired(&mut pairs, &stored).await?;
        Ok(())
    }

    /// All keys that there ever were, the oldest first; none where a secret is shared.
    pub async fn list_keys(&self, _by: Admin) -> Result<Vec<ListedKey>, Refused> {
        let Some(pairs) = &self.keys.pairs else {
            return Ok(Vec::new());
        };
        let keys = self.store.signing_keys(true).await?;
        let pairs = pairs.lock().await;
        let listed = keys.into_iter().map(|key| ListedKey {
            is_here: pairs.own.keys.contains_key(key.kid()),
            key,
        });
        Ok(listed.collect())
    }

    /// Who signs now. A gateway that has not heard of the store yet asks it here.
    pub(super) async fn signer(&self) -> Result<std::sync::Arc<Signer>, Refused> {
        if let Some(signer) = self.keys.signer.load_full() {
            return Ok(signer);
        }
        self.follow_keys().await?;
        self.keys.signer.load_full().ok_or(Refused::KeyIsNew)
    }

    async fn carry_out(&self, pairs: &mut Pairs, step: Step) -> Result<(), Refused> {
        let token_life = pairs.own.token_life;
        let change = match step {
            Step::Make => {
                let made = pairs.folder.add(pairs.own.algorithm);
                let key = made.map_err(|error| {
                    log::error!("{error}");
                    Refused::Internal
                })?;
                pairs.own.keys.insert(key.kid().to_owned(), key);
                return Ok(());
            }
            Step::Publish { kid } => match pairs.own.keys.get(&kid) {
                Some(key) => KeyChange::Publish {
                    key: key.verify_key(),
                    token_life,
                },
                None => return Ok(()),
            },
            Step::Lengthen { kid } => KeyChange::Lengthen { kid, token_life },
            Step::Activate { kid, replaced } => {
                log::info!("the key {kid} signs from now on");
                KeyChange::Activate { kid, replaced }
            }
            Step::Retire { kid } => {
                log::info!("the key {kid} is retired");
                KeyChange::Retire { kid }
            }
        };
        self.change_key(change, Actor::Upkeep).await
    }

    async fn change_key(&self, change: KeyChange, by: Actor) -> Result<(), Refused> {
        let origin = self.origin(by, Source::default());
        self.store.change_key(change, origin).await?;
        Ok(())
    }

    /// Deletes private halves whose keys are retired. One that the store has never heard of, or no longer
    /// after it was put back from a copy, stays.
    async fn drop_retired(&self, pairs: &mut Pairs, stored: &[StoredKey]) -> Result<(), Refused> {
        let is_there = |kid: &String| stored.iter().any(|key| key.kid() == kid);
        let is_new = |kid: &&String| !is_there(kid) && !pairs.unpublished.contains(*kid);
        let gone: Vec<_> = pairs.own.keys.keys().filter(is_new).cloned().collect();
        if gone.is_empty() {
            return Ok(());
        }
        let all = self.store.signing_keys(true).await?;
        for kid in gone {
            let known = all.iter().find(|key| key.kid() == kid);
            if known.is_some_and(|key| key.state() == KeyState::Retired) {
                pairs.own.keys.remove(&kid);
                if let Err(error) = pairs.folder.remove(&kid) {
                    log::warn!("a retired key can't be deleted: {error}");
                }
            } else {
                pairs.unpublished.insert(kid);
            }
        }
        Ok(())
    }
}

impl Keys {
    /// Takes over what the store has: first those who verify, then who signs.
    fn take(&self, pairs: &mut Pairs, stored: &[StoredKey], monotonic: u64) {
        pairs
            .own
            .seen
            .retain(|kid, _| stored.iter().any(|key| key.kid() == kid));
        for key in stored {
            let kid = key.kid().to_owned();
            let is_new = !pairs.own.seen.contains_key(&kid);
            pairs.unpublished.remove(&kid);
            // The file may come after the row where a folder is shared over a network.
            if (is_new || key.state() == KeyState::Next) && !pairs.own.keys.contains_key(&kid) {
                match pairs.folder.find(&kid) {
                    Ok(found) => pairs
                        .own
                        .keys
                        .extend(found.map(|found| (kid.clone(), found))),
                    Err(error) if is_new => log::error!("{error}"),
                    Err(_) => {}
                }
            }
            pairs.own.seen.entry(kid).or_insert(monotonic);
        }
        let kids = || stored.iter().map(StoredKey::kid);
        if !kids().eq(pairs.in_ring.iter().map(String::as_str)) {
            let keys: Vec<VerifyKey> = stored.iter().map(|stored| stored.key.clone()).collect();
            // Until the first key is published, this gateway's own go on.
            if !keys.is_empty() {
                self.ring.publish(KeySet::new(keys));
            }
            pairs.in_ring = kids().map(str::to_owned).collect();
        }
        let signer = pairs.own.signer(stored);
        let present = self.signer.load();
        let is_same = match (&*present, signer) {
            (Some(present), Some(next)) => {
                matches!(&**present, Signer::Pair(key) if key.kid() == next.kid())
            }
            (present, next) => present.is_none() && next.is_none(),
        };
        if !is_same {
            let signer = signer.cloned().map(Signer::Pair);
            self.signer.store(signer.map(std::sync::Arc::new));
        }
    }
}

const STEPS: usize = 8;

#[cfg(test)]
mod tests;
