//! `GET /.well-known/jwks.json`: the public keys, for those who verify tokens elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::IntoResponse;
use utoipa::ToSchema;

use crate::identity::rotation::PUBLISHED_FOR;
use crate::identity::service::Service;

/// RFC 7517 §5.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the keys write themselves")]
pub(super) struct Jwks {
    #[schema(value_type = Vec<Object>)]
    keys: Vec<serde_json::Value>,
}

/// The public keys that verify access tokens.
///
/// Others may keep the answer for no longer than a new key is published before it signs: who does as it
/// says always knows the key in use.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", operation_id = "jwks", tag = "public",
    responses((status = 200, description = "The keys", body = Jwks)),
)]
pub(super) async fn show(State(service): State<Arc<Service>>) -> impl IntoResponse {
    let cache = [(
        CACHE_CONTROL,
        format!("public, max-age={}", PUBLISHED_FOR / 1_000),
    )];
    (cache, Json(service.jwks()))
}
