//! `GET /auth/me`: the caller's account as it is now, whatever the token says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use super::answer::Failure;
use super::caller::Caller;
use super::{Account, OneAccount, refusals};
use crate::identity::service::Service;

/// The caller's account, as it is now.
#[utoipa::path(
    get, path = "/auth/me", operation_id = "me", tag = "account",
    security(("token" = [])),
    responses(
        (status = 200, description = "The account", body = OneAccount),
        refusals::Token, refusals::Store,
    ),
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Caller(principal): Caller,
) -> Result<Json<OneAccount>, Failure> {
    let user = service.me(&principal).await?;
    let user = Account::from(&user);
    Ok(Json(OneAccount { user }))
}
