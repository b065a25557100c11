//! Issuers without their services, for those who decide on requests and serve none: with keys of our own, so that
//! test principals bring real tokens, or with those of the configuration that can be had without a network.

use std::path::Path;
use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use serde_json::json;

use super::Shared;
use crate::config::Config;
use crate::identity::config::{Identity, Key};
use crate::policy::auth::BUILT_IN;
use crate::token::issuer::config::{Algorithm, Issuer as Foreign};
use crate::token::{
    API_KEY_PREFIX, ApiKeyHash, ApiKeys, Claims, ForeignVerifier, Issuer, JwkSet, KeyFolder,
    KeyRing, KeySet, Kind, KnownKey, OWN_LEEWAY_SECONDS, Principal, SharedKey, SignError,
    SignedClaims, SigningKey, Verifier, X_API_KEY,
};

/// Everyone who may issue a credential, played by us.
pub struct StandIns {
    shared: Shared,
    own: Option<(SharedKey, String, String)>,
    others: Vec<(String, Foreign, SigningKey)>,
    api_keys: ApiKeys,
}

/// Who a request is to come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Persona {
    pub user: String,
    pub roles: Vec<String>,
    pub email: Option<String>,
    /// The issuer's name in the configuration; the built-in one, or else the only one, where it is left out.
    pub issuer: Option<String>,
    /// With an API key in place of a token.
    pub api_key: bool,
}

/// Why nobody can stand for a persona.
#[derive(Debug, thiserror::Error)]
pub enum NoCredential {
    #[error("no issuer is named `{0}`")]
    UnknownIssuer(String),
    #[error("nobody issues tokens: the configuration has neither `identity:` nor `issuers:`")]
    Nobody,
    #[error("there are several issuers: say whose token it is")]
    Several,
    #[error("nobody gives API keys: the configuration has no `identity:`")]
    NoApiKeys,
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error("no header can hold it")]
    Unfit,
}

/// An issuer whose tokens can't be judged here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unjudged {
    pub issuer: String,
    pub why: String,
}

impl StandIns {
    /// Each issuer of the configuration with keys that were made just now and are kept nowhere. `None`: the
    /// system has no randomness.
    pub fn new(config: &Config) -> Option<Self> {
        let mut shared = Shared::offline(config);
        let own = config.identity.given().map(|identity| {
            let key = SharedKey::new(&rand::random::<[u8; 32]>(), LIFE_SECONDS);
            let ring = KeyRing::new(KeySet::Shared(key.clone()));
            take(
                &mut shared,
                BUILT_IN,
                Issuer::Own(Arc::new(verifier(identity, ring))),
            );
            (key, identity.issuer.clone(), identity.audience.clone())
        });
        let mut others = Vec::new();
        for (name, issuer) in config.issuers.iter() {
            let key = SigningKey::ephemeral()?;
            // What it signs with is no matter here: who is believed is decided after that.
            let mut issuer = issuer.clone();
            issuer.algorithms.value = vec![Algorithm::EdDsa];
            let verifier = ForeignVerifier::new(&name.value, &issuer);
            let document = KeySet::new(vec![key.verify_key()]).jwks().to_string();
            let (keys, _) = JwkSet::read(document.as_bytes(), &[Algorithm::EdDsa]).ok()?;
            verifier.publish(keys);
            take(
                &mut shared,
                &name.value,
                Issuer::Foreign(Arc::new(verifier)),
            );
            others.push((name.value.clone(), issuer, key));
        }
        Some(Self {
            api_keys: shared.api_keys.clone().unwrap_or_default(),
            shared,
            own,
            others,
        })
    }

    /// What a plan is compiled with, so that it believes these issuers.
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The header that makes a request this persona's, good from now on.
    pub fn credential(
        &self,
        persona: &Persona,
        unix_seconds: u64,
    ) -> Result<(HeaderName, HeaderValue), NoCredential> {
        if persona.api_key {
            return self.api_key(persona);
        }
        let token = match &persona.issuer {
            Some(name) if name != BUILT_IN => {
                let mut others = self.others.iter();
                let other = others.find(|(known, ..)| known == name);
                let other = other.ok_or_else(|| NoCredential::UnknownIssuer(name.clone()))?;
                foreign_token(other, persona, unix_seconds)?
            }
            _ => match (&self.own, self.others.as_slice()) {
                (Some(own), _) => own_token(own, persona, unix_seconds)?,
                (None, [only]) if persona.issuer.is_none() => {
                    foreign_token(only, persona, unix_seconds)?
                }
                (None, _) if persona.issuer.is_some() => {
                    return Err(NoCredential::UnknownIssuer(BUILT_IN.to_owned()));
                }
                (None, []) => return Err(NoCredential::Nobody),
                (None, _) => return Err(NoCredential::Several),
            },
        };
        let value = HeaderValue::try_from(format!("Bearer {token}"));
        Ok((
            header::AUTHORIZATION,
            value.map_err(|_| NoCredential::Unfit)?,
        ))
    }

    fn api_key(&self, persona: &Persona) -> Result<(HeaderName, HeaderValue), NoCredential> {
        if self.own.is_none() {
            return Err(NoCredential::NoApiKeys);
        }
        let half = || format!("{:032x}", rand::random::<u128>());
        let key = format!("{API_KEY_PREFIX}{}_{}{}", half(), half(), half());
        let known = ApiKeyHash::of(&key).map(|hash| KnownKey {
            hash,
            principal: Arc::new(Principal {
                kind: Kind::ApiKey,
                user: format!("api_key:{}", persona.user),
                email: None,
                roles: persona.roles.clone(),
                issuer: BUILT_IN.into(),
                session: None,
                expires_at: u64::MAX,
                claims: SignedClaims::default(),
                said: Default::default(),
            }),
        });
        self.api_keys.publish(known);
        let value = HeaderValue::try_from(key);
        Ok((X_API_KEY, value.map_err(|_| NoCredential::Unfit)?))
    }
}

impl Shared {
    /// The issuers of the configuration as far as their keys are at hand: a secret, a folder, a file. Whose
    /// are not is told; nothing is fetched, made or written.
    pub fn at_hand(config: &Config, folder: &Path) -> (Self, Vec<Unjudged>) {
        let (mut shared, mut unjudged) = (Self::offline(config), Vec::new());
        let mut miss = |issuer: &str, why: String| {
            let issuer = issuer.to_owned();
            unjudged.push(Unjudged { issuer, why });
        };
        if let Some(identity) = config.identity.given() {
            match own_keys(identity, folder) {
                Ok(keys) => {
                    let verifier = verifier(identity, KeyRing::new(keys));
                    take(&mut shared, BUILT_IN, Issuer::Own(Arc::new(verifier)));
                }
                Err(why) => miss(BUILT_IN, why),
            }
        }
        for (name, issuer) in config.issuers.iter() {
            let verifier = ForeignVerifier::new(&name.value, issuer);
            match foreign_keys(issuer, folder) {
                Ok(keys) => drop(verifier.publish(keys)),
                Err(why) => miss(&name.value, why),
            }
            take(
                &mut shared,
                &name.value,
                Issuer::Foreign(Arc::new(verifier)),
            );
        }
        (shared, unjudged)
    }
}

/// Puts an issuer in the place of the one of its name.
fn take(shared: &mut Shared, name: &str, issuer: Issuer) {
    let mut known = shared.issuers.iter_mut();
    match known.find(|(known, _)| known == name) {
        Some((_, place)) => *place = issuer,
        None => shared.issuers.push((name.to_owned(), issuer)),
    }
}

fn verifier(identity: &Identity, keys: KeyRing) -> Verifier {
    let (issuer, audience) = (identity.issuer.clone(), identity.audience.clone());
    Verifier::new(BUILT_IN, issuer, audience, keys, OWN_LEEWAY_SECONDS)
}

fn own_keys(identity: &Identity, folder: &Path) -> Result<KeySet, String> {
    let life = identity.access_token.ttl.value.as_secs();
    if let Key::Shared(secret) = identity.access_token.key() {
        let key = SharedKey::new(secret.reveal().as_bytes(), life);
        return Ok(KeySet::Shared(key));
    }
    let path = folder.join(&identity.keys);
    let keys = KeyFolder::look_into(&path).map_err(|error| error.to_string())?;
    match keys.is_empty() {
        true => Err(format!("there is no key in {}", path.display())),
        false => Ok(KeySet::new(
            keys.iter().map(SigningKey::verify_key).collect(),
        )),
    }
}

fn foreign_keys(issuer: &Foreign, folder: &Path) -> Result<JwkSet, String> {
    let Some(file) = &issuer.keys else {
        let url = issuer.jwks.as_ref().map(|url| url.value.uri().to_string());
        let url = url.unwrap_or_default();
        return Err(format!(
            "its keys are at {url}, and nothing is fetched here"
        ));
    };
    let document = std::fs::read(folder.join(&file.value)).map_err(|error| error.to_string())?;
    let read = JwkSet::read(&document, &issuer.algorithms.value);
    read.map(|(keys, _)| keys)
        .map_err(|error| error.to_string())
}

fn own_token(
    (key, issuer, audience): &(SharedKey, String, String),
    persona: &Persona,
    now: u64,
) -> Result<String, SignError> {
    key.sign(&Claims {
        iss: issuer.clone(),
        aud: audience.clone(),
        sub: persona.user.clone(),
        id: persona.user.clone(),
        email: email(persona),
        roles: persona.roles.clone(),
        client_id: "airside".to_owned(),
        iat: now,
        exp: now + LIFE_SECONDS,
        nbf: None,
        jti: uuid::Uuid::now_v7().to_string(),
        sid: uuid::Uuid::now_v7().to_string(),
        ver: 1,
    })
}

fn foreign_token(
    (_, issuer, key): &(String, Foreign, SigningKey),
    persona: &Persona,
    now: u64,
) -> Result<String, SignError> {
    let audience = issuer.audience.value.first();
    let mut claims = json!({
        "iss": issuer.issuer.value,
        "aud": audience.map(|audience| audience.value.as_str()),
        "sub": persona.user,
        "iat": now,
        "exp": now + LIFE_SECONDS,
        "email": email(persona),
        "email_verified": true,
    });
    // A claim's whole name is looked for before the way that its dots lead.
    if let Some(claims) = claims.as_object_mut() {
        claims.insert(issuer.roles_claim.clone(), json!(persona.roles));
    }
    key.sign(&claims)
}

/// Everybody at the identity service has one.
fn email(persona: &Persona) -> String {
    let made_up = || format!("{}@example.test", persona.user);
    persona.email.clone().unwrap_or_else(made_up)
}

const LIFE_SECONDS: u64 = 900;
