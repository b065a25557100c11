//! `GET /.well-known/jwks.json`: the public keys, for those who verify tokens elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;

use crate::identity::service::Service;

/// Others may keep the answer for five minutes: a new key is published longer than that before it
/// signs.
pub(super) async fn show(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let cache = [(CACHE_CONTROL, "public, max-age=300")];
    (cache, Json(service.jwks()))
}
