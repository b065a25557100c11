//! `POST /auth/signout`, `GET /auth/sessions`, `DELETE /auth/sessions/{id}`: a user's own sessions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Failure;
use super::body::Fields;
use super::caller::Caller;
use crate::identity::service::Service;
use crate::identity::store::Source;

/// `{scope: current|all}`.
pub(super) async fn sign_out(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Caller(principal): Caller,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let fields = fields.only(&["scope"])?;
    match fields.text("scope")? {
        "current" => service.sign_out(&principal, source).await?,
        "all" => service.sign_out_everywhere(&principal, source).await?,
        _ => return Err(Failure::invalid_field("`scope` must be `current` or `all`")),
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Caller(principal): Caller,
) -> Result<Json<Value>, Failure> {
    let sessions = service.sessions(&principal).await?;
    let shown: Vec<_> = sessions
        .iter()
        .map(|session| {
            let id = session.id.to_string();
            json!({
                "current": principal.session.as_deref() == Some(&id),
                "id": id,
                "user_agent": session.user_agent,
                "created_at": super::time(session.created_at),
                "used_at": super::time(session.used_at),
                "expires_at": super::time(session.expires_at),
            })
        })
        .collect();
    Ok(Json(json!({ "sessions": shown })))
}

pub(super) async fn end(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Caller(principal): Caller,
    Path(session): Path<String>,
) -> Result<StatusCode, Failure> {
    service.end_session(&principal, &session, source).await?;
    Ok(StatusCode::NO_CONTENT)
}
