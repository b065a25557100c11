//! Each endpoint's success, and each of its refusals with status and code.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::base::clock::Clock;
use crate::base::decode::Within;
use crate::base::decode::{Decode, FromText};
use crate::base::report::Report;
use crate::base::yaml;
use crate::identity::role::RoleName;
use crate::identity::{Identity, config};
use crate::token::install_crypto;

mod accounts;
mod admin;
mod api_keys;
mod document;
mod refresh;
mod requests;
mod roles;
mod sessions;
mod throttle;

const NOW: u64 = 1_800_000_000_000;
const PASSWORD: &str = "correct horse";

/// A whole service on a file of its own, reached without a socket.
struct Site {
    identity: Identity,
    config: config::Identity,
    router: Router,
    clock: Clock,
    _folder: TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

fn site() -> Site {
    site_with("{}")
}

/// A site whose configuration differs from the default's by these lines.
fn site_with(yaml: &str) -> Site {
    install_crypto();
    let mut report = Report::default();
    let node = yaml::read(yaml).unwrap();
    let mut config = config::Identity::decode(&node, &mut report).unwrap();
    assert!(!report.has_errors(), "{:?}", report.problems());
    config.password.bcrypt_cost = Within(10);
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::at(NOW);
    let identity = Identity::open(&config, folder.path(), clock.clone()).unwrap();
    Site {
        router: identity.router(Arc::default()),
        identity,
        config,
        clock,
        _folder: folder,
    }
}

impl Site {
    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(json_request("POST", path, &body.to_string()))
            .await
    }

    async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post("/auth/signup", body).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/auth/signin", body).await
    }

    async fn token(&self, email: &str) -> String {
        let answer = self.sign_in(email, PASSWORD).await;
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// A request with a token and no body.
    async fn ask(&self, method: &str, path: &str, token: &str) -> Answer {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// An admin's id and token.
    async fn admin(&self, email: &str) -> (String, String) {
        let service = self.identity.service();
        let user = service
            .add_user(email, PASSWORD, &[RoleName::admin()])
            .await
            .unwrap();
        (user.id.to_string(), self.token(email).await)
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| str::from_utf8(value.as_bytes()).unwrap())
    }

    /// The status and code of a refusal that is well formed.
    #[track_caller]
    fn refusal(&self) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{}",
            self.body
        );
        let body = self.json();
        assert_eq!(body["status"], self.status.as_u16());
        assert!(body["request_id"].as_str().is_some_and(|id| !id.is_empty()));
        let code = body["code"].as_str().unwrap().to_owned();
        assert_eq!(body["type"], format!("urn:airside:{code}"));
        (self.status.as_u16(), code)
    }
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

fn json_request(method: &str, path: &str, body: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    request.body(Body::from(body.to_owned())).unwrap()
}

fn role(name: &str) -> RoleName {
    RoleName::from_text(name).unwrap()
}
