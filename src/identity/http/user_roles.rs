//! `/auth/admin/users/{id}/roles/{role}`: who has which role. Both verbs may be repeated.

use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;

use super::answer::Failure;
use super::caller::ByAdmin;
use crate::identity::service::Service;
use crate::identity::store::Source;

pub(super) async fn grant(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path((user, role)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    service.grant_role(by, &user, &role, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path((user, role)): Path<(String, String)>,
) -> Result<StatusCode, Failure> {
    service.revoke_role(by, &user, &role, source).await?;
    Ok(StatusCode::NO_CONTENT)
}
