//! What `scripts/install-test-deps` puts beside the build: Python's libraries and Node's.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder that has `test-python` and `test-node`.
pub fn installed() -> &'static Path {
    static BUILDS: OnceLock<PathBuf> = OnceLock::new();
    BUILDS.get_or_init(|| {
        // `…/debug/airside` lies two folders below where builds go.
        let program = Path::new(env!("CARGO_BIN_EXE_airside"));
        let builds = program.ancestors().nth(2).expect("a folder of builds");
        // It does nothing where nothing is missing.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/install-test-deps");
        let mut install = Command::new("sh");
        install.arg(script).env("CARGO_TARGET_DIR", builds);
        let status = install.status().expect("a shell runs");
        assert!(status.success(), "{script} has failed");
        builds.to_owned()
    })
}

/// Where Node finds the modules, for `NODE_PATH`.
pub fn modules(builds: &Path) -> PathBuf {
    builds.join("test-node/node_modules")
}
