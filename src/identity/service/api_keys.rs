//! API keys: who may have which, and how the edge learns of them. Reading them never is on a request's way.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Admin, Page, Service};
use crate::base::decode::FromText;
use crate::identity::api_key::{ApiKey, ApiKeyId, KeysVersion, LiveApiKey, NewApiKey, PlainApiKey};
use crate::identity::refused::Refused;
use crate::identity::role::RoleName;
use crate::identity::store::Source;
use crate::token::{ApiKeys, Kind, KnownKey, Principal, SignedClaims};

/// The keys that this gateway knows, and as of when.
#[derive(Debug, Default)]
pub struct Known {
    pub(in crate::identity) keys: ApiKeys,
    /// Held while the store is read, so that what was read first is never published last.
    pub(in crate::identity) version: Mutex<Option<KeysVersion>>,
}

/// What an admin asks for.
#[derive(Debug)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub roles: Vec<&'a str>,
    /// `None`: the key does not expire.
    pub days: Option<u64>,
}

impl Service {
    /// Makes a key, which the gateway takes from now on. It is not kept in plain.
    pub async fn create_api_key(
        &self,
        by: Admin,
        wanted: Wanted<'_>,
        source: Source,
    ) -> Result<(ApiKey, PlainApiKey), Refused> {
        let origin = self.origin(by.0, source);
        let id = ApiKeyId::new(origin.at);
        let key = PlainApiKey::random(id).map_err(|_| Refused::Internal)?;
        let new = NewApiKey {
            id,
            name: name(wanted.name)?,
            hash: key.hash().ok_or(Refused::Internal)?,
            roles: roles(wanted.roles)?,
            expires_at: expiry(wanted.days, origin.at)?,
        };
        let made = self.store.create_api_key(new, origin).await?;
        self.catch_up_api_keys().await?;
        Ok((made, key))
    }

    /// The keys that were not revoked, in the order of their making.
    pub async fn api_keys(
        &self,
        _by: Admin,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<ApiKey>, Refused> {
        let after = cursor
            .map(|cursor| ApiKeyId::parse(cursor).ok_or_else(super::admin::bad_cursor))
            .transpose()?;
        let found = self.store.api_keys(after, limit.saturating_add(1)).await?;
        Ok(Page::of(found, limit, |key| key.id.to_string()))
    }

    /// The key opens nothing from now on.
    pub async fn revoke_api_key(&self, by: Admin, id: &str, source: Source) -> Result<(), Refused> {
        let id = ApiKeyId::parse(id).ok_or(Refused::UnknownApiKey)?;
        self.store
            .revoke_api_key(id, self.origin(by.0, source))
            .await?;
        self.catch_up_api_keys().await
    }

    /// Learns of every key that was made or revoked until now. Errors: the store does not answer; the keys
    /// known so far stay good (rule 7).
    pub async fn catch_up_api_keys(&self) -> Result<(), Refused> {
        let mut version = self.api_keys.version.lock().await;
        if let Some((now, keys)) = self.store.live_api_keys(*version).await? {
            let issuer: Arc<str> = Arc::from(crate::identity::ISSUER);
            let known = keys.into_iter().map(|key| known(key, &issuer));
            self.api_keys.keys.publish(known);
            *version = Some(now);
        }
        Ok(())
    }
}

fn known(key: LiveApiKey, issuer: &Arc<str>) -> KnownKey {
    let principal = Principal {
        claims: SignedClaims::default(),
        kind: Kind::ApiKey,
        user: format!("api_key:{}", key.id),
        email: None,
        roles: key.roles,
        issuer: Arc::clone(issuer),
        session: None,
        expires_at: key.expires_at.map_or(u64::MAX, |millis| millis / 1_000),
        said: Default::default(),
    };
    KnownKey {
        hash: key.hash,
        principal: Arc::new(principal),
    }
}

fn name(text: &str) -> Result<String, Refused> {
    let invalid = |why: &str| Err(Refused::InvalidField("name", why.to_owned()));
    match text.chars().count() {
        _ if text.chars().any(char::is_control) => invalid("it has control characters"),
        _ if text.trim() != text => invalid("it begins or ends with a space"),
        0 => invalid("it is empty"),
        1..=NAME_CHARACTERS => Ok(text.to_owned()),
        _ => invalid("it is too long; 64 characters are the most"),
    }
}

/// Each once, in the order in which the API shows them. A text that can't be a role's name is one that no
/// role has.
fn roles(names: Vec<&str>) -> Result<Vec<RoleName>, Refused> {
    let roles = names.into_iter().map(RoleName::from_text);
    let mut roles: Vec<_> = roles
        .collect::<Result<_, _>>()
        .map_err(|_| Refused::UnknownRole)?;
    roles.sort();
    roles.dedup();
    match roles.len() <= MOST_ROLES {
        true => Ok(roles),
        false => Err(Refused::InvalidField("roles", "32 are the most".to_owned())),
    }
}

fn expiry(days: Option<u64>, now: u64) -> Result<Option<u64>, Refused> {
    match days {
        None => Ok(None),
        Some(days @ 1..=MOST_DAYS) => Ok(Some(now.saturating_add(days * DAY))),
        Some(_) => Err(Refused::InvalidField(
            "expires_in_days",
            format!("it must be from 1 to {MOST_DAYS}"),
        )),
    }
}

const NAME_CHARACTERS: usize = 64;
/// Upstreams get them in one header.
const MOST_ROLES: usize = 32;
/// Ten years.
const MOST_DAYS: u64 = 3_650;
/// Milliseconds.
const DAY: u64 = 86_400_000;
