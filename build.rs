//! Tells the program which commit it is and which Pingora it stands on, for `airside version`.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rerun-if-changed=.git/HEAD");
    println!("cargo::rerun-if-env-changed=AIRSIDE_COMMIT");
    let commit = std::env::var("AIRSIDE_COMMIT").ok().or_else(git_commit);
    println!(
        "cargo::rustc-env=AIRSIDE_COMMIT={}",
        commit.as_deref().unwrap_or("unknown")
    );
    println!(
        "cargo::rustc-env=AIRSIDE_PINGORA={}",
        pingora().as_deref().unwrap_or("unknown")
    );
}

/// `None` outside a repository, such as in an unpacked archive.
fn git_commit() -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn pingora() -> Option<String> {
    let lock = std::fs::read_to_string("Cargo.lock").ok()?;
    let (_, entry) = lock.split_once("name = \"pingora\"\nversion = \"")?;
    entry.split('"').next().map(str::to_owned)
}
