//! `GET /auth/verify`: is this token valid? For other proxies' forward-auth as well, hence the headers.

use axum::Json;
use axum::http::header::{HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::{Time, refusals};

/// A user as the token tells.
#[derive(Serialize, ToSchema)]
pub(super) struct Bearer {
    email: String,
    id: String,
    roles: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Verified {
    expires_at: Time,
    user: Bearer,
}

/// Is this token valid?
///
/// Answers from the token alone; the database is not asked.
#[utoipa::path(
    get, path = "/auth/verify", operation_id = "verify", tag = "account",
    security(("token" = [])),
    responses(
        (
            status = 200, description = "Valid; for other proxies in headers too", body = Verified,
            headers(
                ("x-auth-user" = String), ("x-auth-email" = String),
                ("x-auth-roles" = String), ("x-auth-issuer" = String),
            ),
        ),
        refusals::Token,
    ),
)]
pub(super) async fn show(Caller(principal): Caller) -> impl IntoResponse {
    let email = principal.email.as_deref().unwrap_or_default();
    let roles = principal.roles.join(",");
    let headers = [
        ("x-auth-user", principal.user.as_str()),
        ("x-auth-email", email),
        ("x-auth-roles", roles.as_str()),
        ("x-auth-issuer", &principal.issuer),
    ];
    // An address may have letters beyond ASCII; control characters it can't have.
    let headers = headers.map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_bytes());
        (
            HeaderName::from_static(name),
            value.unwrap_or(HeaderValue::from_static("")),
        )
    });
    let body = Verified {
        expires_at: Time::of(principal.expires_at.saturating_mul(1_000)),
        user: Bearer {
            email: email.to_owned(),
            id: principal.user.clone(),
            roles: principal.roles.clone(),
        },
    };
    (AppendHeaders(headers), Json(body))
}
