//! Files that are no configuration, where the gateway reads its own anew and where it starts.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use super::{Bystander, admin, metric};
use crate::support::daemon::Daemon;
use crate::support::edge::{get, request};
use crate::support::process::memory;
use crate::support::server::Airside;
use crate::support::wait::{PATIENCE, wait_for};

const CONFIG: &str = r#"
listeners: [{ address: "{gateway}" }]
admin: { listen: "{admin}" }
defaults: { auth: public }
routes:
  - { path: /which, respond: { body: one } }
  - { path: /well, respond: { body: well } }
"#;

fn which(airside: &Airside) -> String {
    airside.raw().exchange(get("/which")).text()
}

/// Each alias stands for ten of the one before.
fn bomb() -> String {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let ten = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{ten}]\n"));
    }
    text
}

/// What stands in the file, and what is said of it.
fn wrong() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let half = CONFIG.len() / 2;
    let long = format!("{CONFIG}# {}\n", "x".repeat(10 << 20));
    let mut bytes = CONFIG.as_bytes().to_vec();
    bytes.extend([b'\n', 0xff, 0xfe, 0, b'\n']);
    vec![
        ("half", CONFIG.as_bytes()[..half].to_vec(), "airside.yaml"),
        ("nothing", Vec::new(), "airside.yaml"),
        ("10 MB", long.into_bytes(), "at most 8388608 are read"),
        ("a bomb of aliases", bomb().into_bytes(), "not valid YAML"),
        ("no text", bytes, "airside.yaml"),
    ]
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn no_file_that_is_no_configuration_is_put_in_place_and_the_next_sound_one_is() {
    let mut airside = Airside::start(CONFIG);
    let bystander = Bystander::of(&airside);
    let file = airside.folder().join("airside.yaml");
    let sound = fs::read(&file).unwrap();
    let id = airside.daemon().id();
    for (what, bytes, word) in wrong() {
        println!("{what}");
        let before = memory(id);
        fs::write(&file, bytes).unwrap();
        let begun = Instant::now();
        let answer = admin(&airside, request("POST", "/reload", &[]));
        assert_eq!(answer.status, 422, "{what}");
        assert!(answer.text().contains(word), "{what}: {}", answer.text());
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
        assert!(memory(id) < before + 100.0, "{what}: {}", memory(id));
        assert_eq!(which(&airside), "one", "{what}");
        bystander.goes_on(5);
    }
    fs::remove_file(&file).unwrap();
    airside.daemon().signal("HUP");
    wait_for("the log", || {
        airside.stderr().contains("not reloaded (SIGHUP)")
    });
    assert_eq!(which(&airside), "one", "deleted");
    let ready = admin(&airside, get("/readyz"));
    assert_eq!(ready.status, 200);
    assert!(
        ready.json()["configuration"]["refused"]["why"].is_string(),
        "{}",
        ready.text()
    );
    let next = String::from_utf8(sound).unwrap().replace("one", "two");
    fs::write(&file, next).unwrap();
    wait_for("the sound file", || which(&airside) == "two");
    bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_file_that_is_being_written_is_not_read_before_it_is_whole() {
    let airside = Airside::start(CONFIG);
    let bystander = Bystander::of(&airside);
    let path = airside.folder().join("airside.yaml");
    let next = fs::read_to_string(&path).unwrap().replace("one", "two");
    let mut file = fs::File::create(&path).unwrap();
    for piece in next.as_bytes().chunks(next.len().div_ceil(25)) {
        file.write_all(piece).unwrap();
        assert_eq!(which(&airside), "one");
        // The pace of a slow writer.
        thread::sleep(Duration::from_millis(100));
    }
    drop(file);
    wait_for("the whole file", || which(&airside) == "two");
    let refused = metric(&airside, "airside_config_reloads_total{result=\"refused\"}");
    assert_eq!(refused, 0.0, "{}", airside.stderr());
    bystander.was_untouched();
}

#[test]
#[ignore = "a fault: run by `make test-faults`"]
fn a_start_on_a_file_that_is_no_configuration_ends_at_once_and_says_why() {
    for (what, bytes, word) in wrong() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("airside.yaml");
        fs::write(&file, bytes).unwrap();
        let begun = Instant::now();
        let mut run = Command::new(env!("CARGO_BIN_EXE_airside"));
        run.env("NO_COLOR", "1").args(["run", "-c"]).arg(&file);
        let ended = Daemon::start(&mut run, "airside").wait_until_ended(PATIENCE);
        assert_eq!(ended.status.code(), Some(1), "{what}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{what}: {}", ended.stderr);
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(10), "{what}: {took:?}");
    }
}
