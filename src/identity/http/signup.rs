//! `POST /auth/signup`: makes an account.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Failure;
use super::body::Fields;
use crate::identity::service::Service;
use crate::identity::store::Source;

/// Roles can't be asked for: every field but these two is refused.
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    fields: Fields,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let fields = fields.only(&["email", "password"])?;
    let (email, password) = (fields.text("email")?, fields.text("password")?);
    let user = service.sign_up(email, password, source).await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({ "user": super::user(&user) })),
    ))
}
