//! API keys' rows, and how gateways learn that they have changed.

use airside::identity::api_key::{ApiKey, ApiKeyId, KeysVersion, NewApiKey};
use airside::identity::store::StoreError;
use airside::token::ApiKeyHash;

use super::{Backend, NOW, at, origin, role};

fn key(name: &str, seed: u8, roles: &[&str]) -> NewApiKey {
    NewApiKey {
        id: ApiKeyId::new(NOW),
        name: name.to_owned(),
        hash: ApiKeyHash([seed; 32]),
        roles: roles.iter().map(|name| role(name)).collect(),
        expires_at: None,
    }
}

async fn make(on: &impl Backend, key: NewApiKey) -> ApiKey {
    on.store().create_api_key(key, origin()).await.unwrap()
}

/// The names in the list.
async fn names(on: &impl Backend) -> Vec<String> {
    let keys = on.other().api_keys(None, 100).await.unwrap();
    keys.into_iter().map(|key| key.name).collect()
}

async fn version(on: &impl Backend) -> KeysVersion {
    on.other().live_api_keys(None).await.unwrap().unwrap().0
}

pub(super) async fn a_key_is_listed_and_known_until_it_is_revoked(on: &impl Backend) {
    let new = NewApiKey {
        expires_at: Some(NOW + 9),
        ..key("nightly report", 7, &["admin", "customer"])
    };
    let made = make(on, new.clone()).await;
    let expected = ApiKey {
        id: new.id,
        name: "nightly report".to_owned(),
        roles: vec!["admin".to_owned(), "customer".to_owned()],
        created_by: "shell".to_owned(),
        created_at: NOW,
        expires_at: Some(NOW + 9),
    };
    assert_eq!(made, expected);
    assert_eq!(on.other().api_keys(None, 9).await.unwrap(), [expected]);
    let (_, live) = on.other().live_api_keys(None).await.unwrap().unwrap();
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].id, live[0].hash), (new.id, new.hash));
    assert_eq!(live[0].roles, ["admin", "customer"]);
    assert_eq!(live[0].expires_at, Some(NOW + 9));

    on.other().revoke_api_key(new.id, at(5)).await.unwrap();
    assert!(names(on).await.is_empty());
    let (_, live) = on.store().live_api_keys(None).await.unwrap().unwrap();
    assert!(live.is_empty());
    for unknown in [new.id, ApiKeyId::new(NOW)] {
        let again = on.store().revoke_api_key(unknown, origin()).await;
        assert_eq!(again, Err(StoreError::UnknownApiKey));
    }
    let revoked = on.rows("SELECT revoked_at FROM api_keys").await;
    assert_eq!(revoked, [[(NOW + 5).to_string()]]);
}

pub(super) async fn keys_are_listed_in_order_page_by_page(on: &impl Backend) {
    let mut ids = Vec::new();
    for seed in 1..=7 {
        let roles: &[&str] = [&[][..], &["customer"], &["admin", "customer"]][seed % 3];
        let made = make(on, key(&format!("key {seed}"), seed as u8, roles)).await;
        assert_eq!(made.roles, roles);
        ids.push((made.id.to_string(), made));
    }
    ids.sort_by(|one, other| one.0.cmp(&other.0));
    let revoked = ids.remove(3).1;
    on.store()
        .revoke_api_key(revoked.id, origin())
        .await
        .unwrap();
    let sorted: Vec<_> = ids.into_iter().map(|(_, key)| key).collect();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = on.other().api_keys(after, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        seen.extend(page);
    }
    assert_eq!(seen, sorted);
}

pub(super) async fn a_key_has_only_roles_that_exist(on: &impl Backend) {
    let wrong = key("wrong", 1, &["customer", "nobody"]);
    let refused = on.store().create_api_key(wrong, origin()).await;
    assert_eq!(refused, Err(StoreError::UnknownRole));
    assert!(on.rows("SELECT id FROM api_keys").await.is_empty());
    assert!(on.rows("SELECT role FROM api_key_roles").await.is_empty());
    assert!(on.audit().await.is_empty());
}

pub(super) async fn a_role_that_a_key_has_stays_until_the_key_is_revoked(on: &impl Backend) {
    on.store()
        .create_role(role("crew"), origin())
        .await
        .unwrap();
    let made = make(on, key("roster", 1, &["crew"])).await;
    let refused = on.other().delete_role(role("crew"), origin()).await;
    assert_eq!(refused, Err(StoreError::RoleInUse));
    on.store().revoke_api_key(made.id, origin()).await.unwrap();
    on.other()
        .delete_role(role("crew"), origin())
        .await
        .unwrap();
}

pub(super) async fn nothing_is_read_again_until_something_changes(on: &impl Backend) {
    let none = version(on).await;
    let nothing = on.other().live_api_keys(Some(none)).await.unwrap();
    assert!(nothing.is_none());
    let one = make(on, key("one", 1, &[])).await;
    let (first, live) = on.other().live_api_keys(Some(none)).await.unwrap().unwrap();
    assert_eq!(live.len(), 1);
    // One more and one less at once: their number is the same.
    make(on, key("two", 2, &[])).await;
    on.store().revoke_api_key(one.id, origin()).await.unwrap();
    let changed = on.other().live_api_keys(Some(first)).await.unwrap();
    let (second, live) = changed.unwrap();
    assert_eq!((live.len(), live[0].hash), (1, ApiKeyHash([2; 32])));
    assert_ne!(first, second);
    let nothing = on.store().live_api_keys(Some(second)).await.unwrap();
    assert!(nothing.is_none());
}

pub(super) async fn rule_28_a_key_and_its_audit_row_are_one(on: &impl Backend) {
    let made = make(on, key("roster", 1, &["admin", "customer"])).await;
    let id = made.id;
    on.execute("ALTER TABLE audit_log RENAME TO elsewhere")
        .await
        .unwrap();
    let lost = on.store().create_api_key(key("lost", 2, &[]), origin());
    assert!(matches!(lost.await, Err(StoreError::Unavailable(_))));
    let kept = on.store().revoke_api_key(id, origin()).await;
    assert!(matches!(kept, Err(StoreError::Unavailable(_))), "{kept:?}");
    on.execute("ALTER TABLE elsewhere RENAME TO audit_log")
        .await
        .unwrap();
    assert_eq!(names(on).await, ["roster"]);
    on.store().revoke_api_key(id, origin()).await.unwrap();
    let expected = [
        format!("shell api_key_created {id} roster: admin,customer"),
        format!("shell api_key_revoked {id} "),
    ];
    assert_eq!(on.audit().await, expected);
}

pub(super) async fn a_role_removed_while_keys_are_made_of_it_is_whole_or_gone(on: &impl Backend) {
    for round in 0..10 {
        let crew = || role(&format!("crew{round}"));
        on.store().create_role(crew(), origin()).await.unwrap();
        let new = key("roster", round, &[crew().as_str()]);
        let (made, deleted) = tokio::join!(
            on.store().create_api_key(new, origin()),
            on.other().delete_role(crew(), origin()),
        );
        match (made, deleted) {
            (Ok(_), Err(StoreError::RoleInUse)) | (Err(StoreError::UnknownRole), Ok(())) => {}
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn the_longest_key_fits(on: &impl Backend) {
    let roles: Vec<_> = (0..32).map(|n| format!("{n:0>64}")).collect();
    for name in &roles {
        on.store().create_role(role(name), origin()).await.unwrap();
    }
    let names: Vec<_> = roles.iter().map(String::as_str).collect();
    let made = make(on, key(&"𝔸".repeat(64), 1, &names)).await;
    let listed = on.other().api_keys(None, 1).await.unwrap();
    assert_eq!(listed, [made]);
    let (_, live) = on.other().live_api_keys(None).await.unwrap().unwrap();
    assert_eq!(live[0].roles, roles);
}
