//! `/auth/admin/users`: accounts, as admins see and stop them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::caller::ByAdmin;
use super::page::{Asked, Paging};
use super::{Account, refusals};
use crate::identity::service::Service;
use crate::identity::store::Source;
use crate::identity::user as store;

/// A user as admins see one.
#[derive(Serialize, ToSchema)]
#[schema(as = UserForAdmins)]
pub(super) struct User {
    #[serde(flatten)]
    account: Account,
    disabled: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OneUserForAdmins {
    user: User,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Users {
    #[schema(required)]
    next_cursor: Option<String>,
    users: Vec<User>,
}

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "what is read is read by `Asked`")]
pub(super) struct Search {
    /// A part of the address.
    query: Option<String>,
}

/// Lists users, in the order of their making.
#[utoipa::path(
    get, path = "/auth/admin/users", operation_id = "listUsers", tag = "admin",
    params(Search, Paging), security(("token" = [])),
    responses(
        (status = 200, description = "A part of the list", body = Users),
        refusals::Admin, refusals::Query,
    ),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Users>, Failure> {
    let asked = Asked::of(&parameters, &["query"])?;
    let query = asked.find("query").unwrap_or_default();
    let page = service.users(by, query, asked.cursor, asked.limit).await?;
    Ok(Json(Users {
        next_cursor: page.next,
        users: page.items.iter().map(User::from).collect(),
    }))
}

/// One user.
#[utoipa::path(
    get, path = "/auth/admin/users/{id}", operation_id = "showUser", tag = "admin",
    params(("id" = String, Path, description = "The user's id")), security(("token" = [])),
    responses(
        (status = 200, description = "The user", body = OneUserForAdmins),
        refusals::Admin, refusals::NoUser,
    ),
)]
pub(super) async fn show(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<Json<OneUserForAdmins>, Failure> {
    let user = service.user(by, &id).await?;
    let user = User::from(&user);
    Ok(Json(OneUserForAdmins { user }))
}

/// Disables a user, and ends their sessions.
#[utoipa::path(
    post, path = "/auth/admin/users/{id}/disable", operation_id = "disableUser", tag = "admin",
    params(("id" = String, Path, description = "The user's id")), security(("token" = [])),
    responses(
        (status = 204, description = "Disabled"),
        refusals::Admin, refusals::NoUser, refusals::LastAdmin,
    ),
)]
pub(super) async fn disable(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.set_disabled(by, &id, true, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a disabled user in again.
#[utoipa::path(
    post, path = "/auth/admin/users/{id}/enable", operation_id = "enableUser", tag = "admin",
    params(("id" = String, Path, description = "The user's id")), security(("token" = [])),
    responses((status = 204, description = "Enabled"), refusals::Admin, refusals::NoUser),
)]
pub(super) async fn enable(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.set_disabled(by, &id, false, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions of a user.
#[utoipa::path(
    post, path = "/auth/admin/users/{id}/signout", operation_id = "signOutUser", tag = "admin",
    params(("id" = String, Path, description = "The user's id")), security(("token" = [])),
    responses((status = 204, description = "Ended"), refusals::Admin, refusals::NoUser),
)]
pub(super) async fn sign_out(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.sign_out_user(by, &id, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<&store::User> for User {
    fn from(user: &store::User) -> Self {
        Self {
            account: Account::from(user),
            disabled: user.disabled,
        }
    }
}
