//! `POST /auth/password`: a new password for one who knows the old one. All sessions end with it.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::StatusCode;

use super::answer::Failure;
use super::body::Fields;
use super::caller::Caller;
use super::client::Client;
use crate::identity::service::Service;
use crate::identity::store::Source;

pub(super) async fn change(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Client(client): Client,
    Caller(principal): Caller,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let fields = fields.only(&["current_password", "new_password"])?;
    let (current, new) = (
        fields.text("current_password")?,
        fields.text("new_password")?,
    );
    service
        .change_password(&principal, current, new, source, client)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
