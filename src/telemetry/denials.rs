//! Refusals that can still be asked about: which line of the configuration was behind each. Bounded, and nobody waits
//! for a lock but who asks; requests that are let through never come here.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::base::reply::Refusal;
use crate::base::yaml::Place;

/// One refused request. Nothing of what it brought is kept but its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    pub request_id: Box<str>,
    /// When it was over, in milliseconds since 1970.
    pub unix_millis: u64,
    pub refusal: Refusal,
    /// Why, in the word that the access log has.
    pub reason: &'static str,
    pub route: Option<Arc<str>>,
    /// The key that refused and where it stands, in the configuration that the request began with.
    pub rule: Option<(Box<str>, Place)>,
    /// The limit that refused, and what it counts by.
    pub limit: Option<(Arc<str>, Box<str>)>,
}

/// The last refusals, so many of each code: a flood of one kind does not wash the others away.
#[derive(Debug, Default)]
pub struct Denials {
    rings: [OnceLock<Ring>; RINGS],
}

#[derive(Debug)]
struct Ring {
    next: AtomicUsize,
    slots: Box<[Mutex<Option<Arc<Denial>>>]>,
}

impl Denials {
    /// Keeps a denial in place of the oldest one of its code.
    pub fn keep(&self, denial: Denial) {
        let ring = self.rings.get(denial.refusal as usize % RINGS);
        let Some(ring) = ring.map(|ring| ring.get_or_init(Ring::new)) else {
            return;
        };
        let denial = Arc::new(denial);
        // Somebody may be looking at a place, but hardly at the next one too.
        for _ in 0..2 {
            let index = ring.next.fetch_add(1, Relaxed) % OF_EACH_CODE;
            if let Some(mut slot) = ring.slots.get(index).and_then(Mutex::try_lock) {
                *slot = Some(denial);
                return;
            }
        }
    }

    /// The latest denial of a request of this id, where it is still there.
    pub fn find(&self, request_id: &str) -> Option<Arc<Denial>> {
        let rings = self.rings.iter().filter_map(OnceLock::get);
        let kept = rings.flat_map(|ring| ring.slots.iter().filter_map(|slot| slot.lock().clone()));
        let asked = kept.filter(|denial| &*denial.request_id == request_id);
        asked.max_by_key(|denial| denial.unix_millis)
    }
}

impl Ring {
    fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
            slots: (0..OF_EACH_CODE).map(|_| Mutex::default()).collect(),
        }
    }
}

/// With some 250 bytes each, half a megabyte for a code that occurs.
pub const OF_EACH_CODE: usize = 2_048;
/// More than there are codes.
const RINGS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(id: impl ToString, refusal: Refusal, unix_millis: u64) -> Denial {
        Denial {
            request_id: id.to_string().into(),
            unix_millis,
            refusal,
            reason: "limit",
            route: None,
            rule: None,
            limit: None,
        }
    }

    fn count(denials: &Denials) -> usize {
        let rings = denials.rings.iter().filter_map(OnceLock::get);
        let slots = rings.flat_map(|ring| ring.slots.iter());
        slots.filter(|slot| slot.lock().is_some()).count()
    }

    #[test]
    fn a_flood_takes_no_more_than_its_bound_and_washes_no_other_code_away() {
        let denials = Denials::default();
        denials.keep(denial("forbidden", Refusal::Forbidden, 1));
        for number in 0..3 * OF_EACH_CODE {
            denials.keep(denial(number, Refusal::RateLimited, 2));
        }
        assert_eq!(count(&denials), OF_EACH_CODE + 1);
        let kept = |id: usize| denials.find(&id.to_string()).is_some();
        assert!(kept(3 * OF_EACH_CODE - 1) && kept(2 * OF_EACH_CODE));
        assert!(!kept(2 * OF_EACH_CODE - 1) && !kept(0));
        assert!(denials.find("forbidden").is_some());
    }

    #[test]
    fn threads_that_keep_at_once_lose_nothing_within_the_bound() {
        let denials = Denials::default();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let denials = &denials;
                scope.spawn(move || {
                    for number in 0..OF_EACH_CODE / 4 {
                        let id = format!("{thread}.{number}");
                        denials.keep(denial(id, Refusal::RateLimited, 1));
                    }
                });
            }
        });
        assert_eq!(count(&denials), OF_EACH_CODE);
        assert!(denials.find("3.0").is_some());
    }

    #[test]
    fn who_asks_keeps_nobody_waiting() {
        let denials = Denials::default();
        denials.keep(denial("a", Refusal::RateLimited, 1));
        let ring = denials.rings[Refusal::RateLimited as usize].get().unwrap();
        let asked = ring.slots[1].lock();
        denials.keep(denial("b", Refusal::RateLimited, 1));
        assert!(ring.slots[2].lock().is_some());
        drop(asked);
        assert!(denials.find("b").is_some());
    }

    #[test]
    fn of_two_requests_of_one_id_the_later_one_is_told() {
        let denials = Denials::default();
        denials.keep(denial("a", Refusal::RateLimited, 2));
        denials.keep(denial("a", Refusal::Forbidden, 1));
        let found = denials.find("a").unwrap();
        assert_eq!(found.refusal, Refusal::RateLimited);
        assert_eq!(denials.find("b"), None);
    }

    #[test]
    fn each_code_has_a_ring_of_its_own() {
        assert!((Refusal::Internal as usize) < RINGS);
    }
}
