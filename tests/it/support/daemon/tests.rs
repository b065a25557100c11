//! Programs that do well, end early, or are not there.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::wait::{PATIENCE, wait_for};
use super::*;

fn bash(script: &str) -> Daemon {
    Daemon::start(Command::new("bash").args(["-c", script]), "bash")
}

/// What a failing test would print.
fn failure(failing: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(failing)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn output_can_be_read_while_the_program_runs() {
    let daemon = bash("echo out; echo err >&2; sleep 60");
    wait_for("both lines", || {
        daemon.stdout() == "out\n" && daemon.stderr() == "err\n"
    });
}

#[test]
fn a_program_that_ends_early_is_reported_with_what_it_said() {
    let mut daemon = bash("echo 'the port is taken' >&2; exit 3");
    let said = failure(|| daemon.wait_until(PATIENCE, "its port", || false));
    assert!(said.contains("exit status: 3"), "{said}");
    assert!(said.contains("the port is taken"), "{said}");
}

#[test]
fn a_program_that_is_never_ready_is_reported_too() {
    let mut daemon = bash("echo busy; sleep 60");
    wait_for("its word", || !daemon.stdout().is_empty());
    let said = failure(|| daemon.wait_until(Duration::ZERO, "its port", || false));
    assert!(said.contains("waited for its port"), "{said}");
    assert!(said.contains("busy"), "{said}");
}

#[test]
fn a_missing_program_names_its_package() {
    let mut command = Command::new("no-such-program");
    let said = failure(|| drop(Daemon::start(&mut command, "the-package")));
    assert!(said.contains("`the-package`"), "{said}");
    let said = failure(|| run(&mut command, "the-package"));
    assert!(said.contains("`the-package`"), "{said}");
}

#[test]
fn a_signal_ends_a_program_and_its_last_words_are_kept() {
    let mut daemon = bash("trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.01; done");
    wait_for("its trap", || !daemon.stdout().is_empty());
    daemon.signal("TERM");
    let ended = daemon.wait_until_ended(PATIENCE);
    assert_eq!(ended.status.code(), Some(7));
    assert_eq!(ended.stdout, "ready\nbye\n");
}

#[test]
fn a_dropped_program_is_gone() {
    let daemon = bash("sleep 60");
    let folder = format!("/proc/{}", daemon.id());
    drop(daemon);
    assert!(!std::path::Path::new(&folder).exists());
}
