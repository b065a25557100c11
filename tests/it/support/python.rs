//! Python with the libraries that other people's services use: PyJWT for tokens, openapi-spec-validator for
//! descriptions, httpx for HTTP/2, jsonschema for the configuration's schema, prometheus-client for metrics. Beside it
//! lies a Valkey, which PyPI has and Debian has not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use super::installed::installed;

/// Runs a script that reads JSON from its standard input and writes JSON. Fails with
/// what Python said.
#[track_caller]
pub fn run(script: &str, input: &Value) -> Value {
    let mut child = Command::new(python())
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python runs");
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A script that fails before it reads closes the pipe.
    let _ = stdin.write_all(input.to_string().as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("Python ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("the script writes JSON")
}

/// The interpreter of the environment that `scripts/install-test-deps` makes beside the build.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| installed().join("test-python/bin/python"))
}

/// The program that was installed beside the interpreter.
pub fn valkey_server() -> PathBuf {
    python().with_file_name("valkey-server")
}
