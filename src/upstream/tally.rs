//! Retries of an upstream, by what became of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A counter for each of `RESULTS`.
#[derive(Debug, Default)]
pub struct Tally([AtomicU64; RESULTS.len()]);

impl Tally {
    /// `result` is one of `RESULTS`; anything else is not counted.
    pub fn count(&self, result: &str) {
        let mut all = RESULTS.iter().zip(&self.0);
        if let Some((_, count)) = all.find(|(known, _)| **known == result) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed));
        RESULTS.into_iter().zip(counts)
    }
}

/// It was sent again.
pub const SENT: &str = "sent";
/// `SENT`, or why it was not.
const RESULTS: [&str; 6] = [SENT, "attempts", "method", "body", "deadline", "budget"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_result_has_a_counter_of_its_own() {
        let tally = Tally::default();
        for result in [SENT, "budget", SENT, "no result"] {
            tally.count(result);
        }
        let counted: Vec<_> = tally.counts().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [(SENT, 2), ("budget", 1)]);
    }
}
