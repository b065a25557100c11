//! Signing keys: their states, and what never gets into their table.

use airside::identity::rotation::{KeyChange, KeyState};
use airside::identity::store::{Origin, StoreError, UserStore};
use airside::token::{Algorithm, KeyFolder, VerifyKey, install_crypto};

use super::{Backend, NOW, at, origin};

const LIFE: u64 = 900_000;

fn new_key(algorithm: Algorithm) -> VerifyKey {
    install_crypto();
    let folder = tempfile::tempdir().unwrap();
    let folder = KeyFolder::open(&folder.path().join("keys")).unwrap();
    folder.add(algorithm).unwrap().verify_key()
}

async fn change(store: &dyn UserStore, change: KeyChange, origin: Origin) -> bool {
    store.change_key(change, origin).await.unwrap()
}

async fn publish(store: &dyn UserStore, key: &VerifyKey, origin: Origin) -> bool {
    let (key, token_life) = (key.clone(), LIFE);
    change(store, KeyChange::Publish { key, token_life }, origin).await
}

async fn activate(store: &dyn UserStore, key: &VerifyKey, old: &VerifyKey, from: Origin) -> bool {
    let (kid, replaced) = (key.kid().to_owned(), vec![old.kid().to_owned()]);
    change(store, KeyChange::Activate { kid, replaced }, from).await
}

async fn retire(store: &dyn UserStore, key: &VerifyKey, from: Origin) -> bool {
    let kid = key.kid().to_owned();
    change(store, KeyChange::Retire { kid }, from).await
}

/// The state of each key, the first published first.
async fn states(store: &dyn UserStore) -> Vec<&'static str> {
    let keys = store.signing_keys(true).await.unwrap();
    keys.iter().map(|key| key.state().word()).collect()
}

pub(super) async fn rule_24_a_key_goes_through_its_states_once_and_each_has_its_audit_row(
    on: &impl Backend,
) {
    let (store, other) = (on.store(), on.other());
    let (old, new) = (new_key(Algorithm::EdDsa), new_key(Algorithm::Es256));
    assert!(publish(&**store, &old, origin()).await);
    assert!(publish(&**store, &new, at(1)).await);
    assert_eq!(states(&**other).await, ["active", "next"]);
    // A step that is not due, or done already, by another, changes nothing.
    for store in [store, other] {
        assert!(!publish(&**store, &new, at(2)).await);
        assert!(!retire(&**store, &old, at(2)).await);
    }
    for (store, is_first) in [(store, true), (other, false)] {
        assert_eq!(activate(&**store, &new, &old, at(3)).await, is_first);
        assert_eq!(states(&**other).await, ["retiring", "active"]);
    }
    assert!(!activate(&**store, &old, &new, at(4)).await);
    assert_eq!(states(&**other).await, ["retiring", "active"]);
    for (store, is_first) in [(store, true), (other, false)] {
        assert_eq!(retire(&**store, &old, at(5)).await, is_first);
        assert_eq!(states(&**other).await, ["retired", "active"]);
    }
    assert!(!publish(&**store, &old, at(6)).await);
    let live = other.signing_keys(false).await.unwrap();
    let kids: Vec<_> = live.iter().map(|key| key.kid()).collect();
    assert_eq!(kids, [new.kid()]);
    let times = &other.signing_keys(true).await.unwrap()[0];
    assert_eq!(times.published_at, NOW);
    assert_eq!(
        [times.active_at, times.retiring_at, times.retired_at],
        [Some(NOW), Some(NOW + 3), Some(NOW + 5)]
    );
    let (old, new) = (old.kid(), new.kid());
    assert_eq!(
        on.audit().await,
        [
            format!("shell key_published {old} EdDSA"),
            format!("shell key_activated {old} "),
            format!("shell key_published {new} ES256"),
            format!("shell key_activated {new} "),
            format!("shell key_retiring {old} {new}"),
            format!("shell key_retired {old} "),
        ]
    );
}

pub(super) async fn rule_24_only_the_first_key_of_all_is_active_at_once(on: &impl Backend) {
    let mut tasks = Vec::new();
    for index in 0..8 {
        let store = [on.store(), on.other()][index % 2].clone();
        let key = new_key(Algorithm::EdDsa);
        tasks.push(tokio::spawn(async move {
            publish(&*store, &key, origin()).await
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
    let mut states = states(&**on.store()).await;
    states.sort_unstable();
    assert_eq!(states[..2], ["active", "next"]);
    assert_eq!(states.len(), 8);
}

pub(super) async fn rule_24_a_key_can_be_ended_in_any_state_but_never_the_last_one_that_is_active(
    on: &impl Backend,
) {
    let (store, other) = (on.store(), on.other());
    let end = async |on: &dyn UserStore, key: &VerifyKey, from: Origin| {
        let kid = key.kid().to_owned();
        on.change_key(KeyChange::End { kid }, from).await
    };
    let keys: Vec<_> = (0..4).map(|_| new_key(Algorithm::EdDsa)).collect();
    for (key, after) in keys.iter().zip(0..) {
        assert!(publish(&**store, key, at(after)).await);
    }
    // The first signs, the others wait: any of those may go.
    let last = Err(StoreError::LastKey);
    assert_eq!(end(&**store, &keys[0], at(10)).await, last);
    assert_eq!(end(&**other, &keys[3], at(11)).await, Ok(true));
    assert_eq!(end(&**store, &keys[3], at(12)).await, Ok(false));
    assert!(activate(&**store, &keys[1], &keys[0], at(13)).await);
    assert_eq!(
        states(&**other).await,
        ["retiring", "active", "next", "retired"]
    );
    assert_eq!(end(&**store, &keys[1], at(14)).await, last);
    assert_eq!(end(&**other, &keys[0], at(15)).await, Ok(true));
    let ended = &store.signing_keys(true).await.unwrap()[0];
    let times = [ended.active_at, ended.retiring_at, ended.retired_at];
    assert_eq!(times, [Some(NOW), Some(NOW + 13), Some(NOW + 15)]);
    // What waits becomes active, and two who end one each at the same time leave one.
    let kid = keys[2].kid().to_owned();
    let replaced = Vec::new();
    assert!(change(&**store, KeyChange::Activate { kid, replaced }, at(16)).await);
    let done = tokio::join!(
        end(&**store, &keys[1], at(17)),
        end(&**other, &keys[2], at(17))
    );
    let done = [done.0, done.1];
    assert!(done.contains(&Ok(true)) && done.contains(&last), "{done:?}");
    let live = other.signing_keys(false).await.unwrap();
    let live: Vec<_> = live.iter().map(|key| key.state()).collect();
    assert_eq!(live, [KeyState::Active]);
    let unknown = new_key(Algorithm::EdDsa);
    assert_eq!(end(&**store, &unknown, at(18)).await, Ok(false));
    let audit = on.audit().await;
    let ended = audit.iter().filter(|row| row.ends_with(" at once"));
    assert_eq!(ended.count(), 3, "{audit:?}");
    let row = format!("shell key_retired {} at once", keys[3].kid());
    assert!(audit.contains(&row), "{audit:?}");
}

pub(super) async fn a_published_key_is_found_as_it_was(on: &impl Backend) {
    for algorithm in Algorithm::ALL {
        let key = new_key(algorithm);
        publish(&**on.store(), &key, origin()).await;
        let all = on.other().signing_keys(false).await.unwrap();
        let found = all.iter().find(|found| found.kid() == key.kid()).unwrap();
        assert_eq!(found.key.jwk(), key.jwk());
        assert_eq!(found.key.algorithm(), algorithm);
        assert_eq!((found.token_life, found.published_at), (LIFE, NOW));
    }
    let first = on.store().signing_keys(false).await.unwrap().remove(0);
    let kid = first.kid().to_owned();
    for (token_life, kept) in [(LIFE + 1, LIFE + 1), (LIFE, LIFE + 1)] {
        let kid = kid.clone();
        let lengthen = KeyChange::Lengthen { kid, token_life };
        let lengthened = change(&**on.store(), lengthen, origin()).await;
        assert_eq!(lengthened, token_life > LIFE);
        let all = on.other().signing_keys(false).await.unwrap();
        let found = all.iter().find(|found| found.kid() == first.kid());
        assert_eq!(found.unwrap().token_life, kept);
    }
}

pub(super) async fn a_table_of_keys_takes_no_secret_and_no_other_order(on: &impl Backend) {
    let row = |algorithm: &str, retiring: &str, retired: &str| {
        format!(
            "INSERT INTO signing_keys (kid, algorithm, jwk, token_life, published_at, retiring_at, retired_at)
             VALUES ('k', '{algorithm}', '{{}}', 1, 1, {retiring}, {retired})"
        )
    };
    assert!(on.execute(&row("HS256", "NULL", "NULL")).await.is_err());
    assert!(on.execute(&row("EdDSA", "NULL", "1")).await.is_err());
    on.execute(&row("EdDSA", "1", "1")).await.unwrap();
}

pub(super) async fn what_is_no_key_of_ours_is_not_used(on: &impl Backend) {
    let key = new_key(Algorithm::EdDsa);
    publish(&**on.store(), &key, origin()).await;
    for jwk in ["{}", "not JSON", r#"{"kty":"oct","k":"AAAA"}"#] {
        let update = format!("UPDATE signing_keys SET jwk = '{jwk}'");
        on.execute(&update).await.unwrap();
        let found = on.other().signing_keys(true).await.unwrap();
        assert!(found.is_empty(), "{jwk}");
    }
    let right = format!("UPDATE signing_keys SET jwk = '{}'", key.jwk());
    on.execute(&right).await.unwrap();
    let found = on.other().signing_keys(false).await.unwrap();
    assert_eq!(found[0].state(), KeyState::Active);
}
