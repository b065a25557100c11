//! `/auth/admin/users`: accounts, as admins see and stop them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Failure;
use super::caller::ByAdmin;
use super::page::Asked;
use crate::identity::service::Service;
use crate::identity::store::Source;
use crate::identity::user::User;

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Failure> {
    let asked = Asked::of(&parameters, &["query"])?;
    let query = asked.find("query").unwrap_or_default();
    let page = service.users(by, query, asked.cursor, asked.limit).await?;
    let users: Vec<_> = page.items.iter().map(shown).collect();
    Ok(Json(json!({ "users": users, "next_cursor": page.next })))
}

pub(super) async fn show(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let user = service.user(by, &id).await?;
    Ok(Json(json!({ "user": shown(&user) })))
}

pub(super) async fn disable(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.set_disabled(by, &id, true, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn enable(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.set_disabled(by, &id, false, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn sign_out(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.sign_out_user(by, &id, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(user: &User) -> Value {
    let mut shown = super::user(user);
    if let Value::Object(members) = &mut shown {
        members.insert("disabled".to_owned(), user.disabled.into());
    }
    shown
}
