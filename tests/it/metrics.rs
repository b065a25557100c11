//! The page of metrics: every name of the contract that there is, with labels from the configuration
//! only, and every request once.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::support::edge::{self, get, request};
use crate::support::origin::{Origin, Reply};
use crate::support::people::{self, Api, PASSWORD};
use crate::support::raw::once;
use crate::support::server::Airside;
use crate::support::wait::wait_for;

mod decided;

/// The samples of a scrape, which must be well-formed.
fn scrape(airside: &Airside) -> BTreeMap<String, f64> {
    let url = airside.admin_url("");
    let address: SocketAddr = url.trim_start_matches("http://").parse().unwrap();
    let answer = once(address, get("/metrics"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4");
    let mut samples = BTreeMap::new();
    let mut families = Vec::new();
    for line in answer.text().lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, _) = family.split_once(' ').unwrap();
            assert!(!families.contains(&name.to_owned()), "twice: {name}");
            families.push(name.to_owned());
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let known = families.last().unwrap();
        assert!(sample.starts_with(known.as_str()), "{sample} in {known}");
        let before = samples.insert(sample.to_owned(), value.parse().unwrap());
        assert_eq!(before, None, "twice: {sample}");
    }
    samples
}

fn of(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    samples.get(name).copied().unwrap_or_default()
}

#[test]
fn every_request_is_counted_once_by_route_and_status() {
    let routes = "  - { path: /a, upstream: origin }\n\
                  \x20 - { name: closed, path: /b, respond: { status: 200 }, deny: [127.0.0.1] }\n\
                  \x20 - { path: /c, upstream: origin, methods: [GET] }\n\
                  \x20 - { path: /c, upstream: origin, methods: [POST] }";
    let (airside, origin) = edge::start(routes);
    origin.on("/a", Reply::new(503, "no"));
    for _ in 0..3 {
        airside.raw().exchange(get("/a"));
    }
    airside.raw().exchange(get("/b"));
    airside.raw().exchange(get("/c"));
    airside
        .raw()
        .exchange(request("POST", "/c", &[("Content-Length", "0")]));
    airside.raw().exchange(get("/nowhere/with?a=query"));
    let requests = |route: &str, status: u16| {
        format!("airside_requests_total{{route=\"{route}\",status=\"{status}\"}}")
    };
    wait_for("seven requests", || {
        let samples = scrape(&airside);
        let all = samples
            .iter()
            .filter(|(name, _)| name.starts_with("airside_requests_total{"));
        all.map(|(_, count)| count).sum::<f64>() == 7.0
    });
    let samples = scrape(&airside);
    assert_eq!(of(&samples, &requests("/a", 503)), 3.0);
    assert_eq!(of(&samples, &requests("closed", 403)), 1.0);
    assert_eq!(of(&samples, &requests("/c", 200)), 2.0);
    assert_eq!(of(&samples, &requests("", 404)), 1.0);
    let refused = samples
        .iter()
        .find(|(name, _)| name.starts_with("airside_auth_refusals_total{"));
    let (name, count) = refused.unwrap();
    assert!(name.contains("route=\"closed\"") && *count == 1.0, "{name}");
    for family in [
        "airside_request_duration_seconds",
        "airside_gateway_duration_seconds",
    ] {
        assert_eq!(
            of(&samples, &format!("{family}_count{{route=\"/a\"}}")),
            3.0
        );
        assert_eq!(
            of(
                &samples,
                &format!("{family}_bucket{{route=\"/a\",le=\"+Inf\"}}")
            ),
            3.0
        );
        assert!(of(&samples, &format!("{family}_sum{{route=\"/a\"}}")) > 0.0);
    }
    let all = samples
        .keys()
        .filter(|name| name.starts_with("airside_in_flight_requests{"));
    assert!(all.clone().count() >= 3 && all.into_iter().all(|name| samples[name] == 0.0));
    assert!(
        !samples
            .keys()
            .any(|name| name.contains("nowhere") || name.contains("query"))
    );
}

#[test]
fn what_is_going_on_and_what_the_process_takes_is_shown() {
    let (airside, origin) = edge::start("  - { path: /slow, upstream: origin }");
    origin.on(
        "/slow",
        Reply::new(200, "x").after(std::time::Duration::from_secs(2)),
    );
    let mut raw = airside.raw();
    raw.send(get("/slow"));
    origin.wait_for_requests(1);
    airside.raw().exchange(get("/nowhere"));
    let in_flight = "airside_in_flight_requests{route=\"/slow\"}";
    assert_eq!(of(&scrape(&airside), in_flight), 1.0);
    raw.read();
    wait_for("its end", || of(&scrape(&airside), in_flight) == 0.0);
    let samples = scrape(&airside);
    assert_eq!(of(&samples, "airside_config_version"), 1.0);
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "process_threads",
    ] {
        assert!(of(&samples, name) > 0.0, "{name}");
    }
}

#[test]
fn servers_are_counted_by_what_became_of_attempts_and_retries_by_what_became_of_them() {
    let (good, bad) = (Origin::start(), Origin::start());
    bad.on("/a", Reply::new(503, "no"));
    let (one, other) = (good.address(), bad.address());
    let top = format!(
        "upstreams:\n  both: {{ servers: [\"{one}\", \"{other}\"], balance: round_robin, \
         retry: {{ on: [503] }}, ejection: {{ failures: 2 }} }}"
    );
    let airside = edge::with_top(&top, "  - { path: /*, upstream: both }").start();
    for _ in 0..4 {
        assert_eq!(airside.raw().exchange(get("/a")).status, 200);
    }
    airside
        .raw()
        .exchange(request("POST", "/a", &[("Content-Length", "0")]));
    let of_server =
        |samples: &BTreeMap<String, f64>, family: &str, server: SocketAddr, more: &str| {
            let labels = format!("upstream=\"both\",server=\"{server}\"{more}");
            of(samples, &format!("airside_upstream_{family}{{{labels}}}"))
        };
    let ok = ",result=\"ok\"";
    wait_for("five answers of the good one", || {
        of_server(&scrape(&airside), "requests_total", one, ok) == 5.0
    });
    let samples = scrape(&airside);
    let failed = of_server(&samples, "requests_total", other, ",result=\"failed\"");
    assert_eq!(failed, 2.0, "then it is left out");
    assert_eq!(of_server(&samples, "healthy", one, ""), 1.0);
    assert_eq!(of_server(&samples, "healthy", other, ""), 0.0);
    let sent = "airside_retries_total{upstream=\"both\",result=\"sent\"}";
    assert_eq!(of(&samples, sent), 2.0);
}

#[tokio::test]
async fn sign_ins_are_counted_by_how_they_ended() {
    let origin = Origin::start();
    let airside = people::set_up(&origin).start();
    let api = Api::at(airside.url(""));
    api.join("ann@example.com").await;
    api.sign_in("ann@example.com", "wrong horse").await;
    api.sign_in("nobody@example.com", PASSWORD).await;
    let samples = scrape(&airside);
    let signins = |result: &str| {
        of(
            &samples,
            &format!("airside_signins_total{{result=\"{result}\"}}"),
        )
    };
    assert_eq!((signins("ok"), signins("invalid_credentials")), (1.0, 2.0));
    assert_eq!(of(&samples, "airside_password_queue_depth"), 0.0);
    let text = format!("{samples:?}");
    assert!(!text.contains("ann") && !text.contains("nobody"), "{text}");
}
