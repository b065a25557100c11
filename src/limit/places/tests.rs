//! Never more than the limit at the same time, and every place comes back.

use std::sync::Barrier;
use std::sync::atomic::AtomicU32;

use super::*;

/// Spreads like a hash, and names a key by a number.
fn key(number: u64) -> Key {
    Key::new((number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn on_eight_threads(call: impl Fn(u64) + Sync) {
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (start, call) = (&start, &call);
            scope.spawn(move || {
                start.wait();
                call(thread);
            });
        }
    });
}

fn in_flight(places: &Places) -> u64 {
    let pages = places.pages.iter().filter_map(OnceLock::get);
    let slots = pages.flatten().flat_map(|set| &set.0);
    slots.map(|slot| slot.load(SeqCst) & COUNT_MASK).sum()
}

#[test]
fn so_many_at_once_and_the_next_when_one_has_left() {
    let places = Places::new(2, 100);
    let (first, one) = places.enter(key(1));
    assert_eq!((first.admitted, first.limit, first.remaining), (true, 2, 1));
    let (second, _two) = places.enter(key(1));
    assert_eq!((second.admitted, second.remaining), (true, 0));
    let (third, none) = places.enter(key(1));
    assert!(!third.admitted && none.is_none());
    assert_eq!(third.retry_after_millis, 1_000);
    // Another key has places of its own.
    assert!(places.enter(key(2)).0.admitted);
    places.leave(one.unwrap());
    assert_eq!(places.look(key(1)).remaining, 1);
    assert!(places.enter(key(1)).0.admitted);
    assert!(!places.look(key(1)).admitted);
}

#[test]
fn threads_that_bring_the_same_new_keys_at_once_get_exactly_the_limit() {
    for _ in 0..300 {
        let places = Places::new(5, 64);
        let taken: [AtomicU32; 20] = Default::default();
        on_eight_threads(|_| {
            for (number, taken) in taken.iter().enumerate() {
                if places.enter(key(number as u64)).0.admitted {
                    taken.fetch_add(1, SeqCst);
                }
            }
        });
        assert!(
            taken.iter().all(|taken| taken.load(SeqCst) == 5),
            "{taken:?}"
        );
    }
}

#[test]
fn never_more_than_the_limit_are_in_flight_and_all_places_come_back() {
    const MOST: u32 = 3;
    // Few keys in few sets, so that slots are freed and opened all the time.
    let places = Places::new(MOST, 1);
    let now: [AtomicU32; 4] = Default::default();
    let passed = AtomicU32::new(0);
    on_eight_threads(|thread| {
        for round in 0..5_000 {
            let number = (thread + round) % 4;
            if let (_, Some(place)) = places.enter(key(number)) {
                let here = now[number as usize].fetch_add(1, SeqCst) + 1;
                assert!(here <= MOST, "{here} at once");
                now[number as usize].fetch_sub(1, SeqCst);
                places.leave(place);
                passed.fetch_add(1, SeqCst);
            }
        }
    });
    assert_eq!(in_flight(&places), 0);
    assert!(passed.load(SeqCst) > 1_000);
}

#[test]
fn a_key_in_flight_never_has_to_leave_and_memory_is_bounded() {
    let places = Places::new(1, 64);
    let held: Vec<_> = (0..10_000)
        .map(|number| places.enter(key(number)))
        .collect();
    let admitted = held
        .iter()
        .filter(|(decision, _)| decision.admitted)
        .count();
    assert_eq!(admitted, 128, "every slot is taken");
    for (number, (decision, _)) in held.iter().enumerate() {
        // Who has a place keeps it, and gets no second one.
        let again = places.enter(key(number as u64));
        assert!(!again.0.admitted, "{number} {decision:?}");
    }
    for place in held.into_iter().filter_map(|(_, place)| place) {
        places.leave(place);
    }
    assert_eq!(in_flight(&places), 0);
    assert!(places.enter(key(77_777)).0.admitted);
    assert_eq!(size_of::<Set>(), 16 * 8);
}

#[test]
fn half_of_the_keys_that_are_promised_find_a_place() {
    let places = Places::new(1, 4_096);
    let refused = (0..2_048).filter(|number| !places.enter(key(*number)).0.admitted);
    assert_eq!(refused.count(), 0);
}
