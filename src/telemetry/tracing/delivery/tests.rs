//! When the next try is.

use super::*;

#[test]
fn each_try_waits_longer_and_never_all_at_once() {
    for tries in 1..TRIES {
        let most = FIRST * (1 << (tries - 1));
        let pauses: Vec<_> = (0..50).map(|_| pause(tries, None)).collect();
        assert!(pauses.iter().all(|pause| (most / 2..=most).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }
}

#[test]
fn the_collector_says_when_to_come_back() {
    let asked = Duration::from_secs(7);
    assert_eq!(pause(1, Some(asked)), asked);
    assert_eq!(pause(1, Some(Duration::from_secs(86_400))), LONGEST);
}
