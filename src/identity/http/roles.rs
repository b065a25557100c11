//! `/auth/admin/roles`: the roles that exist.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::body::Fields;
use super::caller::ByAdmin;
use super::{Time, refusals};
use crate::identity::service::Service;
use crate::identity::store::{self, Source};

#[derive(Serialize, ToSchema)]
pub(super) struct Role {
    created_at: Time,
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Roles {
    roles: Vec<Role>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OneRole {
    role: Role,
}

super::fields! {
    pub(super) struct NewRole {
        #[schema(pattern = "^[A-Za-z0-9_.-]{1,64}$")]
        name: String,
    }
}

/// Lists all roles, by name.
#[utoipa::path(
    get, path = "/auth/admin/roles", operation_id = "listRoles", tag = "admin",
    security(("token" = [])),
    responses((status = 200, description = "The roles", body = Roles), refusals::Admin),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
) -> Result<Json<Roles>, Failure> {
    let roles = service.roles(by).await?;
    let roles = roles.iter().map(Role::from).collect();
    Ok(Json(Roles { roles }))
}

/// Makes a role.
#[utoipa::path(
    post, path = "/auth/admin/roles", operation_id = "makeRole", tag = "admin",
    request_body = NewRole, security(("token" = [])),
    responses(
        (status = 201, description = "Made", body = OneRole),
        refusals::Admin, refusals::Body, refusals::RoleExists,
    ),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    fields: Fields,
) -> Result<(StatusCode, Json<OneRole>), Failure> {
    let fields = fields.only(NewRole::FIELDS)?;
    let created = service
        .create_role(by, fields.text("name")?, source)
        .await?;
    let role = Role::from(&created);
    Ok((StatusCode::CREATED, Json(OneRole { role })))
}

/// Removes a role that no user and no API key has.
#[utoipa::path(
    delete, path = "/auth/admin/roles/{role}", operation_id = "removeRole", tag = "admin",
    params(("role" = String, Path, description = "The role's name")), security(("token" = [])),
    responses(
        (status = 204, description = "Removed"),
        refusals::Admin, refusals::NoRole, refusals::RoleInUse,
    ),
)]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(role): Path<String>,
) -> Result<StatusCode, Failure> {
    service.delete_role(by, &role, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<&store::Role> for Role {
    fn from(role: &store::Role) -> Self {
        Self {
            created_at: Time::of(role.created_at),
            name: role.name.clone(),
        }
    }
}
