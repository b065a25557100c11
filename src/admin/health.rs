//! Is the process alive, and is it ready for traffic? What is not ready is named.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Everything that must be ready.
#[derive(Clone, Default)]
pub struct Readiness {
    checks: Vec<(Cow<'static, str>, Check)>,
    several: Vec<Several>,
}

/// Errors: what is wrong, for an operator.
pub type Check = Arc<dyn Fn() -> Checking + Send + Sync>;
/// What of several things is not ready, by name, and why; which there are may change.
pub type Several = Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>;
pub type Checking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

impl Readiness {
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, check: Check) {
        self.checks.push((name.into(), check));
    }

    pub fn add_several(&mut self, checks: Several) {
        self.several.push(checks);
    }

    /// What is not ready, by name.
    pub async fn missing(&self) -> Vec<(String, String)> {
        let several = self.several.iter().flat_map(|checks| checks());
        let mut missing: Vec<_> = several.collect();
        for (name, check) in &self.checks {
            let checked = tokio::time::timeout(PATIENCE, check()).await;
            let checked = checked.unwrap_or_else(|_| Err("it did not answer in time".to_owned()));
            missing.extend(checked.err().map(|why| (name.to_string(), why)));
        }
        missing
    }
}

/// Below what probes wait.
const PATIENCE: Duration = Duration::from_millis(500);
