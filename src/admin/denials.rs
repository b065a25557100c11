//! Why a request was refused, asked by its id: the rule and its line, for as long as the refusal is remembered.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Reloads;
use super::api::refuse;
use crate::base::reply::Refusal;
use crate::base::units::show_time;
use crate::base::yaml::Place;
use crate::telemetry::denials::{Denial, Denials};

/// `GET /denials/{request_id}`.
pub fn router(denials: Arc<Denials>, reloads: Arc<dyn Reloads>) -> Router {
    Router::new()
        .route("/denials/{request_id}", get(find))
        .with_state(View { denials, reloads })
}

#[derive(Clone)]
struct View {
    denials: Arc<Denials>,
    reloads: Arc<dyn Reloads>,
}

async fn find(State(view): State<View>, Path(id): Path<String>) -> Response {
    match view.denials.find(&id) {
        Some(denial) => Json(show(&denial, view.reloads.file())).into_response(),
        None => refuse(Refusal::NoRoute),
    }
}

fn show(denial: &Denial, file: Option<String>) -> Value {
    let rule = denial.rule.as_ref().map(|(name, place)| {
        // A default stands in no file.
        let place = (*place != Place::default()).then_some(place);
        json!({
            "name": name,
            "file": place.and(file),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
        })
    });
    let limit = denial.limit.as_ref();
    json!({
        "request_id": denial.request_id,
        "at": show_time(denial.unix_millis),
        "status": denial.refusal.status(),
        "code": denial.refusal.code(),
        "reason": denial.reason,
        "route": denial.route.as_deref(),
        "rule": rule,
        "limit": limit.map(|(name, by)| json!({ "name": &**name, "by": by })),
    })
}
