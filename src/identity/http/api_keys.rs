//! `/auth/admin/api-keys`: what programs show in place of a person's token. A key is in the answer that
//! makes it and in no other.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Failure;
use super::body::Fields;
use super::caller::ByAdmin;
use super::page::Asked;
use crate::identity::api_key::ApiKey;
use crate::identity::service::{Service, Wanted};
use crate::identity::store::Source;

pub(super) async fn list(
    State(service): State<Arc<Service>>,
    ByAdmin(by): ByAdmin,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Failure> {
    let asked = Asked::of(&parameters, &[])?;
    let page = service.api_keys(by, asked.cursor, asked.limit).await?;
    let keys: Vec<_> = page.items.iter().map(shown).collect();
    Ok(Json(json!({ "api_keys": keys, "next_cursor": page.next })))
}

pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    fields: Fields,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let fields = fields.only(&["name", "roles", "expires_in_days"])?;
    let wanted = Wanted {
        name: fields.text("name")?,
        roles: fields.texts("roles")?,
        days: fields.number("expires_in_days")?,
    };
    let (made, key) = service.create_api_key(by, wanted, source).await?;
    let answer = json!({ "api_key": shown(&made), "key": key.reveal() });
    Ok((StatusCode::CREATED, Json(answer)))
}

pub(super) async fn revoke(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    ByAdmin(by): ByAdmin,
    Path(id): Path<String>,
) -> Result<StatusCode, Failure> {
    service.revoke_api_key(by, &id, source).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(key: &ApiKey) -> Value {
    json!({
        "id": key.id.to_string(),
        "name": key.name,
        "roles": key.roles,
        "created_by": key.created_by,
        "created_at": super::time(key.created_at),
        "expires_at": key.expires_at.map(super::time),
    })
}
