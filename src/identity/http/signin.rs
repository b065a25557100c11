//! `POST /auth/signin` and `POST /auth/refresh`: tokens for a password, or for a refresh token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::body::Fields;
use super::client::Client;
use super::signup::Credentials;
use super::{Account, refusals};
use crate::identity::service::{Service, SignedIn};
use crate::identity::store::Source;

/// An access token, and what gives the next one.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    access_token: String,
    /// Seconds, of the access token.
    expires_in: u64,
    refresh_token: String,
    token_type: &'static str,
    user: Account,
}

super::fields! {
    pub(super) struct RefreshToken {
        refresh_token: String,
    }
}

/// Begins a session.
#[utoipa::path(
    post, path = "/auth/signin", operation_id = "signIn", tag = "account",
    request_body = Credentials,
    responses(
        (status = 200, description = "A session has begun", body = Tokens),
        refusals::Body, refusals::SignIn, refusals::Throttled, refusals::Hashing,
    ),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Client(client): Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Json<Tokens>, Failure> {
    let fields = fields.only(Credentials::FIELDS)?;
    let (email, password) = (fields.text("email")?, fields.text("password")?);
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let signed_in = service
        .sign_in(email, password, agent.unwrap_or_default(), source, client)
        .await?;
    Ok(answer(&signed_in))
}

/// Goes on with a session; the refresh token is replaced.
#[utoipa::path(
    post, path = "/auth/refresh", operation_id = "refresh", tag = "account",
    request_body = RefreshToken,
    responses(
        (status = 200, description = "The next tokens", body = Tokens),
        refusals::Body, refusals::Refresh, refusals::Store,
    ),
)]
pub(super) async fn refresh(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    fields: Fields,
) -> Result<Json<Tokens>, Failure> {
    let fields = fields.only(RefreshToken::FIELDS)?;
    let signed_in = service
        .refresh(fields.text("refresh_token")?, source)
        .await?;
    Ok(answer(&signed_in))
}

/// The form of RFC 6749 §5.1.
fn answer(signed_in: &SignedIn) -> Json<Tokens> {
    Json(Tokens {
        access_token: signed_in.access_token.clone(),
        expires_in: signed_in.expires_in,
        refresh_token: signed_in.refresh_token.reveal(),
        token_type: "Bearer",
        user: Account::from(&signed_in.user),
    })
}
