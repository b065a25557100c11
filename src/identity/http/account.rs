//! A user as the API shows one.

use serde::Serialize;
use utoipa::ToSchema;

use super::Time;
use crate::identity::user::User;

#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(super) struct Account {
    created_at: Time,
    #[schema(format = Email)]
    email: String,
    #[schema(format = "uuid")]
    id: String,
    roles: Vec<String>,
}

/// An answer with one user.
#[derive(Serialize, ToSchema)]
#[schema(as = OneUser)]
pub(super) struct OneAccount {
    pub(super) user: Account,
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            created_at: Time::of(user.created_at),
            email: user.email.clone(),
            id: user.id.to_string(),
            roles: user.roles.clone(),
        }
    }
}
