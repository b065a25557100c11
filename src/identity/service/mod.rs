//! The rules of identity: who may sign up, sign in, and change what. No HTTP and no SQL.
//!
//! - here: accounts, and who asks
//! - `admin`: other people's accounts, and the audit log
//! - `api_keys`: programs' keys, and how the edge learns of them
//! - `sessions`: sign-in, refresh, sign-out, passwords
//! - `keys`: what signs and what verifies, as the store knows it
//! - `throttle`: an attempt at a password, from its reservation to its end
//! - `upkeep`: what ends tokens reaches the verifier

use std::sync::Arc;

use crate::base::clock::Clock;
use crate::base::decode::FromText;
use crate::identity::email::{BadEmail, Email};
use crate::identity::issuer::Issuer;
use crate::identity::password::{PasswordPool, PasswordRules, PlainPassword};
use crate::identity::refused::Refused;
use crate::identity::role::RoleName;
use crate::identity::store::{Actor, Origin, Role, Source, UserStore};
use crate::identity::user::{BeforeCreate, MovedIn, User, UserId};
use crate::telemetry::metrics::Words;
use crate::token::{Principal, Verifier};

mod admin;
mod api_keys;
mod keys;
mod past;
mod sessions;
mod throttle;
mod upkeep;

pub use admin::Page;
pub use api_keys::{Known as KnownApiKeys, Wanted};
pub use keys::{Keys, ListedKey, NotRotated};
pub use sessions::{Lifetimes, SignedIn};
pub use throttle::Throttle;
pub use upkeep::Revoked;

/// All that the rules need.
pub struct Service {
    pub(in crate::identity) store: Arc<dyn UserStore>,
    pub(in crate::identity) passwords: PasswordPool,
    pub(in crate::identity) rules: PasswordRules,
    /// The roles that a new account gets; `None` where nobody may make one.
    pub(in crate::identity) signup: Option<Vec<RoleName>>,
    pub(in crate::identity) issuer: Issuer,
    pub(in crate::identity) verifier: Arc<Verifier>,
    pub(in crate::identity) keys: Keys,
    pub(in crate::identity) lifetimes: Lifetimes,
    pub(in crate::identity) throttle: Throttle,
    pub(in crate::identity) revoked: Revoked,
    pub(in crate::identity) api_keys: KnownApiKeys,
    pub(in crate::identity) clock: Clock,
    /// How sign-ins ended.
    pub(in crate::identity) signins: Words,
}

/// Proof that an admin asks, found by the store or given by the shell. What only admins may do takes
/// one, so that no handler can forget to check.
#[derive(Debug, Clone, Copy)]
pub struct Admin(Actor);

impl Admin {
    /// Whoever can run commands on the machine.
    pub fn shell() -> Self {
        Self(Actor::Shell)
    }
}

impl Service {
    /// Makes an account with the configured roles.
    pub async fn sign_up(
        &self,
        email: &str,
        password: &str,
        source: Source,
    ) -> Result<User, Refused> {
        let roles = self.signup.as_ref().ok_or(Refused::SignupDisabled)?;
        self.create(email, password, roles, None, source).await
    }

    /// Makes an account with any roles, such as the first admin's: for the shell.
    pub async fn add_user(
        &self,
        email: &str,
        password: &str,
        roles: &[RoleName],
    ) -> Result<User, Refused> {
        let source = Source::default();
        self.create(email, password, roles, Some(Actor::Shell), source)
            .await
    }

    /// Takes an account of another system over.
    pub async fn move_in(&self, by: Admin, user: MovedIn) -> Result<User, Refused> {
        let user = user.run(self.clock.unix_millis());
        let origin = self.origin(by.0, Source::default());
        Ok(self.store.create_user(user, origin).await?)
    }

    /// Who a token speaks for; asks no database.
    pub fn verify(&self, token: &str) -> Result<Arc<Principal>, Refused> {
        let principal = self.verifier.verify(token, self.clock.unix_seconds());
        principal.map_err(|error| {
            log::debug!("a token was refused: {error}");
            Refused::InvalidToken
        })
    }

    /// The user as the store knows them now.
    pub async fn me(&self, principal: &Principal) -> Result<User, Refused> {
        let id = UserId::parse(&principal.user).ok_or(Refused::InvalidToken)?;
        let user = self.store.user(id).await?;
        user.filter(|user| !user.disabled)
            .ok_or(Refused::InvalidToken)
    }

    /// Is this an admin now? The token's roles may be out of date, so that they are not asked.
    pub async fn admin(&self, principal: &Principal) -> Result<Admin, Refused> {
        let user = self.me(principal).await?;
        match user.is_admin() {
            true => Ok(Admin(Actor::User(user.id))),
            false => Err(Refused::NotAdmin),
        }
    }

    pub async fn roles(&self, _by: Admin) -> Result<Vec<Role>, Refused> {
        Ok(self.store.roles().await?)
    }

    pub async fn create_role(
        &self,
        by: Admin,
        role: &str,
        source: Source,
    ) -> Result<Role, Refused> {
        let role = RoleName::from_text(role);
        let role = role.map_err(|why| Refused::InvalidField("name", why))?;
        Ok(self
            .store
            .create_role(role, self.origin(by.0, source))
            .await?)
    }

    /// `actor` is left out where the new user acts.
    async fn create(
        &self,
        email: &str,
        password: &str,
        roles: &[RoleName],
        actor: Option<Actor>,
        source: Source,
    ) -> Result<User, Refused> {
        let invalid = |why: BadEmail| Refused::InvalidField("email", why.to_string());
        let email = Email::parse(email).map_err(invalid)?;
        let password = PlainPassword::new(password);
        let password = password
            .accept(self.rules, email.key())
            .map_err(Refused::WeakPassword)?;
        let before = BeforeCreate {
            email,
            password,
            roles: roles.to_vec(),
        };
        let user = before
            .run(&self.passwords, self.clock.unix_millis())
            .await?;
        let actor = actor.unwrap_or(Actor::User(user.id()));
        Ok(self
            .store
            .create_user(user, self.origin(actor, source))
            .await?)
    }

    fn origin(&self, actor: Actor, source: Source) -> Origin {
        Origin {
            actor,
            at: self.clock.unix_millis(),
            source,
        }
    }
}

/// A text that can't be an id or a name is one that nothing has.
fn assignment(user: &str, role: &str) -> Result<(UserId, RoleName), Refused> {
    let user = UserId::parse(user).ok_or(Refused::UnknownUser)?;
    let role = RoleName::from_text(role).map_err(|_| Refused::UnknownRole)?;
    Ok((user, role))
}
