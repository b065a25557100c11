//! People: a gateway with identity in front of an upstream, and a client that signs up, signs in and
//! asks as somebody.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::http;
use super::origin::Origin;
use super::server::{Airside, SetUp};

/// A password that every account of the tests may have.
pub const PASSWORD: &str = "a seat by the window";

/// A gateway with identity, and the upstream behind its routes.
pub struct Site {
    pub airside: Airside,
    pub origin: Origin,
}

/// One of the two ways to the identity service, or anything else that answers like it.
#[derive(Clone)]
pub struct Api {
    client: Client,
    base: String,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Site {
    #[track_caller]
    pub fn start() -> Self {
        let origin = Origin::start();
        let airside = set_up(&origin).start();
        Self { airside, origin }
    }

    /// The gateway.
    pub fn api(&self) -> Api {
        Api::at(self.airside.url(""))
    }

    /// The gateway's route to the identity service, and the service's own listener.
    pub fn both(&self) -> [Api; 2] {
        [self.api(), Api::at(self.airside.identity_url(""))]
    }

    /// Makes an account from the shell, and brings its id.
    #[track_caller]
    pub fn add(&self, email: &str, roles: &[&str]) -> String {
        let file = self.airside.folder().join("airside.yaml");
        let output = add_user(&file, email, roles, PASSWORD);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// An administrator's token.
    pub async fn admin(&self, email: &str) -> String {
        self.add(email, &["admin"]);
        self.api().token(email).await
    }
}

/// A gateway to be started with `CONFIG`.
pub fn set_up(origin: &Origin) -> SetUp {
    set_up_with(origin, "")
}

/// The same with more routes.
pub fn set_up_with(origin: &Origin, routes: &str) -> SetUp {
    let config = CONFIG.replacen(
        "routes:\n",
        &format!("routes:\n{}", routes.trim_start_matches('\n')),
        1,
    );
    Airside::with(&config)
        .origin(origin)
        .set("scheme", "sqlite:")
        .set("store", "airside.db")
        .set("keys", "keys")
        .set("issuer", ISSUER)
        .set("audience", AUDIENCE)
        .set("ttl", "15m")
        // More of `access_token`, such as `, algorithm: RS256`.
        .set("signing", "")
        .set("signup", true)
        .set("queue", 128)
        .set("trusted", "127.0.0.1")
        .set("throttle", "")
}

/// The same with its users in another store, by its whole address.
pub fn on(origin: &Origin, store: &str) -> SetUp {
    set_up(origin).set("scheme", "").set("store", store)
}

/// `airside user add`, with the password on its standard input.
pub fn add_user(config: &Path, email: &str, roles: &[&str], password: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_airside"));
    command.args(["user", "add", email, "--password-stdin", "-c"]);
    command.arg(config);
    for role in roles {
        command.args(["--role", role]);
    }
    let mut child = command
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A program that refuses before it reads closes the pipe.
    let _ = stdin.write_all(password.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("the program ends")
}

impl Api {
    pub fn at(base: impl Into<String>) -> Self {
        Self {
            client: http::client(),
            base: base.into(),
        }
    }

    /// A request to be completed.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::to(self.request("POST", path).json(body)).await
    }

    /// A request with a token and no body.
    pub async fn ask(&self, method: &str, path: &str, token: &str) -> Answer {
        Answer::to(self.request(method, path).bearer_auth(token)).await
    }

    pub async fn sign_up(&self, email: &str) -> Answer {
        self.post("/auth/signup", &account(email, PASSWORD)).await
    }

    pub async fn sign_in(&self, email: &str, password: &str) -> Answer {
        self.post("/auth/signin", &account(email, password)).await
    }

    /// Signs in, which must succeed, and brings the token.
    pub async fn token(&self, email: &str) -> String {
        let answer = self.sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let token = answer.json()["access_token"].as_str().map(str::to_owned);
        token.expect("a sign-in gives a token")
    }

    /// Signs up and in: the new account's id and token.
    pub async fn join(&self, email: &str) -> (String, String) {
        let answer = self.sign_up(email).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let id = answer.json()["user"]["id"].as_str().map(str::to_owned);
        (id.expect("a user has an id"), self.token(email).await)
    }
}

impl Answer {
    /// Sends the request and reads all of its answer.
    pub async fn to(request: RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.text().await.expect("a whole body"),
        }
    }

    /// The first value of a header; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("a header of ASCII"))
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|_| panic!("{}: not JSON: {}", self.status, self.body))
    }

    /// Asserts that this is a well-formed refusal with this status and code.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        let said = format!("{} {}", self.status, self.body);
        assert_eq!(self.status, status, "{said}");
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{said}"
        );
        let body = self.json();
        assert_eq!(body["code"], code, "{said}");
        assert_eq!(body["status"], status, "{said}");
        assert_eq!(body["type"], format!("urn:airside:{code}"), "{said}");
        assert!(!self.request_id().is_empty(), "{said}");
    }

    #[track_caller]
    pub fn request_id(&self) -> String {
        let id = self.json()["request_id"].as_str().map(str::to_owned);
        id.unwrap_or_default()
    }

    /// Everything that the answer says but what differs from one request to the next: for answers
    /// that must not tell two causes apart.
    #[track_caller]
    pub fn without_its_request(&self) -> (u16, Vec<(String, String)>, String) {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| *name != "date" && *name != "x-request-id")
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .collect();
        headers.sort();
        let body = self.body.replace(&self.request_id(), "");
        (self.status, headers, body)
    }
}

/// The body of a signup or a sign-in.
pub fn account(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

pub const ISSUER: &str = "https://api.example.com";
pub const AUDIENCE: &str = "api";

const CONFIG: &str = r#"
server: { trusted_proxies: [{trusted}] }
listeners: [{ address: "{gateway}" }]
identity:
  listen: "{identity}"
  store: "{scheme}{store}"
  keys: "{keys}"
  issuer: "{issuer}"
  audience: "{audience}"
  access_token: { ttl: {ttl}{signing} }
  password: { bcrypt_cost: 10, workers: 2, queue: {queue} }
  throttle: { {throttle} }
  signup: { enabled: {signup}, roles: [customer] }
  roles: [admin, customer, flight_company]
admin: { listen: "{admin}" }
limits:
  per_user: { rate: 3/1h, by: user }
upstreams: { origin: { servers: ["{origin}"] } }
routes:
  - { path: "/auth/*", upstream: identity, auth: public }
  - { path: /.well-known/jwks.json, upstream: identity, auth: public }
  - { path: /public, upstream: origin, auth: public }
  - { path: /members, upstream: origin, auth: required }
  - { path: /company, upstream: origin, auth: { roles: [flight_company, admin] } }
  - { path: /both, upstream: origin, auth: { all_roles: [flight_company, customer] } }
  - { path: /counted, upstream: origin, auth: required, limits: [per_user] }
telemetry:
  log: { level: debug }
  access_log: { to: stdout, fields: [] }
"#;
