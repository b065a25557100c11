//! `/auth/admin/roles`: the roles that exist.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Failure;
use super::body::Fields;
use super::caller::ByAdmin;
use crate::identity::service::Service;
use crate::identity::store::{Role, Source};

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
) -> Result<Json<Value>, Failure> {
    let roles = service.roles(by).await?;
    let roles: Vec<_> = roles.iter().map(role).collect();
    Ok(Json(json!({ "roles": roles })))
}

pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    fields: Fields,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let fields = fields.only(&["name"])?;
    let created = service
        .create_role(by, fields.text("name")?, source)
        .await?;
    Ok((StatusCode::CREATED, Json(json!({ "role": role(&created) }))))
}

fn role(role: &Role) -> Value {
    json!({ "name": role.name, "created_at": super::time(role.created_at) })
}

/// Only a role that nobody has.
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(role): Path<String>,
) -> Result<StatusCode, Failure> {
    service.delete_role(by, &role, source).await?;
    Ok(StatusCode::NO_CONTENT)
}
