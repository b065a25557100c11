//! The whole program with its users in a real MariaDB.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::client;
use crate::support::origin::Origin;
use crate::support::server::{Airside, SetUp};
use crate::support::wait::wait_until;

mod keys;
mod life;
mod outages;
mod schema;
mod start;
mod tls;

/// A gateway, and an upstream behind a guarded route.
struct Site {
    gateway: Airside,
    client: reqwest::Client,
    _origin: Origin,
}

/// A gateway to be started on this store, with an upstream that must live as long.
fn set_up(store: &str) -> (SetUp, Origin) {
    let origin = Origin::start();
    let set_up = Airside::with(CONFIG).set("store", store).origin(&origin);
    (set_up, origin)
}

impl Site {
    /// Starts and does not wait for the store.
    #[track_caller]
    fn start(store: &str) -> Self {
        let (set_up, origin) = set_up(store);
        Self {
            gateway: set_up.start(),
            client: client(),
            _origin: origin,
        }
    }

    /// Starts and waits until users can sign in.
    async fn ready(store: &str) -> Self {
        let site = Self::start(store);
        site.wait_until_ready().await;
        site
    }

    async fn wait_until_ready(&self) {
        wait_until("/readyz", async || self.readiness().await.0 == 200).await;
    }

    /// The status and the body of `/readyz`.
    async fn readiness(&self) -> (u16, Value) {
        let response = self.client.get(self.gateway.admin_url("/readyz"));
        let response = response.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.client.post(self.gateway.url(path));
        let request = request.header("Content-Type", "application/json");
        Answer::of(request.body(body.to_string())).await
    }

    async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post("/auth/signup", &body).await
    }

    async fn sign_in(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post("/auth/signin", &body).await
    }

    async fn token(&self, email: &str) -> String {
        let answer = self.sign_in(email).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, method: reqwest::Method, path: &str, token: &str) -> Answer {
        let request = self.client.request(method, self.gateway.url(path));
        Answer::of(request.bearer_auth(token)).await
    }

    /// Makes an admin from the shell and gives the id.
    fn add_admin(&self, email: &str) -> String {
        let arguments = ["user", "add", email, "--role", "admin", "--password-stdin"];
        let output = self.gateway.command(&arguments, PASSWORD);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

struct Answer {
    status: u16,
    retry_after: Option<u32>,
    body: Value,
}

impl Answer {
    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.map(|value| value.to_str().unwrap().parse().unwrap());
        Self {
            status: response.status().as_u16(),
            retry_after,
            body: response.json().await.unwrap_or_default(),
        }
    }

    fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

const PASSWORD: &str = "correct horse";
/// How much longer an answer may take than its limits, on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

const CONFIG: &str = r#"
listeners: [{ address: "{gateway}" }]
admin: { listen: "{admin}" }
identity:
  listen: "{identity}"
  store: "{store}"
  password: { bcrypt_cost: 10, workers: 2 }
upstreams: { flights: { servers: ["{origin}"] } }
routes:
  - { path: /auth/*, upstream: identity, auth: public }
  - { path: /guarded, upstream: flights, auth: required }
"#;
