//! Who asks: a handler that takes a `Caller` or a `ByAdmin` runs for nobody else.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::answer::Failure;
use crate::base::reply::Refusal;
use crate::identity::refused::Refused;
use crate::identity::service::{Admin, Service};
use crate::token::{BearerError, Principal, bearer};

/// The bearer of a valid token.
pub(super) struct Caller(pub(super) Arc<Principal>);

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Failure> {
        let token = match bearer(&parts.headers) {
            Ok(Some(token)) => token,
            Ok(None) | Err(BearerError::Unusable) => return Err(Refused::InvalidToken.into()),
            Err(BearerError::Several) => return Err(Refusal::BadRequest.into()),
        };
        Ok(Self(service.verify(token)?))
    }
}

/// The bearer of a valid token who is an admin.
pub(super) struct ByAdmin(pub(super) Admin);

impl FromRequestParts<Arc<Service>> for ByAdmin {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Failure> {
        let Caller(principal) = Caller::from_request_parts(parts, service).await?;
        Ok(Self(service.admin(&principal).await?))
    }
}
