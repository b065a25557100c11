//! How many requests may be sent again: a share of all, so that retries never double the load of an upstream that
//! can't bear it.

use std::sync::atomic::{AtomicI64, Ordering};

/// Tokens: each request brings its share of one, each retry takes one. At most `MOST` are kept.
#[derive(Debug)]
pub struct Budget {
    /// Thousandths of a token that a request brings.
    share: i64,
    thousandths: AtomicI64,
}

impl Budget {
    pub fn new(share: f64) -> Self {
        let share = (share * 1_000.0).round() as i64;
        let begin = if share > 0 { BEGIN } else { 0 };
        Self {
            share,
            thousandths: AtomicI64::new(begin * 1_000),
        }
    }

    /// A request came.
    pub fn earn(&self) {
        // Full as a rule: then nothing is written, and no core waits for another.
        if self.thousandths.load(Ordering::Relaxed) < MOST * 1_000 {
            self.thousandths.fetch_add(self.share, Ordering::Relaxed);
        }
    }

    /// May a request be sent again?
    pub fn spend(&self) -> bool {
        let spent = |kept: i64| (kept >= 1_000).then_some(kept - 1_000);
        self.thousandths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spent)
            .is_ok()
    }
}

/// What a quiet upstream begins with: its first failures are retried too.
const BEGIN: i64 = 10;
/// What a busy one may save up for a bad moment.
const MOST: i64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn spend_all(budget: &Budget) -> usize {
        (0..10_000).take_while(|_| budget.spend()).count()
    }

    #[test]
    fn a_fifth_of_the_requests_may_be_sent_again() {
        let budget = Budget::new(0.2);
        assert_eq!(spend_all(&budget), 10, "to begin with");
        let mut retried = 0;
        for _ in 0..1_000 {
            budget.earn();
            retried += usize::from(budget.spend());
        }
        assert_eq!(retried, 200);
    }

    #[test]
    fn a_quiet_time_saves_up_a_hundred_and_no_more() {
        let budget = Budget::new(0.2);
        (0..100_000).for_each(|_| budget.earn());
        assert_eq!(spend_all(&budget), 100);
    }

    #[test]
    fn a_budget_of_nothing_allows_nothing() {
        let budget = Budget::new(0.0);
        budget.earn();
        assert!(!budget.spend());
    }

    #[test]
    fn threads_together_never_spend_more_than_there_is() {
        let budget = Budget::new(1.0);
        (0..1_000).for_each(|_| budget.earn());
        let spent: usize = std::thread::scope(|scope| {
            let work = || scope.spawn(|| (0..1_000).filter(|_| budget.spend()).count());
            let all: Vec<_> = (0..4).map(|_| work()).collect();
            all.into_iter().map(|work| work.join().unwrap()).sum()
        });
        assert_eq!(spent, 100);
    }
}
