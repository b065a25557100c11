//! Signing in, going on, signing out, and the password that it all hangs on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Service;
use super::throttle::{Admission, Reservation};
use crate::identity::email::Email;
use crate::identity::password::{Checked, PasswordHash, PlainPassword};
use crate::identity::refresh::RefreshToken;
use crate::identity::refused::Refused;
use crate::identity::session::{NewSession, Rotated, Rotation, Session, SessionId};
use crate::identity::store::{Actor, Source, StoreError};
use crate::identity::throttle::{Aim, Outcome};
use crate::identity::user::{User, UserId};
use crate::token::{Principal, Signer};

/// How long refresh tokens and their sessions live.
#[derive(Debug, Clone, Copy)]
pub struct Lifetimes {
    /// A session, whatever happens.
    pub session: Duration,
    /// A session that is not used.
    pub idle: Duration,
    /// A refresh token that was replaced, for answers that got lost.
    pub grace: Duration,
}

/// What a sign-in or a refresh gives.
pub struct SignedIn {
    pub access_token: String,
    pub refresh_token: RefreshToken,
    /// Seconds, of the access token.
    pub expires_in: u64,
    pub user: User,
}

impl Service {
    /// Checks a password and begins a session. Whatever is wrong, the same refusal comes back, and takes as
    /// long: an address that is unknown, or none at all, costs a hash as well (rule 15). Errors: `RateLimited`
    /// where the client's address has failed too often.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        user_agent: &str,
        source: Source,
        client: IpAddr,
    ) -> Result<SignedIn, Refused> {
        let done = self.try_sign_in(email, password, user_agent, source, client);
        let done = done.await;
        self.signins.count(match &done {
            Ok(_) => "ok",
            Err(Refused::InvalidCredentials) => "invalid_credentials",
            Err(Refused::RateLimited(_)) => "rate_limited",
            Err(Refused::Busy) => "busy",
            Err(Refused::StoreAway) => "store_away",
            Err(_) => "refused",
        });
        done
    }

    async fn try_sign_in(
        &self,
        email: &str,
        password: &str,
        user_agent: &str,
        source: Source,
        client: IpAddr,
    ) -> Result<SignedIn, Refused> {
        let began = Instant::now();
        let email = Email::parse(email).ok();
        let aim = email
            .as_ref()
            .map(|email| Aim::sign_in(email.key(), client));
        let admission = self.admit(aim, client).await?;
        let credentials = match email {
            Some(email) => self.store.credentials(email.key().clone()).await?,
            None => None,
        };
        let (user, hash) = match credentials {
            Some(credentials) => (Some(credentials.user), credentials.password_hash),
            None => (None, None),
        };
        let plain = PlainPassword::new(password);
        let mut reservation = match admission {
            Admission::Granted(reservation) => reservation,
            Admission::Delayed(place, _) => {
                self.pretend(place, began).await?;
                return Err(Refused::InvalidCredentials);
            }
        };
        let checked = self
            .check(&mut reservation, plain.clone(), hash.clone())
            .await?;
        let Some(user) = user.filter(|user| checked.fits && !user.disabled) else {
            self.fail(reservation, checked, began).await?;
            return Err(Refused::InvalidCredentials);
        };
        self.settle(reservation, Outcome::Succeeded).await?;
        if let Some(hash) = hash.filter(|hash| self.passwords.is_outdated(hash)) {
            // Where the threads are all busy, the next sign-in will do.
            if let Ok(better) = self.passwords.rehash(plain).await {
                self.store.replace_hash(user.id, hash, better).await?;
            }
        }
        self.begin_session(user.id, user_agent, source).await
    }

    /// Goes on with a session: a new access token, and a refresh token in place of the one shown.
    pub async fn refresh(&self, shown: &str, source: Source) -> Result<SignedIn, Refused> {
        let shown = RefreshToken::parse(shown).ok_or(Refused::InvalidRefreshToken)?;
        let next = RefreshToken::random().map_err(|_| Refused::Internal)?;
        let rotation = Rotation {
            shown: shown.hash(),
            next: next.hash(),
            sealed: shown.seal(&next).map_err(|_| Refused::Internal)?,
            grace: self.lifetimes.grace.as_millis() as u64,
            idle: self.lifetimes.idle.as_millis() as u64,
        };
        let signer = self.signer().await?;
        let origin = self.origin(Actor::Session, source);
        match self.store.rotate_session(rotation, origin).await? {
            Rotated::Next { session, user } => self.signed_in(&signer, user, session.id, next),
            Rotated::Again {
                session,
                user,
                successor,
            } => {
                let next = shown.open(&successor).ok_or(Refused::InvalidRefreshToken)?;
                self.signed_in(&signer, user, session.id, next)
            }
            Rotated::Reused => {
                log::warn!(
                    "a refresh token was used again after it was replaced; its session is ended"
                );
                self.catch_up().await?;
                Err(Refused::InvalidRefreshToken)
            }
            Rotated::Unknown => Err(Refused::InvalidRefreshToken),
        }
    }

    /// Ends the session that the token belongs to.
    pub async fn sign_out(&self, principal: &Principal, source: Source) -> Result<(), Refused> {
        let user = account(principal)?;
        let session = principal
            .session
            .as_deref()
            .and_then(SessionId::parse)
            .ok_or(Refused::InvalidToken)?;
        match self
            .store
            .end_session(user, session, self.origin(Actor::User(user), source))
            .await
        {
            // Ended by another request meanwhile, which is what was asked for.
            Ok(()) | Err(StoreError::UnknownSession) => self.catch_up().await,
            Err(error) => Err(error.into()),
        }
    }

    /// Ends all of the user's sessions and tokens.
    pub async fn sign_out_everywhere(
        &self,
        principal: &Principal,
        source: Source,
    ) -> Result<(), Refused> {
        let user = account(principal)?;
        self.store
            .end_all_sessions(user, self.origin(Actor::User(user), source))
            .await?;
        self.catch_up().await
    }

    /// The user's current sessions.
    pub async fn sessions(&self, principal: &Principal) -> Result<Vec<Session>, Refused> {
        Ok(self
            .store
            .sessions(account(principal)?, self.clock.unix_millis())
            .await?)
    }

    /// Ends one of the user's own sessions.
    pub async fn end_session(
        &self,
        principal: &Principal,
        session: &str,
        source: Source,
    ) -> Result<(), Refused> {
        let user = account(principal)?;
        let session = SessionId::parse(session).ok_or(Refused::UnknownSession)?;
        self.store
            .end_session(user, session, self.origin(Actor::User(user), source))
            .await?;
        self.catch_up().await
    }

    /// Sets a new password for one who knows the old one; ends all sessions and tokens.
    pub async fn change_password(
        &self,
        principal: &Principal,
        current: &str,
        new: &str,
        source: Source,
        client: IpAddr,
    ) -> Result<(), Refused> {
        let began = Instant::now();
        let user = self.me(principal).await?;
        let email = Email::parse(&user.email).map_err(|_| Refused::Internal)?;
        let accepted = PlainPassword::new(new)
            .accept(self.rules, email.key())
            .map_err(Refused::WeakPassword)?;
        let credentials = self.store.credentials(email.key().clone()).await?;
        let hash = credentials.and_then(|credentials| credentials.password_hash);
        let aim = Aim::current_password(user.id);
        let mut reservation = match self.admit(Some(aim), client).await? {
            Admission::Granted(reservation) => reservation,
            // Whose account it is, its bearer knows: there is nothing to hide.
            Admission::Delayed(_, millis) => return Err(Refused::RateLimited(millis)),
        };
        let current = PlainPassword::new(current);
        let checked = self.check(&mut reservation, current, hash).await?;
        if !checked.fits {
            self.fail(reservation, checked, began).await?;
            return Err(Refused::WrongPassword);
        }
        self.settle(reservation, Outcome::Succeeded).await?;
        let hash = self.passwords.hash(accepted).await?;
        self.store
            .change_password(user.id, hash, self.origin(Actor::User(user.id), source))
            .await?;
        self.catch_up().await
    }

    async fn check(
        &self,
        reservation: &mut Reservation,
        plain: PlainPassword,
        hash: Option<PasswordHash>,
    ) -> Result<Checked, Refused> {
        let (place, begun) = (reservation.place()?, Arc::clone(&reservation.begun));
        Ok(self.passwords.check(place, plain, hash, begun).await?)
    }

    async fn begin_session(
        &self,
        user: UserId,
        user_agent: &str,
        source: Source,
    ) -> Result<SignedIn, Refused> {
        // First of all: no session begins that nobody gets a token for.
        let signer = self.signer().await?;
        let now = self.clock.unix_millis();
        let token = RefreshToken::random().map_err(|_| Refused::Internal)?;
        let session = NewSession {
            id: SessionId::new(now),
            user,
            refresh: token.hash(),
            user_agent: user_agent
                .chars()
                .filter(|c| !c.is_control())
                .take(AGENT_CHARACTERS)
                .collect(),
            expires_at: now.saturating_add(self.lifetimes.session.as_millis() as u64),
        };
        let id = session.id;
        // The user as of the session's beginning: a change in between is in the token, or ends it.
        let begun = self
            .store
            .begin_session(session, self.origin(Actor::User(user), source))
            .await;
        match begun {
            Ok(user) => self.signed_in(&signer, user, id, token),
            Err(StoreError::UnknownUser) => Err(Refused::InvalidCredentials),
            Err(error) => Err(error.into()),
        }
    }

    fn signed_in(
        &self,
        signer: &Signer,
        user: User,
        session: SessionId,
        refresh_token: RefreshToken,
    ) -> Result<SignedIn, Refused> {
        Ok(SignedIn {
            access_token: self
                .issuer
                .issue(signer, &user, session, self.clock.unix_millis())?,
            refresh_token,
            expires_in: self.issuer.ttl.as_secs(),
            user,
        })
    }
}

fn account(principal: &Principal) -> Result<UserId, Refused> {
    UserId::parse(&principal.user).ok_or(Refused::InvalidToken)
}

const AGENT_CHARACTERS: usize = 200;
