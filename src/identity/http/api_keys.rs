//! `/auth/admin/api-keys`: what programs show in place of a person's token. A key is in the answer that
//! makes it and in no other.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Failure;
use super::body::Fields;
use super::caller::ByAdmin;
use super::page::{Asked, Paging};
use super::{Time, refusals};
use crate::identity::api_key::ApiKey;
use crate::identity::service::{Service, Wanted};
use crate::identity::store::Source;

#[derive(Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(super) struct Shown {
    created_at: Time,
    /// A user's id, or `shell`.
    created_by: String,
    #[schema(required)]
    expires_at: Option<Time>,
    #[schema(format = "uuid")]
    id: String,
    name: String,
    roles: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ApiKeys {
    api_keys: Vec<Shown>,
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MadeApiKey {
    api_key: Shown,
    /// Shown here and never again.
    key: String,
}

super::fields! {
    pub(super) struct NewApiKey {
        #[schema(min_length = 1, max_length = 64)]
        name: String,
        #[schema(max_items = 32)]
        roles: Vec<String>,
        /// Left out, the key does not expire.
        #[schema(minimum = 1, maximum = 3650)]
        expires_in_days: Option<u16>,
    }
}

/// Lists the API keys that were not revoked, without the keys themselves.
#[utoipa::path(
    get, path = "/auth/admin/api-keys", operation_id = "listApiKeys", tag = "admin",
    params(Paging), security(("token" = [])),
    responses((status = 200, description = "A part of the list", body = ApiKeys), refusals::Admin, refusals::Query),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<ApiKeys>, Failure> {
    let asked = Asked::of(&parameters, &[])?;
    let page = service.api_keys(by, asked.cursor, asked.limit).await?;
    Ok(Json(ApiKeys {
        api_keys: page.items.iter().map(Shown::from).collect(),
        next_cursor: page.next,
    }))
}

/// Makes an API key.
#[utoipa::path(
    post, path = "/auth/admin/api-keys", operation_id = "makeApiKey", tag = "admin",
    request_body = NewApiKey, security(("token" = [])),
    responses(
        (status = 201, description = "Made; the only answer with the key", body = MadeApiKey),
        refusals::Admin, refusals::Body, refusals::NoRole,
    ),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    fields: Fields,
) -> Result<(StatusCode, Json<MadeApiKey>), Failure> {
    let fields = fields.only(NewApiKey::FIELDS)?;
    let wanted = Wanted {
        name: fields.text("name")?,
        roles: fields.texts("roles")?,
        days: fields.number("expires_in_days")?,
    };
    let (made, key) = service.create_api_key(by, wanted, source).await?;
    let answer = MadeApiKey {
        api_key: Shown::from(&made),
        key: key.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Revokes an API key.
#[utoipa::path(
    delete, path = "/auth/admin/api-keys/{id}", operation_id = "revokeApiKey", tag = "admin",
    params(("id" = String, Path, description = "The key's id")), security(("token" = [])),
    responses((status = 204, description = "It opens nothing any more"), refusals::Admin, refusals::NoApiKey),
)]
pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.revoke_api_key(by, &id, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<&ApiKey> for Shown {
    fn from(key: &ApiKey) -> Self {
        Self {
            created_at: Time::of(key.created_at),
            created_by: key.created_by.clone(),
            expires_at: key.expires_at.map(Time::of),
            id: key.id.to_string(),
            name: key.name.clone(),
            roles: key.roles.clone(),
        }
    }
}
