//! `GET /auth/admin/audit`: who did what, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::caller::ByAdmin;
use super::page::{Asked, Paging};
use super::{Time, refusals};
use crate::identity::service::Service;
use crate::identity::store::AuditEntry;

#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(super) struct Entry {
    action: String,
    /// A user's id, or `shell`, `session`, `start`.
    actor: String,
    at: Time,
    detail: String,
    request_id: String,
    /// The addresses that the request came through.
    source: String,
    subject: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AuditLog {
    entries: Vec<Entry>,
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What was done, newest first.
#[utoipa::path(
    get, path = "/auth/admin/audit", operation_id = "listAudit", tag = "admin",
    params(Paging), security(("token" = [])),
    responses(
        (status = 200, description = "A part of the log", body = AuditLog),
        refusals::Admin, refusals::Query,
    ),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<AuditLog>, Failure> {
    let asked = Asked::of(&parameters, &[])?;
    let page = service.audit(by, asked.cursor, asked.limit).await?;
    Ok(Json(AuditLog {
        entries: page.items.iter().map(Entry::from).collect(),
        next_cursor: page.next,
    }))
}

impl From<&AuditEntry> for Entry {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            action: entry.action.clone(),
            actor: entry.actor.clone(),
            at: Time::of(entry.at),
            detail: entry.detail.clone(),
            request_id: entry.request_id.clone(),
            source: entry.source.clone(),
            subject: entry.subject.clone(),
        }
    }
}
