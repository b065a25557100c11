//! The files in `dist/` against the program: dashboards and alerts name metrics that a scrape has, each alert
//! has its place in the runbook, and what containers are given is a sound configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::edge::{self, get};
use crate::support::origin::{Origin, Reply};
use crate::support::people::{self, Api, PASSWORD};
use crate::support::raw::once;
use crate::support::server::Airside;
use crate::support::wait::wait_for;

/// What Prometheus adds itself.
const OF_PROMETHEUS: &[&str] = &["instance", "job", "le"];

/// Each metric of a scrape that has seen everything, with its labels; histograms by the names of their samples.
type Metrics = BTreeMap<String, BTreeSet<String>>;

/// Scrapes a gateway with identity, upstreams, retries and refusals.
async fn everything() -> Metrics {
    let mut metrics = Metrics::new();
    let origin = Origin::start();
    let airside = people::set_up(&origin).start();
    let api = Api::at(airside.url(""));
    api.join("ann@example.com").await;
    api.sign_in("nobody@example.com", PASSWORD).await;
    add(&mut metrics, &scrape(&airside));
    tokio::task::spawn_blocking(|| {
        let (good, bad) = (Origin::start(), Origin::start());
        bad.on("/a", Reply::new(503, "no"));
        let top = format!(
            "upstreams:\n  both: {{ servers: [\"{}\", \"{}\"], balance: round_robin, \
             retry: {{ on: [503] }} }}",
            good.address(),
            bad.address()
        );
        let routes = "  - { path: /a, upstream: both, limits: [{ rate: 100/1m }] }\n\
                      \x20 - { path: /b, upstream: both, deny: [127.0.0.1] }";
        let airside = edge::with_top(&top, routes).start();
        for path in ["/a", "/a", "/b"] {
            airside.raw().exchange(get(path));
        }
        wait_for("three requests", || {
            scrape(&airside).matches("airside_requests_total{").count() >= 2
        });
        let mut metrics = Metrics::new();
        add(&mut metrics, &scrape(&airside));
        metrics
    })
    .await
    .map(|more| metrics.extend(more))
    .unwrap();
    metrics
}

fn scrape(airside: &Airside) -> String {
    let url = airside.admin_url("");
    let address = url.trim_start_matches("http://").parse().unwrap();
    once(address, get("/metrics")).text()
}

fn add(metrics: &mut Metrics, page: &str) {
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (sample, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let known = metrics.entry(name.to_owned()).or_default();
        let mut rest = labels.trim_end_matches('}');
        while let Some((label, value)) = rest.split_once("=\"") {
            known.insert(label.trim_start_matches(',').to_owned());
            // The tests' own names hold no quotes.
            rest = value.split_once('"').unwrap().1;
        }
    }
}

/// The expressions of the dashboard, in its variables too.
fn of_the_dashboard() -> Vec<String> {
    let text = fs::read_to_string(root().join("dist/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    collect(&dashboard, &["expr", "definition"], &mut found);
    assert!(found.len() >= 20, "{found:?}");
    found
}

fn of_the_alerts() -> Vec<String> {
    let mut found = Vec::new();
    collect(&alerts(), &["expr"], &mut found);
    assert!(found.len() >= 15, "{found:?}");
    found
}

fn alerts() -> Value {
    let text = fs::read_to_string(root().join("dist/prometheus-alerts.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

fn collect(value: &Value, keys: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => found.push(text.clone()),
                    value => collect(value, keys, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, keys, found)),
        _ => {}
    }
}

/// The metrics that an expression names, each with the labels that it is asked for by.
fn named(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found: Vec<(String, BTreeSet<String>)> = Vec::new();
    let mut rest = expression;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if ["airside_", "process_"]
            .iter()
            .any(|own| word.starts_with(own))
        {
            let selector = after
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'));
            let labels = selector.map_or("", |(labels, _)| labels);
            found.push((word.to_owned(), selected(labels)));
            rest = selector.map_or(after, |(_, after)| after);
        } else if after.starts_with('"') || after.starts_with('\'') {
            rest = &after[1..];
        }
    }
    // `by (…)` is of the metrics beside it.
    for part in expression.split(" by (").skip(1) {
        let labels = part.split(')').next().unwrap().split(',');
        let labels: Vec<_> = labels.map(|label| label.trim().to_owned()).collect();
        let made = expression.contains("label_replace");
        for (_, known) in &mut found {
            let labels = labels.iter().filter(|label| !(made && *label == "class"));
            known.extend(labels.cloned());
        }
    }
    found
}

fn selected(labels: &str) -> BTreeSet<String> {
    let labels = labels.split(',').filter(|label| label.contains(['=', '~']));
    let name = |label: &str| {
        let end = label.find(['=', '!']).unwrap();
        label[..end].trim().to_owned()
    };
    labels.map(name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_and_alerts_ask_for_metrics_and_labels_that_there_are() {
    let metrics = everything().await;
    let mut asked_for = BTreeSet::new();
    for expression in of_the_dashboard().into_iter().chain(of_the_alerts()) {
        for (metric, labels) in named(&expression) {
            let known = metrics.get(&metric);
            let known = known.unwrap_or_else(|| panic!("{metric} is not scraped: {expression}"));
            for label in labels {
                let own = OF_PROMETHEUS.contains(&label.as_str());
                assert!(
                    own || known.contains(&label),
                    "{metric}: no {label}: {expression}"
                );
            }
            asked_for.insert(metric);
        }
    }
    assert!(asked_for.len() >= 18, "{asked_for:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_metric_is_in_the_pages() {
    let page = fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    for metric in everything().await.keys() {
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| metric.strip_suffix(end))
            .unwrap_or(metric);
        assert!(
            page.contains(&format!("`{family}")),
            "{family} is not in docs/OPERATIONS.md"
        );
    }
}

#[test]
fn each_alert_says_what_to_do_in_the_runbook() {
    let page = fs::read_to_string(root().join("docs/OPERATIONS.md")).unwrap();
    let alerts = alerts();
    let rules = alerts["groups"][0]["rules"].as_array().unwrap();
    let mut names = BTreeSet::new();
    for rule in rules {
        let name = rule["alert"].as_str().unwrap();
        let heading = format!("\n### {name}\n");
        let (_, section) = page
            .split_once(&heading)
            .unwrap_or_else(|| panic!("docs/OPERATIONS.md has no `### {name}`"));
        let section = section.split("\n#").next().unwrap();
        assert!(section.len() > 150, "{name}: what is one to do? {section}");
        let link = format!("docs/OPERATIONS.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook"], link, "{name}");
        assert!(rule["labels"]["severity"].is_string(), "{name}");
        assert!(rule["annotations"]["summary"].is_string(), "{name}");
        assert!(names.insert(name), "twice: {name}");
    }
    let sections = page
        .lines()
        .filter_map(|line| line.strip_prefix("### Airside"));
    for section in sections {
        let name = format!("Airside{section}");
        assert!(names.contains(name.as_str()), "no alert is called {name}");
    }
}

/// Panels that lie on each other, or have one number, are not shown.
#[test]
fn the_dashboards_panels_have_places_of_their_own() {
    let text = fs::read_to_string(root().join("dist/grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        let place = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{}", panel["title"]);
            }
        }
    }
    assert!(ids.len() > 15);
}

#[test]
fn the_containers_run_a_configuration_that_is_sound() {
    let text = fs::read_to_string(root().join("dist/docker-compose.yaml")).unwrap();
    let mut compose: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    compose.apply_merge().unwrap();
    let compose: Value = serde_json::to_value(compose).unwrap();
    let services = compose["services"].as_object().unwrap();
    let names: Vec<_> = services.keys().map(String::as_str).collect();
    assert_eq!(names, ["database", "gateway-a", "gateway-b", "redis"]);
    let volumes = compose["volumes"].as_object().unwrap();
    let mut looked_at = 0;
    for name in ["gateway-a", "gateway-b"] {
        let service = &services[name];
        for dependency in service["depends_on"].as_object().unwrap().keys() {
            let health = &services[dependency]["healthcheck"];
            assert!(health["test"].is_array(), "{dependency} is waited for");
        }
        for volume in service["volumes"].as_array().unwrap() {
            let volume = volume.as_str().unwrap();
            let (from, rest) = volume.split_once(':').unwrap();
            if !from.starts_with('.') {
                assert!(volumes.contains_key(from), "{volume}");
                continue;
            }
            let file = root().join("dist").join(from);
            assert_eq!(rest, "/etc/airside/airside.yaml:ro");
            assert_eq!(
                service["environment"]["AIRSIDE_CONFIG"],
                "/etc/airside/airside.yaml"
            );
            let mut check = Command::new(env!("CARGO_BIN_EXE_airside"));
            check.args(["check", "-c"]).arg(&file).env("NO_COLOR", "1");
            // Each variable that the file asks for is one that the containers get.
            for (name, _) in service["environment"].as_object().unwrap() {
                check.env(name, "0123456789abcdef");
            }
            check.env_remove("AIRSIDE_CONFIG");
            let output = check.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.is_empty(), "{said}");
            looked_at += 1;
            // Its port is the one that is published, and its own network's names are services.
            let config = fs::read_to_string(&file).unwrap();
            assert!(config.contains("0.0.0.0:3001") && config.contains("@database:3306"));
            assert!(config.contains("redis://redis:6379"));
            let port = service["ports"][0].as_str().unwrap();
            assert!(port.ends_with(":3001"), "{port}");
        }
    }
    assert_eq!(looked_at, 2);
}

/// A tool that reads what it is given, for whoever changes these tests.
#[test]
fn names_in_expressions_are_found_with_their_labels() {
    let found = named(
        "sum by (a, le) (rate(airside_x_total{b=\"1\",c!~\"x|y\"}[5m])) / on (d) process_y > 0",
    );
    let labels = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let expected: Vec<(String, BTreeSet<String>)> = vec![
        ("airside_x_total".to_owned(), labels(&["a", "b", "c", "le"])),
        ("process_y".to_owned(), labels(&["a", "le"])),
    ];
    assert_eq!(found, expected);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
