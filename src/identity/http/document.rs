//! `GET /auth/openapi.json`: the API's own description (OpenAPI 3.1), collected from the handlers that it
//! describes as the router is made of them.

use axum::Extension;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use bytes::Bytes;
use utoipa::openapi::path::PathItem;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Info, OpenApi, OpenApiBuilder, Ref, RefOr};

use super::refusals;

/// The description, ready to be sent.
#[derive(Clone)]
pub(super) struct Document(Bytes);

/// What the handlers' descriptions are added to.
pub(super) fn begin() -> OpenApi {
    let mut info = Info::new("Airside identity", env!("CARGO_PKG_VERSION"));
    info.description = Some("People, sessions, roles and API keys.".to_owned());
    let mut token = Http::new(HttpAuthScheme::Bearer);
    token.bearer_format = Some("JWT".to_owned());
    token.description = Some("An access token of a sign-in.".to_owned());
    let mut components = Components::new();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let problem = refusals::problem();
    components
        .schemas
        .insert("Problem".to_owned(), problem.into());
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

impl Document {
    /// Completes what the handlers have said. A refusal that several have stands once, under its codes.
    pub(super) fn of(mut document: OpenApi) -> Self {
        let components = document.components.get_or_insert_default();
        components
            .responses
            .insert("refusal".to_owned(), refusals::any().into());
        for item in document.paths.paths.values_mut() {
            for operation in operations(item) {
                let responses = &mut operation.responses.responses;
                for response in responses.values_mut() {
                    let RefOr::T(refusal) = &*response else {
                        continue;
                    };
                    if refusal.content.contains_key(refusals::PROBLEM) {
                        let name = refusal.description.replace(", ", ".");
                        let reference = Ref::from_response_name(&name);
                        components.responses.insert(name, response.clone());
                        *response = reference.into();
                    }
                }
                let any = Ref::from_response_name("refusal");
                responses.insert("default".to_owned(), any.into());
            }
        }
        // Invariant: a document without maps of other keys than texts is always JSON.
        Self(document.to_json().unwrap_or_default().into())
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut utoipa::openapi::path::Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

/// This description.
#[utoipa::path(
    get, path = "/auth/openapi.json", operation_id = "describe", tag = "public",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)),
)]
pub(super) async fn show(Extension(document): Extension<Document>) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "public, max-age=300"),
    ];
    (headers, document.0)
}
