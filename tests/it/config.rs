//! `airside check` on wrong files, the whole grammar, and the shipped configurations.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::schema::plain;
use crate::support::edge;
use crate::support::origin::Origin;

/// Runs the program where file names are short: in the project's folder.
fn airside(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_airside"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("AIRSIDE_CONFIG")
        .env("AIRSIDE_TEST_SECRET", "hunter2")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    files.sort();
    files
}

#[test]
fn each_wrong_file_gets_its_diagnostic() {
    let wrong = files("tests/it/wrong");
    assert!(wrong.len() >= 40);
    for file in wrong {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let output = airside(&["check", "-c", &format!("tests/it/wrong/{name}.yaml")]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{name}: {}",
            text(&output.stdout)
        );
        assert!(output.stdout.is_empty(), "diagnostics go to stderr: {name}");
        let diagnostics = text(&output.stderr);
        assert!(
            !diagnostics.contains("hunter2"),
            "a secret is printed: {name}"
        );
        insta::with_settings!({ omit_expression => true, snapshot_path => "wrong", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, diagnostics);
        });
    }
}

/// Sound, and hardly meant: told with its line, and no reason to refuse.
#[test]
fn each_warned_file_is_sound_and_gets_its_warnings() {
    let warned = files("tests/it/warned");
    assert!(warned.len() >= 7);
    for file in warned {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let file = format!("tests/it/warned/{name}.yaml");
        let output = airside(&["check", "-c", &file]);
        let diagnostics = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{name}: {diagnostics}");
        assert!(text(&output.stdout).contains("sound"), "{name}");
        assert!(diagnostics.contains("warning"), "{name}");
        insta::with_settings!({ omit_expression => true, snapshot_path => "warned", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name.as_str(), diagnostics);
        });
        let output = airside(&["check", "--format", "json", "-c", &file]);
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["sound"], true, "{name}");
        for problem in json["problems"].as_array().unwrap() {
            assert_eq!(problem["severity"], "warning", "{name}");
            assert!(problem["line"].as_u64().unwrap() > 0, "{name}: {problem}");
        }
    }
}

#[test]
fn run_tells_a_warning_and_serves() {
    let top = "limits: { spare: { rate: 1/1s } }";
    let set_up = edge::with_top(top, "  - { path: /a, upstream: origin }");
    let origin = Origin::start();
    let airside = set_up.origin(&origin).start();
    let said = airside.stderr();
    assert!(
        said.contains("warning: no route uses the limit `spare`"),
        "{said}"
    );
    assert_eq!(airside.raw().exchange(edge::get("/a")).status, 200);
}

#[test]
fn run_refuses_what_check_refuses() {
    for name in ["unknown-key-route", "name-server-key", "missing-auth"] {
        let output = airside(&["run", "-c", &format!("tests/it/wrong/{name}.yaml")]);
        assert_eq!(output.status.code(), Some(1), "{name}");
        let checked = airside(&["check", "-c", &format!("tests/it/wrong/{name}.yaml")]);
        assert_eq!(output.stderr, checked.stderr, "{name}");
    }
}

#[test]
fn every_problem_is_told_as_json_with_its_place() {
    let output = airside(&[
        "check",
        "--format",
        "json",
        "-c",
        "tests/it/wrong/value-several-at-once.yaml",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["sound"], false);
    let problems = json["problems"].as_array().unwrap();
    assert!(problems.len() >= 5, "{json:#}");
    for problem in problems {
        assert!(problem["line"].as_u64().unwrap() > 0 && problem["column"].as_u64().unwrap() > 0);
        assert!(
            problem["source"]
                .as_str()
                .is_some_and(|line| !line.is_empty()),
            "{problem}"
        );
        assert_eq!(problem["file"], "tests/it/wrong/value-several-at-once.yaml");
    }
}

/// The grammar as a whole: nothing in this file is unknown, wrong or not built; some of it is advised against.
#[test]
fn the_file_with_every_key_is_sound() {
    let output = Command::new(env!("CARGO_BIN_EXE_airside"))
        .args(["check", "--format", "json", "-c", "tests/it/full.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = json["problems"].as_array().unwrap();
    assert_eq!(json["sound"], true, "{problems:#?}");
    let lines = problems.iter().map(|problem| {
        format!(
            "{} {}\n",
            problem["line"],
            problem["message"].as_str().unwrap()
        )
    });
    insta::with_settings!({ omit_expression => true, snapshot_path => ".", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("full.yaml", lines.collect::<String>());
    });
}

#[test]
fn the_shipped_configurations_are_sound() {
    for file in files("conf") {
        let output = airside(&["check", "-c", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("sound"));
        assert_eq!(text(&output.stderr), "", "no advice for them");
    }
}

/// Two readers, one meaning: a file must not depend on which YAML library reads it.
#[test]
fn both_yaml_libraries_read_each_shipped_file_alike() {
    let mut all = files("conf");
    all.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/full.yaml"));
    for file in all {
        let source = std::fs::read_to_string(&file).unwrap();
        let ours = plain(&airside::base::yaml::read(&source).unwrap().value);
        let theirs: Value = serde_yaml::from_str(&source).unwrap();
        assert_eq!(ours, theirs, "{}", file.display());
    }
}

#[test]
fn the_shipped_schema_is_the_one_that_the_program_makes() {
    let made = airside(&["schema"]);
    assert_eq!(made.status.code(), Some(0));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/schema.json");
    let shipped = std::fs::read_to_string(shipped).unwrap();
    assert!(
        text(&made.stdout) == shipped,
        "write it anew: airside schema > conf/schema.json"
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = airside(&["check", "-c", "no/such/file.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("no/such/file.yaml"));
}

#[test]
fn a_wrong_call_is_usage_and_exits_with_2() {
    for arguments in [
        &["check", "--fromat", "json"][..],
        &["chekc"],
        &["run", "--downgrade"],
    ] {
        assert_eq!(airside(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_routes_are_shown_as_a_table() {
    let output = airside(&["routes", "-c", "conf/airside.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::with_settings!({ omit_expression => true, snapshot_path => ".", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("routes", text(&output.stdout));
    });
}

#[test]
fn the_table_of_routes_says_from_where() {
    let output = airside(&["routes", "-c", "tests/it/warned/unused-networks.yaml"]);
    let told = text(&output.stdout);
    let expected =
        "anyone from 192.0.2.128/25, 203.0.113.0/24 but not 192.0.2.7, 198.51.100.1 and 1 more";
    assert_eq!(told.matches(expected).count(), 2, "{told}");
}

#[test]
fn the_version_names_commit_and_pingora() {
    let shown = text(&airside(&["version"]).stdout);
    assert!(
        shown.starts_with(&format!("airside {} (commit ", env!("CARGO_PKG_VERSION"))),
        "{shown}"
    );
    assert!(shown.contains("\npingora 0.9.1\n"), "{shown}");
}

#[test]
fn the_configuration_may_be_named_by_the_environment() {
    let output = Command::new(env!("CARGO_BIN_EXE_airside"))
        .arg("check")
        .env("AIRSIDE_CONFIG", "conf/airside.yaml")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
}
