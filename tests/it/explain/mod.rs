//! `airside explain` and `airside test`: what they say, and that it is what the gateway does.

use std::process::{Command, Output};

use serde_json::Value;

mod agreement;
mod commands;
mod page;
mod random;

/// Runs the program where file names are short: in the project's folder.
fn airside(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_airside"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("AIRSIDE_CONFIG")
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What `explain` says of a request to a configuration, as JSON.
#[track_caller]
fn explained(config: &str, arguments: &[&str]) -> Value {
    let output = airside(&[&["explain", "--format", "json", "-c", config], arguments].concat());
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}
