//! How a server stands: what probes say of it, whether failures put it out, whether an operator drained it, and how
//! busy it is. All in atomics; who reads it takes no lock.
//!
//! ```text
//! probes:    well ──unhealthy_after failures in a row──▶ unwell ──healthy_after successes──▶ well (warming)
//! ejection:  in ──`failures` in a row, if the ceiling allows──▶ out for `for` ──▶ in (warming), one failure from out
//! operator:  in ◀──undrain── ──drain──▶ out
//! ```

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

use super::lease::Outcome;
use super::settings::{Ejection, Health};

/// A server's state. Times are monotonic milliseconds.
#[derive(Debug, Default)]
pub struct Standing {
    in_flight: AtomicU32,
    drained: AtomicBool,
    unwell: AtomicBool,
    /// Probes in a row: successes above zero, failures below.
    streak: AtomicI32,
    /// Requests in a row that failed.
    failures: AtomicU32,
    /// Zero: never.
    ejected_until: AtomicU64,
    /// When probes found it well again. Zero: it never was unwell.
    recovered_at: AtomicU64,
    requests: AtomicU64,
    failed: AtomicU64,
    /// Attempts that are over, by `Outcome`.
    over: [AtomicU64; 3],
}

/// Why a server gets no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    Drained,
    Unhealthy,
    Ejected,
}

/// A change of what probes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    Well,
    Unwell,
}

impl Standing {
    /// The part of its weight that a server takes part with, in thousandths: none while it is out, all as a rule,
    /// and after a recovery something between that grows.
    pub fn share(&self, now: u64) -> u32 {
        match self.out(now) {
            Some(_) => 0,
            None => self.warmth(now),
        }
    }

    pub fn out(&self, now: u64) -> Option<Out> {
        if self.drained.load(Ordering::Relaxed) {
            return Some(Out::Drained);
        }
        if self.unwell.load(Ordering::Relaxed) {
            return Some(Out::Unhealthy);
        }
        (self.ejected_until() > now).then_some(Out::Ejected)
    }

    fn warmth(&self, now: u64) -> u32 {
        let since = self
            .recovered_at
            .load(Ordering::Relaxed)
            .max(self.ejected_until());
        if since == 0 || now >= since + SLOW_START {
            return FULL;
        }
        let grown = now.saturating_sub(since) * u64::from(FULL) / SLOW_START;
        (grown as u32).max(COLD)
    }

    /// What a probe found at `now`. Tells what changed by it.
    pub fn probed(&self, well: bool, now: u64, health: &Health) -> Option<Turn> {
        let before = self.streak.load(Ordering::Relaxed);
        let streak = match well {
            true => before.max(0).saturating_add(1),
            false => before.min(0).saturating_sub(1),
        };
        self.streak.store(streak, Ordering::Relaxed);
        let unwell = self.unwell.load(Ordering::Relaxed);
        if unwell && streak >= health.healthy_after as i32 {
            self.recovered_at.store(now.max(1), Ordering::Relaxed);
            self.unwell.store(false, Ordering::Relaxed);
            return Some(Turn::Well);
        }
        if !unwell && streak <= -(health.unhealthy_after as i32) {
            self.unwell.store(true, Ordering::Relaxed);
            return Some(Turn::Unwell);
        }
        None
    }

    /// A request went well: failures are no longer in a row.
    pub(super) fn succeeded(&self) {
        // A store that changes nothing would still take the line from the other cores.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request failed. True: there are as many in a row as it takes to be left out.
    pub(super) fn has_failed(&self, ejection: Option<&Ejection>) -> bool {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let in_a_row = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        ejection.is_some_and(|ejection| in_a_row >= ejection.failures)
    }

    /// Leaves the server out from `now` on. When it comes back, one failure is enough to put it out again.
    pub(super) fn eject(&self, now: u64, ejection: &Ejection) {
        self.ejected_until
            .store(now + ejection.millis, Ordering::Relaxed);
        self.failures
            .store(ejection.failures.saturating_sub(1), Ordering::Relaxed);
    }

    /// When an ejection ends or ended; zero where there was none.
    pub fn ejected_until(&self) -> u64 {
        self.ejected_until.load(Ordering::Relaxed)
    }

    /// Forgets verdicts that nothing would ever revise, because what made them is no longer configured.
    pub(super) fn adopt(&self, probed: bool, ejected: bool) {
        if !probed {
            self.unwell.store(false, Ordering::Relaxed);
            self.streak.store(0, Ordering::Relaxed);
        }
        if !ejected {
            self.ejected_until.store(0, Ordering::Relaxed);
        }
    }

    pub fn drain(&self, drained: bool) {
        self.drained.store(drained, Ordering::Relaxed);
    }

    /// Requests that are being answered by this server.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Requests and failures since the start.
    pub fn counts(&self) -> (u64, u64) {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.requests), load(&self.failed))
    }

    /// Attempts that are over, by what became of them.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.over.iter().map(|count| count.load(Ordering::Relaxed));
        ["cut_off", "ok", "failed"].into_iter().zip(counts)
    }

    pub(super) fn begin(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, outcome: Outcome) {
        if let Some(count) = self.over.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Out {
    pub fn word(self) -> &'static str {
        match self {
            Self::Drained => "drained",
            Self::Unhealthy => "unhealthy",
            Self::Ejected => "ejected",
        }
    }
}

/// The whole of a server's weight.
pub const FULL: u32 = 1_000;
/// What a server begins with that has just come back.
const COLD: u32 = 100;
/// How long a server that came back takes to its whole weight.
const SLOW_START: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::settings::Probe;
    use std::time::Duration;

    const HEALTH: Health = Health {
        probe: Probe::Tcp,
        every: Duration::from_secs(5),
        timeout: Duration::from_secs(1),
        unhealthy_after: 3,
        healthy_after: 2,
    };
    const EJECTION: Ejection = Ejection {
        failures: 3,
        millis: 30_000,
        max_ejected: 0.5,
    };

    #[test]
    fn three_failed_probes_put_a_server_out_and_two_good_ones_bring_it_back() {
        let server = Standing::default();
        let probe = |well, now| server.probed(well, now, &HEALTH);
        assert_eq!([probe(false, 1), probe(false, 2)], [None, None]);
        assert_eq!(probe(true, 3), None, "the row is broken");
        assert_eq!([probe(false, 4), probe(false, 5)], [None, None]);
        assert_eq!(server.out(5), None);
        assert_eq!(probe(false, 6), Some(Turn::Unwell));
        assert_eq!(server.out(6), Some(Out::Unhealthy));
        assert_eq!([probe(true, 7), probe(false, 8)], [None, None]);
        assert_eq!([probe(true, 9), probe(true, 10)], [None, Some(Turn::Well)]);
        assert_eq!(server.out(10), None);
    }

    #[test]
    fn a_server_that_came_back_begins_with_a_tenth_and_grows_for_ten_seconds() {
        let server = Standing::default();
        assert_eq!(server.share(0), FULL, "a new server needs no slow start");
        for now in 1..=3 {
            server.probed(false, now, &HEALTH);
        }
        assert_eq!(server.share(3), 0);
        server.probed(true, 50_000, &HEALTH);
        server.probed(true, 60_000, &HEALTH);
        let shares = [60_000, 60_999, 65_000, 69_999, 70_000].map(|now| server.share(now));
        assert_eq!(shares, [100, 100, 500, 999, 1_000]);
    }

    #[test]
    fn failures_in_a_row_eject_and_one_more_after_the_return() {
        let server = Standing::default();
        assert!(!server.has_failed(Some(&EJECTION)));
        assert!(!server.has_failed(Some(&EJECTION)));
        server.succeeded();
        for expected in [false, false, true] {
            assert_eq!(server.has_failed(Some(&EJECTION)), expected);
        }
        server.eject(1_000, &EJECTION);
        assert_eq!(server.out(30_999), Some(Out::Ejected));
        assert_eq!((server.out(31_000), server.share(31_000)), (None, 100));
        assert!(server.has_failed(Some(&EJECTION)));
        server.succeeded();
        assert!(!server.has_failed(Some(&EJECTION)));
        assert_eq!(server.counts(), (0, 7));
    }

    #[test]
    fn without_ejection_no_failure_is_one_too_many() {
        let server = Standing::default();
        assert!((0..100).all(|_| !server.has_failed(None)));
    }

    #[test]
    fn a_drained_server_is_out_until_it_is_undrained() {
        let server = Standing::default();
        server.drain(true);
        assert_eq!((server.share(5), server.out(5)), (0, Some(Out::Drained)));
        server.drain(false);
        assert_eq!(server.share(5), FULL);
    }

    #[test]
    fn verdicts_go_with_what_made_them_and_a_drain_stays() {
        let server = Standing::default();
        for now in 1..=3 {
            server.probed(false, now, &HEALTH);
        }
        server.eject(3, &EJECTION);
        server.adopt(true, true);
        assert_eq!(server.out(4), Some(Out::Unhealthy));
        server.adopt(false, true);
        assert_eq!(server.out(4), Some(Out::Ejected));
        server.drain(true);
        server.adopt(false, false);
        assert_eq!(server.out(4), Some(Out::Drained));
    }
}
