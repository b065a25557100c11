//! `GET /auth/verify`: is this token valid? For other proxies' forward-auth as well, hence the headers.

use axum::Json;
use axum::http::header::{HeaderName, HeaderValue};
use axum::response::{AppendHeaders, IntoResponse};
use serde_json::json;

use super::caller::Caller;

/// Answers from the token alone; the database is not asked.
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
    let body = json!({
        "user": { "id": principal.user, "email": email, "roles": principal.roles },
        "expires_at": super::time(principal.expires_at.saturating_mul(1_000)),
    });
    (AppendHeaders(headers), Json(body))
}
