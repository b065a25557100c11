//! What the demo's services answer, and how a body is read: JSON both ways, refusals as
//! `{"error": "…"}`.

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::caller::Caller;

/// A refusal: its status, and what the client can do about it.
#[derive(Debug)]
pub(super) struct Problem(pub StatusCode, pub String);

/// A success. `caller` stands in it only if the gateway named one, so that anyone can see what
/// identity the service got.
#[derive(Serialize)]
pub(super) struct Answer<T> {
    #[serde(flatten)]
    pub content: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller: Option<Caller>,
}

impl Problem {
    /// A field or a query that breaks a rule.
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, why.into())
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, what.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// The body, or a refusal that says what is wrong with it.
pub(super) fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    match body {
        Ok(Json(content)) => Ok(content),
        Err(rejection) => Err(Problem(rejection.status(), rejection.body_text())),
    }
}

/// What every service has besides its own routes: a health check, and JSON where nothing matches.
pub(super) fn with_basics(router: Router) -> Router {
    router
        .route(
            "/healthz",
            axum::routing::get(async || Json(json!({ "status": "ok" }))),
        )
        .fallback(async |uri: Uri| Problem::not_found(format!("nothing is at {}", uri.path())))
        .method_not_allowed_fallback(async || {
            let why = "this method is not served here";
            Problem(StatusCode::METHOD_NOT_ALLOWED, why.into())
        })
}
