//! `POST /auth/signup`: makes an account.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;

use super::answer::Failure;
use super::body::Fields;
use super::{Account, OneAccount, refusals};
use crate::identity::service::Service;
use crate::identity::store::Source;

super::fields! {
    /// An e-mail address and a password.
    pub(super) struct Credentials {
        #[schema(format = Email)]
        email: String,
        #[schema(format = Password)]
        password: String,
    }
}

/// Makes an account.
///
/// Roles can't be asked for: every field but these two is refused.
#[utoipa::path(
    post, path = "/auth/signup", operation_id = "signUp", tag = "account",
    request_body = Credentials,
    responses(
        (status = 201, description = "Made", body = OneAccount),
        refusals::Body, refusals::NewPassword, refusals::SignUp, refusals::Hashing,
    ),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    Extension(source): Extension<Source>,
    fields: Fields,
) -> Result<(StatusCode, Json<OneAccount>), Failure> {
    let fields = fields.only(Credentials::FIELDS)?;
    let (email, password) = (fields.text("email")?, fields.text("password")?);
    let user = service.sign_up(email, password, source).await?;
    let user = Account::from(&user);
    Ok((StatusCode::CREATED, Json(OneAccount { user })))
}
