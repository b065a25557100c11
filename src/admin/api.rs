//! The admin listener's endpoints.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};

use super::{Readiness, denials, upstreams};
use crate::base::clock::Clock;
use crate::base::reply::{self, Refusal};
use crate::base::secret::Secret;
use crate::base::yaml;
use crate::plan::{Plan, Target};
use crate::telemetry::denials::Denials;

/// Puts a new configuration in place.
pub trait Reloads: Send + Sync {
    /// Reads the file anew; blocks while it does. Errors: nothing was changed, and why.
    fn reload(&self) -> Result<Value, Value>;

    /// The file that is read; `None` where the configuration is part of the program.
    fn file(&self) -> Option<String>;

    /// The configuration that is in place, its defaults filled in and nothing secret in it; takes a while.
    fn config(&self) -> Value;

    /// Which configuration is in place, and what became of a newer one; no secret, and no line of the file.
    fn state(&self) -> Value;
}

/// What the endpoints show and do.
pub struct Parts {
    pub readiness: Readiness,
    pub plan: Arc<ArcSwap<Plan>>,
    pub clock: Clock,
    pub reloads: Arc<dyn Reloads>,
    pub denials: Arc<Denials>,
    /// The page behind `/metrics`.
    pub metrics: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
    /// What callers must bring, where they must.
    pub token: Option<Secret>,
}

/// The endpoints; with a token, only for those who bring it.
pub fn router(parts: Parts) -> Router {
    let Parts {
        readiness,
        plan,
        clock,
        reloads,
        denials,
        metrics,
        token,
    } = parts;
    let guard = move |request: Request, next: Next| {
        let allowed = token
            .as_ref()
            .is_none_or(|token| brings(request.headers(), token));
        async move {
            match allowed {
                true => next.run(request).await,
                false => refuse(Refusal::Unauthenticated),
            }
        }
    };
    // Probes come from where no token is at hand, and tell nothing.
    let health = Router::new()
        .route("/healthz", get(|| async { Json(json!({ "alive": true })) }))
        .route(
            "/readyz",
            get(ready).with_state((readiness, reloads.clone())),
        );
    let view = Router::new()
        .route("/routes", get(routes).with_state(plan.clone()))
        .merge(denials::router(denials, reloads.clone()))
        .route("/config", get(config).with_state(reloads.clone()))
        .route("/reload", post(reload).with_state(reloads))
        .route("/metrics", get(scrape).with_state(metrics))
        .merge(upstreams::router(plan, clock));
    health
        .merge(view.layer(middleware::from_fn(guard)))
        .fallback(|| async { refuse(Refusal::NoRoute) })
        .method_not_allowed_fallback(|| async { refuse(Refusal::MethodNotAllowed) })
}

async fn ready(State((readiness, reloads)): State<(Readiness, Arc<dyn Reloads>)>) -> Response {
    let missing = readiness.missing().await;
    let status = match missing.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let names: serde_json::Map<_, _> = missing
        .into_iter()
        .map(|(name, why)| (name, why.into()))
        .collect();
    (
        status,
        Json(json!({
            "ready": names.is_empty(),
            "not_ready": names,
            "configuration": reloads.state(),
        })),
    )
        .into_response()
}

/// Prometheus text format 0.0.4.
async fn scrape(State(metrics): State<Arc<dyn Fn() -> Vec<u8> + Send + Sync>>) -> Response {
    match tokio::task::spawn_blocking(move || metrics()).await {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(_) => refuse(Refusal::Internal),
    }
}

/// JSON, or YAML for who asks for it.
async fn config(State(reloads): State<Arc<dyn Reloads>>, headers: HeaderMap) -> Response {
    let Ok(config) = tokio::task::spawn_blocking(move || reloads.config()).await else {
        return refuse(Refusal::Internal);
    };
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let wants_yaml = accept.is_some_and(|accept| accept.contains("yaml"));
    match wants_yaml.then(|| yaml::write(&config)) {
        None => Json(config).into_response(),
        Some(Ok(text)) => ([(header::CONTENT_TYPE, "application/yaml")], text).into_response(),
        Some(Err(_)) => refuse(Refusal::Internal),
    }
}

async fn reload(State(reloads): State<Arc<dyn Reloads>>) -> Response {
    match tokio::task::spawn_blocking(move || reloads.reload()).await {
        Ok(Ok(done)) => Json(done).into_response(),
        Ok(Err(problems)) => (StatusCode::UNPROCESSABLE_ENTITY, Json(problems)).into_response(),
        Err(_) => refuse(Refusal::Internal),
    }
}

async fn routes(State(plan): State<Arc<ArcSwap<Plan>>>) -> Response {
    let plan = plan.load();
    let routes: Vec<_> = plan
        .routes
        .iter()
        .map(|route| {
            let target = match &route.target {
                Target::Forward(forward) => {
                    json!({ "upstream": forward.names().collect::<Vec<_>>() })
                }
                Target::Redirect(redirect) => json!({ "redirect": redirect.status.as_u16() }),
                Target::Respond(respond) => json!({ "respond": respond.status.as_u16() }),
            };
            json!({ "name": &*route.name, "target": target })
        })
        .collect();
    Json(json!({ "routes": routes })).into_response()
}

pub(super) fn refuse(refusal: Refusal) -> Response {
    let status =
        StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, refusal.body("", None)).into_response();
    let kind = http::HeaderValue::from_static(reply::PROBLEM_JSON);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    if refusal == Refusal::Unauthenticated {
        let challenge = http::HeaderValue::from_static("Bearer realm=\"airside-admin\"");
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Compares in constant time: the answer must not tell how much of a guess was right.
fn brings(headers: &HeaderMap, token: &Secret) -> bool {
    let value = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.as_bytes());
    let given = value
        .and_then(|value| value.strip_prefix(b"Bearer "))
        .unwrap_or_default();
    aws_lc_rs::constant_time::verify_slices_are_equal(given, token.reveal().as_bytes()).is_ok()
}
