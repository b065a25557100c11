//! The service's endpoints: one file a resource. A handler reads the request, asks the rules, and
//! shapes the answer; what they refuse is written in one place, `answer`. Above each stands what the API's
//! own description says of it: `document`.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::middleware::from_fn;
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::service::Service;
use crate::base::networks::Networks;

mod account;
mod answer;
mod api_keys;
mod audit;
mod body;
mod caller;
mod client;
mod document;
mod jwks;
mod me;
mod page;
mod password;
mod refusals;
mod roles;
mod sessions;
mod signin;
mod signup;
mod time;
mod user_roles;
mod users;
mod verify;

use account::{Account, OneAccount};
use document::Document;
use time::Time;

/// `proxies` are those whose word on a client's address is taken.
pub(super) fn router(service: Arc<Service>, proxies: Arc<ArcSwap<Networks>>) -> Router {
    let (router, described) = OpenApiRouter::with_openapi(document::begin())
        .routes(routes!(signup::create))
        .routes(routes!(signin::create))
        .routes(routes!(signin::refresh))
        .routes(routes!(sessions::sign_out))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(password::change))
        .routes(routes!(verify::show))
        .routes(routes!(me::show))
        .routes(routes!(roles::list, roles::create))
        .routes(routes!(roles::delete))
        .routes(routes!(users::list))
        .routes(routes!(users::show))
        .routes(routes!(users::disable))
        .routes(routes!(users::enable))
        .routes(routes!(users::sign_out))
        .routes(routes!(user_roles::grant, user_roles::revoke))
        .routes(routes!(api_keys::list, api_keys::create))
        .routes(routes!(api_keys::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(jwks::show))
        .routes(routes!(document::show))
        .split_for_parts();
    router
        .layer(Extension(Document::of(described)))
        .layer(from_fn(answer::finish))
        .layer(Extension(proxies))
        .with_state(service)
}

/// The fields of a request's body, said once: what is described is what is read.
macro_rules! fields {
    ($(#[$doc:meta])* $vis:vis struct $name:ident {
        $($(#[$on_field:meta])* $field:ident: $type:ident $(<$of:ident>)?,)*
    }) => {
        $(#[$doc])*
        #[derive(serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        #[expect(dead_code, reason = "bodies are read by `Fields`, which tells each fault apart")]
        $vis struct $name {
            $($(#[$on_field])* $field: $type $(<$of>)?,)*
        }

        impl $name {
            pub(super) const FIELDS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}

use fields;

#[cfg(test)]
mod tests;
