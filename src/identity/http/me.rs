//! `GET /auth/me`: the caller's account as it is now, whatever the token says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::Failure;
use super::caller::Caller;
use crate::identity::service::Service;

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    Caller(principal): Caller,
) -> Result<Json<Value>, Failure> {
    let user = service.me(&principal).await?;
    Ok(Json(json!({ "user": super::user(&user) })))
}
