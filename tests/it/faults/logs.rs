//! The access log's disk is full; the access log is rotated away under load.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::{Bystander, metric};
use crate::support::disk::{Disk, fill};
use crate::support::edge::{get, with_top};
use crate::support::server::{Airside, SetUp};
use crate::support::wait::wait_for;

fn logging_to(file: &str) -> SetUp {
    let top = format!("telemetry: {{ access_log: {{ to: \"{file}\" }} }}");
    with_top(&top, "  - { path: /*, respond: { body: well } }").set("origin", "127.0.0.1:1")
}

/// So many requests, each of which is answered.
fn ask(airside: &Airside, prefix: &str, count: usize) {
    let mut raw = airside.raw();
    for number in 0..count {
        let answer = raw.exchange(get(&format!("/{prefix}/{number}")));
        assert_eq!(answer.status, 200);
    }
}

/// How often each path stands in these files. Every line is whole.
fn paths(files: &[PathBuf]) -> BTreeMap<String, usize> {
    let mut paths = BTreeMap::new();
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            let path = line["path"].as_str().unwrap().to_owned();
            *paths.entry(path).or_default() += 1;
        }
    }
    paths
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_full_disk_under_the_log_costs_lines_which_are_counted_and_no_request() {
    let Some(disk) = Disk::mount() else { return };
    let file = disk.path().join("access.log");
    let airside = logging_to(&file.display().to_string()).start();
    let bystander = Bystander::of(&airside);
    ask(&airside, "before", 100);
    let filler = disk.path().join("filler");
    fill(&filler);
    ask(&airside, "full", 2_000);
    wait_for("lines that are dropped and counted", || {
        metric(&airside, "airside_access_log_dropped_total") > 100.0
    });
    let told = "the access log can't be written";
    wait_for("the program's log", || airside.stderr().contains(told));
    assert_eq!(airside.stderr().matches(told).count(), 1, "once a minute");
    fs::remove_file(&filler).unwrap();
    ask(&airside, "after", 100);
    bystander.was_untouched();
    // The first line after a torn one stands by itself: no more than that one is lost.
    let whole = || {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let is_after = |line: &Value| line["path"].as_str().unwrap().starts_with("/after/");
        lines.filter(is_after).count()
    };
    wait_for("each line after", || whole() == 100);
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_log_that_is_rotated_under_load_has_each_request_exactly_once() {
    let airside = logging_to("{folder}/access.log").start();
    let folder = airside.folder().to_owned();
    let file = folder.join("access.log");
    let mut rotated = Vec::new();
    for round in 0..4 {
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..3)
                .map(|worker| {
                    let (airside, prefix) = (&airside, format!("{round}/{worker}"));
                    scope.spawn(move || ask(airside, &prefix, 500))
                })
                .collect();
            let to = folder.join(format!("access.log.{round}"));
            fs::rename(&file, &to).unwrap();
            rotated.push(to);
            // Requests of the next round bring the file anew, if those of this one did not.
            asking.into_iter().for_each(|one| one.join().unwrap());
        });
        let mut more = 0;
        wait_for("the file anew", || {
            ask(&airside, &format!("more/{round}/{more}"), 1);
            more += 1;
            std::thread::sleep(Duration::from_millis(10));
            file.exists()
        });
    }
    rotated.push(file);
    let each_once = || {
        let paths = paths(&rotated);
        let numbered = paths.keys().filter(|path| !path.starts_with("/more"));
        (numbered.count() == 4 * 3 * 500).then_some(paths)
    };
    wait_for("each line", || each_once().is_some());
    let twice: Vec<_> = each_once()
        .unwrap()
        .into_iter()
        .filter(|(_, count)| *count != 1)
        .collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(rotated.len() == 5 && metric(&airside, "airside_access_log_dropped_total") == 0.0);
}
