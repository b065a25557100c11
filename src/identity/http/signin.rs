//! `POST /auth/signin` and `POST /auth/refresh`: tokens for a password, or for a refresh token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use serde_json::{Value, json};

use super::answer::Failure;
use super::body::Fields;
use super::client::Client;
use crate::identity::service::{Service, SignedIn};
use crate::identity::store::Source;

pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Client(client): Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Json<Value>, Failure> {
    let fields = fields.only(&["email", "password"])?;
    let (email, password) = (fields.text("email")?, fields.text("password")?);
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let signed_in = service
        .sign_in(email, password, agent.unwrap_or_default(), source, client)
        .await?;
    Ok(answer(&signed_in))
}

pub(super) async fn refresh(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    fields: Fields,
) -> Result<Json<Value>, Failure> {
    let fields = fields.only(&["refresh_token"])?;
    let signed_in = service
        .refresh(fields.text("refresh_token")?, source)
        .await?;
    Ok(answer(&signed_in))
}

/// The form of RFC 6749 §5.1.
fn answer(signed_in: &SignedIn) -> Json<Value> {
    Json(json!({
        "token_type": "Bearer",
        "access_token": signed_in.access_token,
        "expires_in": signed_in.expires_in,
        "refresh_token": signed_in.refresh_token.reveal(),
        "user": super::user(&signed_in.user),
    }))
}
