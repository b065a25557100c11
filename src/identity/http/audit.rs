//! `GET /auth/admin/audit`: who did what, newest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use super::answer::Failure;
use super::caller::ByAdmin;
use super::page::Asked;
use crate::identity::service::Service;
use crate::identity::store::AuditEntry;

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Failure> {
    let asked = Asked::of(&parameters, &[])?;
    let page = service.audit(by, asked.cursor, asked.limit).await?;
    let entries: Vec<_> = page.items.iter().map(shown).collect();
    Ok(Json(
        json!({ "entries": entries, "next_cursor": page.next }),
    ))
}

fn shown(entry: &AuditEntry) -> Value {
    json!({
        "at": super::time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "source": entry.source,
        "request_id": entry.request_id,
    })
}
