//! `POST /auth/signin`: a token for a password.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::answer::Failure;
use super::body::Fields;
use crate::identity::service::Service;

/// The answer has the form of RFC 6749 §5.1.
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    fields: Fields,
) -> Result<Json<Value>, Failure> {
    let fields = fields.only(&["email", "password"])?;
    let (email, password) = (fields.text("email")?, fields.text("password")?);
    let signed_in = service.sign_in(email, password).await?;
    Ok(Json(json!({
        "token_type": "Bearer",
        "access_token": signed_in.access_token,
        "expires_in": signed_in.expires_in,
        "user": super::user(&signed_in.user),
    })))
}
