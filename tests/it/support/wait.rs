//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that is done at once on an idle machine; generous, for busy ones.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until `probe` brings something, at most `patience` long.
pub fn until<T>(patience: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        // Between two looks; nothing depends on how long it is.
        thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for `condition`, which is asked of something else than this process, or fails naming it.
pub async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + 3 * PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        // Between two looks; nothing depends on how long it is.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for `condition`, or fails naming it.
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let met = until(PATIENCE, || condition().then_some(()));
    assert!(met.is_some(), "waited {PATIENCE:?} in vain for {what}");
}
