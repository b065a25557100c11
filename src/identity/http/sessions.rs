//! `POST /auth/signout`, `GET /auth/sessions`, `DELETE /auth/sessions/{id}`: a user's own sessions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::body::Fields;
use super::caller::Caller;
use super::{Time, refusals};
use crate::identity::service::Service;
use crate::identity::store::Source;

#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    created_at: Time,
    /// Is it the one that asks?
    current: bool,
    expires_at: Time,
    #[schema(format = "uuid")]
    id: String,
    used_at: Time,
    user_agent: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Sessions {
    sessions: Vec<Session>,
}

super::fields! {
    pub(super) struct SignOut {
        #[schema(pattern = "^(current|all)$")]
        scope: String,
    }
}

/// Ends this session, or all of the caller's.
#[utoipa::path(
    post, path = "/auth/signout", operation_id = "signOut", tag = "account",
    request_body = SignOut, security(("token" = [])),
    responses((status = 204, description = "Ended"), refusals::Token, refusals::Body, refusals::Store),
)]
pub(super) async fn sign_out(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Caller(principal): Caller,
    fields: Fields,
) -> Result<StatusCode, Failure> {
    let fields = fields.only(SignOut::FIELDS)?;
    match fields.text("scope")? {
        "current" => service.sign_out(&principal, source).await?,
        "all" => service.sign_out_everywhere(&principal, source).await?,
        _ => return Err(Failure::invalid_field("`scope` must be `current` or `all`")),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's current sessions, newest first.
#[utoipa::path(
    get, path = "/auth/sessions", operation_id = "listSessions", tag = "account",
    security(("token" = [])),
    responses(
        (status = 200, description = "The sessions", body = Sessions),
        refusals::Token, refusals::Store,
    ),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    Caller(principal): Caller,
) -> Result<Json<Sessions>, Failure> {
    let sessions = service.sessions(&principal).await?;
    let shown = sessions
        .iter()
        .map(|session| {
            let id = session.id.to_string();
            Session {
                created_at: Time::of(session.created_at),
                current: principal.session.as_deref() == Some(&id),
                expires_at: Time::of(session.expires_at),
                id,
                used_at: Time::of(session.used_at),
                user_agent: session.user_agent.clone(),
            }
        })
        .collect();
    Ok(Json(Sessions { sessions: shown }))
}

/// Ends one of the caller's sessions.
#[utoipa::path(
    delete, path = "/auth/sessions/{id}", operation_id = "endSession", tag = "account",
    params(("id" = String, Path, description = "The session's id")), security(("token" = [])),
    responses((status = 204, description = "Ended"), refusals::Token, refusals::NoSession, refusals::Store),
)]
pub(super) async fn end(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    Caller(principal): Caller,
    Path(session): Path<String>,
) -> Result<StatusCode, Failure> {
    service.end_session(&principal, &session, source).await?;
    Ok(StatusCode::NO_CONTENT)
}
