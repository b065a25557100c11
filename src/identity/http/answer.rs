//! What every answer has: a refusal's problem+json with the request's id, and headers that keep tokens
//! out of caches. Also where a request comes from is read here, once.

use axum::Extension;
use axum::extract::Request;
use axum::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::base::id::RequestId;
use crate::base::reply::{PROBLEM_JSON, Refusal, problem};
use crate::identity::refused::Refused;
use crate::identity::store::Source;

/// A refusal on its way out; `finish` writes its body.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Option<String>,
    /// Seconds, where it is not what the status says.
    retry_after: Option<u64>,
}

/// Runs a request and completes its answer.
pub(super) async fn finish(mut request: Request, next: Next) -> Response {
    let source = source(request.headers());
    let request_id = source.request_id.clone();
    request.extensions_mut().insert(source);
    let mut response = next.run(request).await;
    let status = response.status();
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = failure.render(&request_id);
    } else if status.is_client_error() || status.is_server_error() {
        // Said by axum: no such path, no such method, a body that is too large or breaks off.
        let allow = response.headers_mut().remove(ALLOW);
        response = Failure::of_status(status).render(&request_id);
        response
            .headers_mut()
            .extend(allow.map(|allow| (ALLOW, allow)));
    }
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Failure {
    pub(super) fn new(status: u16, code: &'static str, title: &'static str) -> Self {
        Self {
            // Invariant: callers name real statuses; what is none would be 500, and never a success.
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            code,
            title,
            detail: None,
            retry_after: None,
        }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// A field that is missing, or not what it must be.
    pub(super) fn invalid_field(detail: impl Into<String>) -> Self {
        Self::new(422, "invalid_field", "A field is not valid").detail(detail)
    }

    fn of_status(status: StatusCode) -> Self {
        Self::from(match status.as_u16() {
            404 => Refusal::NoRoute,
            405 => Refusal::MethodNotAllowed,
            413 => Refusal::BodyTooLarge,
            400..500 => Refusal::BadRequest,
            _ => Refusal::Internal,
        })
    }

    fn render(&self, request_id: &str) -> Response {
        let detail = self.detail.as_deref();
        let body = problem(
            self.status.as_u16(),
            self.code,
            self.title,
            request_id,
            detail,
        );
        let mut response = (self.status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        match self.status.as_u16() {
            401 => headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
            429 | 503 => headers.insert(RETRY_AFTER, self.retry_after.unwrap_or(1).into()),
            _ => None,
        };
        response
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Extension(self)).into_response()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.code(), refusal.title())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let (status, code, title) = match &refused {
            Refused::SignupDisabled => (403, "signup_disabled", "Nobody may sign up here"),
            Refused::InvalidField(..) => return Self::invalid_field(refused.to_string()),
            Refused::WeakPassword(_) => {
                let failure = Self::new(422, "weak_password", "The password is not accepted");
                return failure.detail(refused.to_string());
            }
            Refused::EmailTaken => (409, "email_taken", "The e-mail address has an account"),
            Refused::InvalidCredentials => (
                401,
                "invalid_credentials",
                "The e-mail address or the password is wrong",
            ),
            Refused::InvalidRefreshToken => (
                401,
                "invalid_refresh_token",
                "The refresh token is not valid",
            ),
            Refused::WrongPassword => return Self::invalid_field(refused.to_string()),
            Refused::UnknownSession => (404, "unknown_session", "There is no such session"),
            Refused::UnknownApiKey => (404, "unknown_api_key", "There is no such API key"),
            Refused::InvalidToken => (401, "invalid_token", "A valid token is needed"),
            Refused::NotAdmin => return Refusal::Forbidden.into(),
            Refused::UnknownUser => (404, "unknown_user", "There is no such user"),
            Refused::UnknownRole => (404, "unknown_role", "There is no such role"),
            Refused::RoleInUse => (409, "role_in_use", "Somebody has the role"),
            Refused::RoleExists => (409, "role_exists", "The role exists"),
            Refused::LastAdmin => (409, "last_admin", "The last admin has to stay one"),
            Refused::Busy => (503, "busy", "Too many passwords are being checked"),
            Refused::StoreAway => (503, "overloaded", "The users' database does not answer"),
            Refused::KeyIsNew => (503, "overloaded", "The signing key is not in use yet"),
            Refused::RateLimited(millis) => {
                let mut failure = Self::from(Refusal::RateLimited);
                failure.retry_after = Some(millis.div_ceil(1_000).max(1));
                return failure;
            }
            Refused::Internal => return Refusal::Internal.into(),
        };
        Self::new(status, code, title)
    }
}

/// The id and the addresses that the gateway gave the request. Both are kept in the audit log, hence
/// bounded and printable; a request without an id gets one.
fn source(headers: &HeaderMap) -> Source {
    let printable = |name: &HeaderName, longest: usize| {
        let text = headers.get(name)?.to_str().ok()?;
        ((1..=longest).contains(&text.len())).then(|| text.to_owned())
    };
    let id = printable(&X_REQUEST_ID, 128).filter(|id| !id.contains(char::is_whitespace));
    Source {
        addresses: printable(&X_FORWARDED_FOR, 255).unwrap_or_default(),
        request_id: id.unwrap_or_else(|| RequestId::random().as_str().to_owned()),
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
