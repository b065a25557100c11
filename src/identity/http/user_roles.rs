//! `/auth/admin/users/{id}/roles/{role}`: who has which role. Both verbs may be repeated.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;

use super::answer::Failure;
use super::caller::ByAdmin;
use super::refusals;
use crate::identity::service::Service;
use crate::identity::store::Source;

/// Gives a user a role; nothing changes where the user has it.
#[utoipa::path(
    put, path = "/auth/admin/users/{id}/roles/{role}", operation_id = "grantRole", tag = "admin",
    params(("id" = String, Path, description = "The user's id"), ("role" = String, Path, description = "The role's name")), security(("token" = [])),
    responses((status = 204, description = "The user has it"), refusals::Admin, refusals::NoUserOrRole),
)]
pub(super) async fn grant(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path((user, role)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    service.grant_role(by, &user, &role, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a role from a user; nothing changes where the user does not have it.
#[utoipa::path(
    delete, path = "/auth/admin/users/{id}/roles/{role}", operation_id = "revokeRole", tag = "admin",
    params(("id" = String, Path, description = "The user's id"), ("role" = String, Path, description = "The role's name")), security(("token" = [])),
    responses(
        (status = 204, description = "The user does not have it"),
        refusals::Admin, refusals::NoUserOrRole, refusals::LastAdmin,
    ),
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path((user, role)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    service.revoke_role(by, &user, &role, source).await?;
    Ok(StatusCode::NO_CONTENT)
}
