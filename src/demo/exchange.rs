//! One request to a service and its answer, without a socket: for the services' own tests.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

/// What came back. A body that is not JSON is `Null`.
pub(super) struct Exchange {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Sends `request`, such as `POST /api/v1/flights`, as `user` if there is one, with `body` as JSON
/// unless it is empty.
pub(super) async fn exchange(
    router: &Router,
    request: &str,
    user: Option<&str>,
    body: &str,
) -> Exchange {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    let mut request = Request::builder().method(method).uri(target);
    if let Some(user) = user {
        request = request
            .header("X-Auth-User", user)
            .header("X-Auth-Email", format!("{user}@example.com"))
            .header("X-Auth-Roles", "customer, flight_company");
    }
    if !body.is_empty() {
        request = request.header("Content-Type", "application/json");
    }
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.unwrap();
    Exchange {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}
