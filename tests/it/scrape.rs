//! The page of metrics, read by the Prometheus project's own parser and held to its naming conventions.

use serde_json::{Value, json};

use crate::support::edge::{self, get};
use crate::support::origin::{Origin, Reply};
use crate::support::people::{self, Api, PASSWORD};
use crate::support::python;
use crate::support::raw::once;
use crate::support::server::Airside;
use crate::support::wait::wait_for;

/// What `promtool check metrics` looks at, and that nothing stands twice.
const LINT: &str = r##"
import json, re, sys
from prometheus_client.parser import text_string_to_metric_families

page = json.load(sys.stdin)["page"]
problems, seen, families = [], set(), {}

def wrong(name, what):
    problems.append(f"{name}: {what}")

for line in page.splitlines():
    if line.startswith("# TYPE ") or line.startswith("# HELP "):
        _, kind, name, rest = line.split(" ", 3)
        if (kind, name) in seen:
            wrong(name, f"{kind} twice")
        seen.add((kind, name))
        if kind == "TYPE" and (rest == "counter") != name.endswith("_total"):
            wrong(name, "a counter without _total, or what is none with it")
        if kind == "HELP" and not re.search(r"[.]$", rest):
            wrong(name, "HELP is no sentence")
    elif line.startswith("#"):
        wrong(line, "a comment")
for kind, name in list(seen):
    if (("TYPE" if kind == "HELP" else "HELP"), name) not in seen:
        wrong(name, "HELP or TYPE is missing")

samples = set()
for family in text_string_to_metric_families(page):
    name = family.name
    families[name] = family.type
    if family.type == "unknown":
        wrong(name, "no type")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        wrong(name, "not in snake case")
    if not re.match(r"(airside|process)_", name):
        wrong(name, "no prefix")
    if re.search(r"_(counter|gauge|histogram|total|count|sum|bucket)$", name):
        wrong(name, "its type is in its name")
    if re.search(r"_(ms|millis|milliseconds|us|micros|minutes|kb|mb|percent|ratio100)(_|$)", name):
        wrong(name, "not in base units")
    for sample in family.samples:
        key = (sample.name, tuple(sorted(sample.labels.items())))
        if key in samples:
            wrong(sample.name, f"twice: {sample.labels}")
        samples.add(key)
        for label in sample.labels:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", label) or label.startswith("__"):
                wrong(sample.name, f"label {label}")
            if label == "le" and family.type != "histogram":
                wrong(sample.name, "le outside of a histogram")
        if family.type in ("counter", "histogram") and sample.value < 0:
            wrong(sample.name, "below zero")
    if family.type == "histogram":
        series = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                labels = {k: v for k, v in sample.labels.items() if k != "le"}
                bound = float(sample.labels["le"])
                series.setdefault(json.dumps(labels, sort_keys=True), []).append((bound, sample.value))
        for labels, buckets in series.items():
            if buckets != sorted(buckets) or [v for _, v in buckets] != sorted(v for _, v in buckets):
                wrong(name, f"buckets out of order: {labels}")
            if buckets[-1][0] != float("inf"):
                wrong(name, "no +Inf")
            if not (buckets[0][0] <= 0.0001 and buckets[-2][0] >= 120):
                wrong(name, "not from microseconds to minutes")
            counts = [s.value for s in family.samples if s.name.endswith("_count")
                      and json.dumps(s.labels, sort_keys=True) == labels]
            if counts != [buckets[-1][1]]:
                wrong(name, "_count is not the last bucket")
json.dump({"problems": problems, "families": families}, sys.stdout)
"##;

fn page(airside: &Airside) -> String {
    let url = airside.admin_url("");
    let address = url.trim_start_matches("http://").parse().unwrap();
    once(address, get("/metrics")).text()
}

fn lint(page: &str) -> Value {
    python::run(LINT, &json!({ "page": page }))
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_own_parser_reads_the_page_and_finds_every_name_of_the_contract() {
    let origin = Origin::start();
    let airside = people::set_up(&origin).start();
    let api = Api::at(airside.url(""));
    api.join("ann@example.com").await;
    api.sign_in("nobody@example.com", PASSWORD).await;
    api.ask("GET", "/auth/me", "no token").await;
    let linted = lint(&page(&airside));
    assert_eq!(linted["problems"], json!([]));
    for name in ["airside_signins", "airside_password_queue_depth"] {
        assert!(linted["families"].get(name).is_some(), "{name}");
    }
}

#[test]
fn names_in_labels_may_hold_anything_and_each_name_of_the_edge_is_there() {
    let bad = Origin::start();
    bad.on("/a", Reply::new(503, "no"));
    let top = format!(
        "upstreams:\n  u.1-x: {{ servers: [\"{}\"], retry: {{ on: [503] }} }}",
        bad.address()
    );
    let routes = "  - { name: \"a \\\"quoted\\\" {name}, \\\\ ä\", path: /a, upstream: u.1-x }\n\
                  \x20 - { path: \"/b/{id}\", upstream: u.1-x, deny: [127.0.0.1] }";
    let airside = edge::with_top(&top, routes).start();
    for path in ["/a", "/b/1", "/none"] {
        airside.raw().exchange(get(path));
    }
    wait_for("three requests", || {
        page(&airside).matches("\nairside_requests_total{").count() == 3
    });
    let linted = lint(&page(&airside));
    assert_eq!(linted["problems"], json!([]));
    for (name, kind) in [
        ("airside_requests", "counter"),
        ("airside_request_duration_seconds", "histogram"),
        ("airside_gateway_duration_seconds", "histogram"),
        ("airside_in_flight_requests", "gauge"),
        ("airside_upstream_requests", "counter"),
        ("airside_upstream_healthy", "gauge"),
        ("airside_retries", "counter"),
        ("airside_auth_refusals", "counter"),
        ("airside_config_reloads", "counter"),
        ("airside_config_version", "gauge"),
        ("airside_access_log_dropped", "counter"),
        ("process_cpu_seconds", "counter"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_virtual_memory_bytes", "gauge"),
        ("process_start_time_seconds", "gauge"),
        ("process_open_fds", "gauge"),
        ("process_max_fds", "gauge"),
        ("process_threads", "gauge"),
    ] {
        assert_eq!(
            linted["families"][name], kind,
            "{name}: {}",
            linted["families"]
        );
    }
}

/// The linter itself: what it is there for is found.
#[test]
fn a_page_with_faults_is_found_out() {
    for (page, fault) in [
        (
            "# HELP airside_x X.\n# TYPE airside_x counter\nairside_x 1\n",
            "without _total",
        ),
        (
            "# TYPE airside_x gauge\nairside_x 1\n",
            "HELP or TYPE is missing",
        ),
        ("# HELP x X.\n# TYPE x gauge\nx 1\n", "no prefix"),
        (
            "# HELP airside_x X.\n# TYPE airside_x gauge\nairside_x 1\nairside_x 2\n",
            "twice",
        ),
        (
            "# HELP airside_x_ms X.\n# TYPE airside_x_ms gauge\nairside_x_ms 1\n",
            "base units",
        ),
    ] {
        let problems = lint(page)["problems"].to_string();
        assert!(problems.contains(fault), "{fault}: {problems}");
    }
}
