//! Upstreams whose servers fail in every way, and what clients and logs get to see of it.

use serde_json::Value;

use crate::support::edge;
use crate::support::http::{client, json};
use crate::support::origin::Origin;
use crate::support::server::{Airside, SetUp};

mod choice;
mod faults;
mod health;
mod load;
mod names;
mod operator;
mod retries;
mod timeouts;
mod wellness;

const ROUTE: &str = "  - { path: /*, upstream: origin }";

/// A gateway to these servers, `{s0}`, `{s1}` …, with more keys of the upstream.
fn set_up(servers: &[&Origin], keys: &str) -> SetUp {
    let names: Vec<_> = (0..servers.len())
        .map(|index| format!("\"{{s{index}}}\""))
        .collect();
    let top = format!(
        "upstreams:\n  origin: {{ servers: [{}], {keys} }}",
        names.join(", ")
    );
    let set_up = edge::with_top(&top, ROUTE);
    let all = servers.iter().enumerate();
    all.fold(set_up, |set_up, (index, origin)| {
        set_up.set(&format!("s{index}"), origin.address())
    })
}

fn start(servers: &[&Origin], keys: &str) -> Airside {
    set_up(servers, keys).start()
}

/// What `GET /upstreams` says of `origin`.
async fn view(airside: &Airside) -> Value {
    let answer = client().get(airside.admin_url("/upstreams")).send().await;
    let body = json(answer.unwrap(), 200).await;
    let all = body["upstreams"].as_array().unwrap().iter();
    all.clone()
        .find(|upstream| upstream["name"] == "origin")
        .unwrap_or_else(|| panic!("no `origin`: {body}"))
        .clone()
}

/// The states of its servers, in the configuration's order.
async fn states(airside: &Airside) -> Vec<String> {
    let view = view(airside).await;
    let servers = view["servers"].as_array().unwrap().iter();
    servers
        .map(|server| server["state"].as_str().unwrap().to_owned())
        .collect()
}

/// The last line of the access log, once there are so many.
#[track_caller]
fn line(airside: &Airside, count: usize) -> Value {
    airside.wait_for_access_log(count).pop().unwrap()
}
