//! Streams that a client opens only to take them back. A few are everyday life; a flood makes upstreams work for
//! nothing, and pacing it does not hide it.

/// How many streams were taken back of late. Each adds two points, each stream that is opened takes one away, and so
/// does each half second.
#[derive(Debug, Clone, Copy, Default)]
pub struct Calm {
    points: u32,
    /// Monotonic milliseconds of the last reset.
    at: u64,
}

impl Calm {
    pub fn opened(&mut self) {
        self.points = self.points.saturating_sub(1);
    }

    /// A stream was taken back at `now`, in monotonic milliseconds; true where there are more than `most` points.
    pub fn reset(&mut self, now: u64, most: u32) -> bool {
        self.points = self.points(now).saturating_add(2);
        self.at = now;
        self.points > most
    }

    /// What is left of the points at `now`.
    pub fn points(&self, now: u64) -> u32 {
        let passed = now.saturating_sub(self.at) / EASED_MILLIS;
        self.points
            .saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX))
    }
}

/// In which one point is forgotten.
const EASED_MILLIS: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::crowd::MOST_OF_CONNECTION as MOST;

    #[test]
    fn a_paced_flood_is_one_and_a_busy_connection_with_some_resets_is_none() {
        let mut flood = Calm::default();
        let cut = (1..).find(|round| {
            flood.opened();
            flood.reset(round * 100, MOST)
        });
        assert!(
            cut.is_some_and(|round| round < 2 * u64::from(MOST)),
            "{cut:?}"
        );
        let mut busy = Calm::default();
        for round in 0..10_000_u64 {
            busy.opened();
            assert!(!(round % 4 == 0 && busy.reset(round, MOST)), "{round}");
        }
    }

    #[test]
    fn a_page_that_is_left_and_a_client_that_seldom_changes_its_mind_are_none() {
        let mut page = Calm::default();
        // As many streams as a connection may have.
        assert!(!(0..100).any(|_| page.reset(0, MOST)));
        assert_eq!(page.points(120_000), 0);
        let mut slow = Calm::default();
        assert!(!(0..10_000).any(|round| slow.reset(round * 1_000, MOST)));
    }
}
