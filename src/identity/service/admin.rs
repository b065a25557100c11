//! What admins do with accounts, and what they may look at.

use super::{Admin, Service, assignment};
use crate::base::decode::FromText;
use crate::identity::email::{Email, EmailKey};
use crate::identity::refused::Refused;
use crate::identity::role::RoleName;
use crate::identity::store::{AuditEntry, Source};
use crate::identity::user::{User, UserId};

/// A part of a longer list, and where the next one begins.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` on the last page.
    pub next: Option<String>,
}

impl Service {
    /// Users whose address has `query` in it, in the order of their making.
    pub async fn users(
        &self,
        _by: Admin,
        query: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<User>, Refused> {
        let after = cursor
            .map(|cursor| UserId::parse(cursor).ok_or_else(bad_cursor))
            .transpose()?;
        let query = EmailKey::part(query);
        let found = self
            .store
            .users(query, after, limit.saturating_add(1))
            .await?;
        Ok(Page::of(found, limit, |user| user.id.to_string()))
    }

    pub async fn user(&self, _by: Admin, id: &str) -> Result<User, Refused> {
        let id = UserId::parse(id).ok_or(Refused::UnknownUser)?;
        self.store.user(id).await?.ok_or(Refused::UnknownUser)
    }

    /// The user with an id or an e-mail address: people know each other by the latter.
    pub async fn find_user(&self, by: Admin, who: &str) -> Result<User, Refused> {
        let Ok(email) = Email::parse(who) else {
            return self.user(by, who).await;
        };
        let known = self.store.credentials(email.key().clone()).await?;
        Ok(known.ok_or(Refused::UnknownUser)?.user)
    }

    /// Nobody signs in as a disabled user, and what tokens they have end.
    pub async fn set_disabled(
        &self,
        by: Admin,
        id: &str,
        disabled: bool,
        source: Source,
    ) -> Result<(), Refused> {
        let id = UserId::parse(id).ok_or(Refused::UnknownUser)?;
        self.store
            .set_disabled(id, disabled, self.origin(by.0, source))
            .await?;
        self.catch_up().await
    }

    /// Ends all sessions and tokens of a user.
    pub async fn sign_out_user(&self, by: Admin, id: &str, source: Source) -> Result<(), Refused> {
        let id = UserId::parse(id).ok_or(Refused::UnknownUser)?;
        self.store
            .end_all_sessions(id, self.origin(by.0, source))
            .await?;
        self.catch_up().await
    }

    /// Does nothing where the user has the role.
    pub async fn grant_role(
        &self,
        by: Admin,
        user: &str,
        role: &str,
        source: Source,
    ) -> Result<(), Refused> {
        let (user, role) = assignment(user, role)?;
        self.store
            .grant_role(user, role, self.origin(by.0, source))
            .await?;
        self.catch_up().await
    }

    /// Does nothing where the user does not have the role.
    pub async fn revoke_role(
        &self,
        by: Admin,
        user: &str,
        role: &str,
        source: Source,
    ) -> Result<(), Refused> {
        let (user, role) = assignment(user, role)?;
        self.store
            .revoke_role(user, role, self.origin(by.0, source))
            .await?;
        self.catch_up().await
    }

    pub async fn delete_role(&self, by: Admin, role: &str, source: Source) -> Result<(), Refused> {
        let role = RoleName::from_text(role).map_err(|_| Refused::UnknownRole)?;
        Ok(self
            .store
            .delete_role(role, self.origin(by.0, source))
            .await?)
    }

    /// What was done, newest first.
    pub async fn audit(
        &self,
        _by: Admin,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>, Refused> {
        let before = cursor
            .map(|cursor| cursor.parse().map_err(|_| bad_cursor()))
            .transpose()?;
        let found = self.store.audit(before, limit.saturating_add(1)).await?;
        Ok(Page::of(found, limit, |entry| entry.sequence.to_string()))
    }
}

impl<T> Page<T> {
    /// One more than `limit` was asked for: if it came, there is a next page.
    pub(super) fn of(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next = items.last().filter(|_| more).map(cursor);
        Self { items, next }
    }
}

pub(super) fn bad_cursor() -> Refused {
    Refused::InvalidField("cursor", "it is not one that this list gave".to_owned())
}
