//! The service's endpoints: one file a resource. A handler reads the request, asks the rules, and
//! shapes the answer; what they refuse is written in one place, `answer`.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{delete, get, post, put};
use serde_json::{Value, json};

use super::service::Service;
use super::user::User;

mod answer;
mod api_keys;
mod audit;
mod body;
mod caller;
mod jwks;
mod me;
mod page;
mod password;
mod roles;
mod sessions;
mod signin;
mod signup;
mod user_roles;
mod users;
mod verify;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/auth/signup", post(signup::create))
        .route("/auth/signin", post(signin::create))
        .route("/auth/refresh", post(signin::refresh))
        .route("/auth/signout", post(sessions::sign_out))
        .route("/auth/sessions", get(sessions::list))
        .route("/auth/sessions/{id}", delete(sessions::end))
        .route("/auth/password", post(password::change))
        .route("/auth/verify", get(verify::show))
        .route("/auth/me", get(me::show))
        .route("/auth/admin/roles", get(roles::list).post(roles::create))
        .route("/auth/admin/roles/{role}", delete(roles::delete))
        .route("/auth/admin/users", get(users::list))
        .route("/auth/admin/users/{id}", get(users::show))
        .route("/auth/admin/users/{id}/disable", post(users::disable))
        .route("/auth/admin/users/{id}/enable", post(users::enable))
        .route("/auth/admin/users/{id}/signout", post(users::sign_out))
        .route("/auth/admin/audit", get(audit::list))
        .route(
            "/auth/admin/api-keys",
            get(api_keys::list).post(api_keys::create),
        )
        .route("/auth/admin/api-keys/{id}", delete(api_keys::revoke))
        .route(
            "/auth/admin/users/{id}/roles/{role}",
            put(user_roles::grant).delete(user_roles::revoke),
        )
        .route("/.well-known/jwks.json", get(jwks::show))
        .layer(from_fn(answer::finish))
        .with_state(service)
}

/// A user as the API shows one.
fn user(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "email": user.email,
        "roles": user.roles,
        "created_at": time(user.created_at),
    })
}

/// A time as the API shows it (RFC 3339, UTC).
fn time(unix_millis: u64) -> String {
    let millis = i64::try_from(unix_millis).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    time.to_string()
}

#[cfg(test)]
mod tests;
