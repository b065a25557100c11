//! Upstreams as an operator sees them, and taking a server out by hand.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::api::refuse;
use crate::base::clock::Clock;
use crate::base::decode::FromText;
use crate::base::reply::Refusal;
use crate::plan::Plan;
use crate::upstream::Cluster;
use crate::upstream::config::Address;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::standing::FULL;

/// `GET /upstreams` and `POST /upstreams/{name}/servers/{address}/drain|undrain`.
pub fn router(plan: Arc<ArcSwap<Plan>>, clock: Clock) -> Router {
    let view = View { plan, clock };
    Router::new()
        .route("/upstreams", get(list))
        .route(
            "/upstreams/{name}/servers/{address}/drain",
            post(|view, path, headers| drain(view, path, headers, true)),
        )
        .route(
            "/upstreams/{name}/servers/{address}/undrain",
            post(|view, path, headers| drain(view, path, headers, false)),
        )
        .with_state(view)
}

#[derive(Clone)]
struct View {
    plan: Arc<ArcSwap<Plan>>,
    clock: Clock,
}

async fn list(State(view): State<View>) -> Response {
    let now = view.clock.monotonic_millis();
    let plan = view.plan.load();
    let upstreams = plan.clusters.iter().map(|cluster| show(cluster, now));
    Json(json!({ "upstreams": upstreams.collect::<Vec<_>>() })).into_response()
}

fn show(cluster: &Cluster, now: u64) -> Value {
    let members = cluster.members();
    let servers = members
        .endpoints
        .iter()
        .map(|server| server_of(server, now));
    json!({
        "name": &*cluster.name,
        "balance": cluster.settings.balance.word(),
        "in_flight": cluster.in_flight(),
        "breaker": cluster.breaker().map(|state| state.word()),
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn server_of(endpoint: &Endpoint, now: u64) -> Value {
    let standing = &endpoint.standing;
    let state = match (standing.out(now), standing.share(now)) {
        (Some(out), _) => out.word(),
        (None, FULL) => "in",
        (None, _) => "warming",
    };
    let (requests, failures) = standing.counts();
    json!({
        "address": &*endpoint.name,
        "weight": endpoint.weight,
        "state": state,
        "in_flight": standing.in_flight(),
        "requests": requests,
        "failures": failures,
    })
}

async fn drain(
    State(view): State<View>,
    Path((name, address)): Path<(String, String)>,
    headers: HeaderMap,
    drained: bool,
) -> Response {
    // A page in the operator's browser may send this too, where no token is needed: browsers say so.
    if headers.contains_key(header::ORIGIN) {
        return refuse(Refusal::Forbidden);
    }
    let plan = view.plan.load();
    let cluster = plan.clusters.iter().find(|cluster| *cluster.name == *name);
    let (Some(cluster), Ok(server)) = (cluster, Address::from_text(&address)) else {
        return refuse(Refusal::NoRoute);
    };
    let found = cluster.drain(&server, drained);
    if found.is_empty() {
        return refuse(Refusal::NoRoute);
    }
    let word = if drained { "drained" } else { "undrained" };
    log::info!("upstream {name}: {address} {word} by an operator");
    let now = view.clock.monotonic_millis();
    let members = cluster.members();
    let servers = found.iter().filter_map(|address| members.find(*address));
    let servers: Vec<_> = servers.map(|server| server_of(server, now)).collect();
    Json(json!({ "upstream": name, "servers": servers })).into_response()
}
