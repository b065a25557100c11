//! Taking a server out by hand, over the admin listener.

use std::time::Duration;

use super::{set_up, start, states, view};
use crate::support::edge::{self, get};
use crate::support::http::{client, json};
use crate::support::origin::{Origin, Reply};
use crate::support::server::Airside;

async fn post(airside: &Airside, path: &str) -> reqwest::Response {
    let url = airside.admin_url(path);
    client().post(url).send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_server_finishes_what_it_has_and_gets_nothing_new_until_it_is_undrained() {
    let (kept, drained) = (Origin::start(), Origin::start());
    let slow = Reply::new(200, "done").after(Duration::from_millis(700));
    drained.on("/slow", slow.clone());
    kept.on("/slow", slow);
    let airside = start(&[&kept, &drained], "balance: round_robin");
    let mut busy = [airside.raw(), airside.raw()];
    busy.iter_mut().for_each(|raw| raw.send(get("/slow")));
    drained.wait_for_requests(1);
    let path = format!("/upstreams/origin/servers/{}", drained.address());
    let body = json(post(&airside, &format!("{path}/drain")).await, 200).await;
    assert_eq!(body["servers"][0]["state"], "drained");
    assert_eq!(body["servers"][0]["in_flight"], 1, "{body}");
    for _ in 0..6 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    assert_eq!((kept.count(), drained.count()), (7, 1));
    busy.iter_mut()
        .for_each(|raw| assert_eq!(raw.read().text(), "done"));
    assert_eq!(states(&airside).await, ["in", "drained"]);
    let body = json(post(&airside, &format!("{path}/undrain")).await, 200).await;
    assert_eq!(body["servers"][0]["state"], "in");
    for _ in 0..6 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    assert_eq!(drained.count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_tells_of_each_upstream_and_server() {
    let origin = Origin::start();
    let airside = set_up(&[&origin], "breaker: { failure_rate: 50% }").start();
    assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    let expected = serde_json::json!({
        "name": "origin", "balance": "least_requests", "in_flight": 0, "breaker": "closed",
        "servers": [{
            "address": origin.address().to_string(), "weight": 1, "state": "in",
            "in_flight": 0, "requests": 1, "failures": 0,
        }],
    });
    airside.wait_for_access_log(1);
    assert_eq!(view(&airside).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_404_and_a_page_in_a_browser_may_not() {
    let origin = Origin::start();
    let airside = start(&[&origin], "");
    let address = origin.address();
    for path in [
        format!("/upstreams/none/servers/{address}/drain"),
        "/upstreams/origin/servers/10.9.9.9:80/drain".to_owned(),
        "/upstreams/origin/servers/nonsense/drain".to_owned(),
        format!("/upstreams/origin/servers/{address}/stop"),
    ] {
        assert_eq!(post(&airside, &path).await.status(), 404, "{path}");
    }
    let url = airside.admin_url(&format!("/upstreams/origin/servers/{address}/drain"));
    let get = client().get(&url).send().await.unwrap();
    assert_eq!(get.status(), 405);
    let page = client().post(&url).header("Origin", "http://evil.test");
    assert_eq!(page.send().await.unwrap().status(), 403);
    assert_eq!(states(&airside).await, ["in"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn draining_needs_the_admins_token_where_there_is_one() {
    let origin = Origin::start();
    let top = "admin: { listen: \"{admin}\", token: 0123456789abcdef }";
    let airside = edge::with_top(top, super::ROUTE).origin(&origin).start();
    let path = format!("/upstreams/origin/servers/{}/drain", origin.address());
    assert_eq!(post(&airside, &path).await.status(), 401);
    let list = client().get(airside.admin_url("/upstreams")).send().await;
    assert_eq!(list.unwrap().status(), 401);
    let with = client()
        .post(airside.admin_url(&path))
        .bearer_auth("0123456789abcdef");
    assert_eq!(with.send().await.unwrap().status(), 200);
}
