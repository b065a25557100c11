//! Each state's step, and what must not happen in it.

use super::*;
use crate::token::install_crypto;

const NOW: u64 = 1_800_000_000_000;
const LIFE: u64 = 900_000;

fn key(algorithm: Algorithm) -> SigningKey {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let folder = crate::token::KeyFolder::open(&folder.path().join("keys")).unwrap();
    folder.add(algorithm).unwrap()
}

fn stored(key: &SigningKey, published_at: u64) -> StoredKey {
    StoredKey {
        key: key.verify_key(),
        token_life: LIFE,
        published_at,
        active_at: None,
        retiring_at: None,
        retired_at: None,
    }
}

fn active(key: &SigningKey, at: u64) -> StoredKey {
    StoredKey {
        active_at: Some(at),
        ..stored(key, at)
    }
}

/// A gateway that has these keys, and has seen all of them at 0.
fn own(keys: &[&SigningKey]) -> Own {
    let named = |key: &&SigningKey| (key.kid().to_owned(), (*key).clone());
    Own {
        algorithm: Algorithm::EdDsa,
        token_life: LIFE,
        keys: keys.iter().map(named).collect(),
        seen: keys.iter().map(|key| (key.kid().to_owned(), 0)).collect(),
    }
}

fn kid(key: &SigningKey) -> String {
    key.kid().to_owned()
}

#[test]
fn a_key_that_the_store_does_not_have_is_published() {
    let first = key(Algorithm::EdDsa);
    let publish = Some(Step::Publish { kid: kid(&first) });
    assert_eq!(own(&[&first]).step(&[], 0, NOW), publish);
    assert_eq!(own(&[]).step(&[], 0, NOW), Some(Step::Make));
    // Also beside another gateway's.
    let other = active(&key(Algorithm::EdDsa), NOW);
    let others = std::slice::from_ref(&other);
    assert_eq!(own(&[&first]).step(others, 0, NOW), publish);
    assert!(own(&[&first]).signer(others).is_none());
    // Not where another one serves: a file that was left over.
    let serving = [active(&first, NOW)];
    let left_over = key(Algorithm::EdDsa);
    assert_eq!(own(&[&first, &left_over]).step(&serving, 0, NOW), None);
}

#[test]
fn rule_24_a_key_signs_only_after_it_was_published_for_a_while() {
    let (old, new) = (key(Algorithm::EdDsa), key(Algorithm::EdDsa));
    let keys = [active(&old, NOW), stored(&new, NOW + 1)];
    let gateway = own(&[&old, &new]);
    // The wall clock may say what it likes.
    assert_eq!(gateway.step(&keys, PUBLISHED_FOR - 1, NOW + 10_000), None);
    assert_eq!(gateway.signer(&keys).map(kid), Some(kid(&old)));
    let due = gateway.step(&keys, PUBLISHED_FOR, NOW);
    let (new_kid, replaced) = (kid(&new), vec![kid(&old)]);
    assert_eq!(
        due,
        Some(Step::Activate {
            kid: new_kid,
            replaced
        })
    );
    // Another gateway, which has neither, does nothing about it.
    assert_eq!(
        own(&[&key(Algorithm::EdDsa)])
            .step(&keys, PUBLISHED_FOR, NOW)
            .map(|step| matches!(step, Step::Publish { .. })),
        Some(true)
    );
}

#[test]
fn one_gateway_never_touches_the_active_key_of_another() {
    let (mine, next, other) = (
        key(Algorithm::EdDsa),
        key(Algorithm::EdDsa),
        key(Algorithm::EdDsa),
    );
    let keys = [
        active(&other, NOW),
        active(&mine, NOW + 1),
        stored(&next, NOW + 2),
    ];
    let due = own(&[&mine, &next]).step(&keys, PUBLISHED_FOR, NOW);
    assert_eq!(
        due,
        Some(Step::Activate {
            kid: kid(&next),
            replaced: vec![kid(&mine)]
        })
    );
    assert_eq!(
        own(&[&mine, &next]).signer(&keys).map(kid),
        Some(kid(&mine))
    );
}

#[test]
fn of_two_next_keys_the_latest_signs_and_the_other_never_does() {
    let (one, two) = (key(Algorithm::EdDsa), key(Algorithm::EdDsa));
    let keys = [stored(&one, NOW), stored(&two, NOW + 1)];
    let due = own(&[&one, &two]).step(&keys, PUBLISHED_FOR, NOW);
    assert_eq!(
        due,
        Some(Step::Activate {
            kid: kid(&two),
            replaced: vec![kid(&one)]
        })
    );
}

#[test]
fn rule_24_a_retiring_key_stays_until_its_last_token_has_expired() {
    let (old, new) = (key(Algorithm::EdDsa), key(Algorithm::EdDsa));
    let retiring = StoredKey {
        retiring_at: Some(NOW),
        ..active(&old, NOW - 1)
    };
    let keys = [retiring, active(&new, NOW)];
    let gateway = own(&[&new]);
    let end = NOW + LIFE + MARGIN;
    assert_eq!(gateway.step(&keys, 0, end - 1), None);
    let retire = Some(Step::Retire { kid: kid(&old) });
    assert_eq!(gateway.step(&keys, 0, end), retire);
}

#[test]
fn tokens_that_live_longer_than_before_are_noted_before_the_key_retires() {
    let first = key(Algorithm::EdDsa);
    let mut gateway = own(&[&first]);
    gateway.token_life = LIFE + 1;
    let step = gateway.step(&[active(&first, NOW)], 0, NOW);
    assert_eq!(step, Some(Step::Lengthen { kid: kid(&first) }));
    gateway.token_life = LIFE - 1;
    assert_eq!(gateway.step(&[active(&first, NOW)], 0, NOW), None);
}

#[test]
fn another_algorithm_is_a_rotation() {
    let (old, new) = (key(Algorithm::EdDsa), key(Algorithm::Es256));
    let mut gateway = own(&[&old]);
    gateway.algorithm = Algorithm::Es256;
    let mut keys = vec![active(&old, NOW)];
    assert_eq!(gateway.step(&keys, 0, NOW), Some(Step::Make));
    gateway.keys.insert(kid(&new), new.clone());
    let publish = Some(Step::Publish { kid: kid(&new) });
    assert_eq!(gateway.step(&keys, 0, NOW), publish);
    keys.push(stored(&new, NOW));
    gateway.seen.insert(kid(&new), 7);
    assert_eq!(gateway.step(&keys, 7 + PUBLISHED_FOR - 1, NOW), None);
    assert_eq!(gateway.signer(&keys).map(kid), Some(kid(&old)));
    let due = gateway.step(&keys, 7 + PUBLISHED_FOR, NOW);
    assert!(matches!(due, Some(Step::Activate { .. })), "{due:?}");
}
