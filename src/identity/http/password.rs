//! `POST /auth/password`: a new password for one who knows the old one. All sessions end with it.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;

use super::answer::Failure;
use super::body::Fields;
use super::caller::Caller;
use super::client::Client;
use super::refusals;
use crate::identity::service::Service;
use crate::identity::store::Source;

super::fields! {
    pub(super) struct PasswordChange {
        #[schema(format = Password)]
        current_password: String,
        #[schema(format = Password)]
        new_password: String,
    }
}

/// Sets a new password; all sessions end.
#[utoipa::path(
    post, path = "/auth/password", operation_id = "changePassword", tag = "account",
    request_body = PasswordChange, security(("token" = [])),
    responses(
        (status = 204, description = "Changed"),
        refusals::Token, refusals::Body, refusals::NewPassword, refusals::Throttled, refusals::Hashing,
    ),
)]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Client(client): Client,
    Caller(principal): Caller,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let fields = fields.only(PasswordChange::FIELDS)?;
    let (current, new) = (
        fields.text("current_password")?,
        fields.text("new_password")?,
    );
    service
        .change_password(&principal, current, new, source, client)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
