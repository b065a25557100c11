//! Python with the libraries that other people's services use: PyJWT for tokens, openapi-spec-validator for
//! descriptions, jsonschema for the configuration's schema, prometheus-client for metrics.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

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

/// The interpreter of the environment that `scripts/install-test-deps` makes beside the build; the script
/// is run where that is missing.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        // `…/debug/airside` lies two folders below where builds go.
        let program = Path::new(env!("CARGO_BIN_EXE_airside"));
        let builds = program.ancestors().nth(2).expect("a folder of builds");
        let python = builds.join("test-python/bin/python");
        let mut probe = Command::new(&python);
        probe
            .args([
                "-c",
                "import jwt, cryptography, openapi_spec_validator, jsonschema, prometheus_client",
            ])
            .stderr(Stdio::null());
        if !probe.status().is_ok_and(|status| status.success()) {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install-test-deps");
            let mut install = Command::new("sh");
            install.arg(script).env("CARGO_TARGET_DIR", builds);
            let status = install.status().expect("a shell runs");
            assert!(status.success(), "{script} has failed");
        }
        python
    })
}
