//! What endpoints refuse, in groups, for the API's description. What is said here is said to readers;
//! `answer` decides.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::IntoResponses;
use utoipa::openapi::schema::AllOfBuilder;
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
};

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $($status:literal $($code:literal)|+),+;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                [$(($status.to_string(), of(&[$($code),+]).into())),+].into()
            }
        }
    )*};
}

refusals! {
    /// Whoever needs a token.
    Token: 400 "bad_request", 401 "invalid_token";
    /// Whoever needs the users' database.
    Store: 503 "overloaded";
    /// What only admins may do: the store knows who is one.
    Admin: 400 "bad_request", 401 "invalid_token", 403 "forbidden", 503 "overloaded";
    Body: 400 "bad_request", 413 "body_too_large", 415 "bad_request", 422 "invalid_field" | "unknown_field";
    Query: 422 "invalid_field" | "unknown_field";
    /// What hashes passwords.
    Hashing: 503 "busy" | "overloaded";
    NewPassword: 422 "invalid_field" | "unknown_field" | "weak_password";
    SignUp: 403 "signup_disabled", 409 "email_taken";
    SignIn: 401 "invalid_credentials";
    /// Who has failed too often.
    Throttled: 429 "rate_limited";
    Refresh: 401 "invalid_refresh_token";
    NoSession: 404 "unknown_session";
    NoUser: 404 "unknown_user";
    NoRole: 404 "unknown_role";
    NoUserOrRole: 404 "unknown_role" | "unknown_user";
    NoApiKey: 404 "unknown_api_key";
    RoleExists: 409 "role_exists";
    RoleInUse: 409 "role_in_use";
    LastAdmin: 409 "last_admin";
}

/// A problem whose `code` is one of these.
fn of(codes: &[&str]) -> Response {
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.iter().copied()));
    let with_code = ObjectBuilder::new().property("code", code);
    let problem = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(with_code);
    response(&codes.join(", "), Schema::AllOf(problem.build()).into())
}

/// What any endpoint may answer: the gateway before it, or a failure inside.
pub(super) fn any() -> Response {
    let described = "Another refusal, of this service or of the gateway before it.";
    response(described, Ref::from_schema_name("Problem").into())
}

fn response(description: &str, schema: RefOr<Schema>) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(PROBLEM, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

/// A refusal (RFC 9457).
pub(super) fn problem() -> Schema {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let status = ObjectBuilder::new().schema_type(Type::Integer);
    let mut problem = ObjectBuilder::new()
        .description(Some("A refusal (RFC 9457)."))
        .property("type", text())
        .property("title", text())
        .property("status", status)
        .property("code", text())
        .property("request_id", text())
        .property("detail", text())
        .examples([json!({
            "type": "urn:airside:unknown_field",
            "title": "A field is not known",
            "status": 422,
            "code": "unknown_field",
            "request_id": "a4b1add2fea1771b0abbe38f36b9da6c",
            "detail": "`roles` is not a field of this request",
        })]);
    for required in ["type", "title", "status", "code", "request_id"] {
        problem = problem.required(required);
    }
    problem.into()
}

pub(super) const PROBLEM: &str = "application/problem+json";
