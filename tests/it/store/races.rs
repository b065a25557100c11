//! What many do at once, through two openings of one database.

use std::sync::Arc;

use airside::identity::store::{StoreError, UserStore};

use super::{Backend, RoleName, origin, role, user};

/// Every second one through the other opening.
fn side(on: &impl Backend, index: usize) -> Arc<dyn UserStore> {
    let sides = [on.store(), on.other()];
    Arc::clone(sides[index % 2])
}

pub(super) async fn rule_20_of_fifty_who_take_one_address_one_gets_it(on: &impl Backend) {
    let mut tasks = Vec::new();
    for index in 0..50 {
        let one = user("ann@x.org", &[RoleName::customer()]).await;
        let store = side(on, index);
        tasks.push(tokio::spawn(async move {
            store.create_user(one, origin()).await
        }));
    }
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            refused => assert_eq!(refused, Err(StoreError::EmailTaken)),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(on.audit().await.len(), 1);
}

pub(super) async fn rule_19_of_two_admins_who_demote_each_other_one_remains(on: &impl Backend) {
    let admin = RoleName::admin();
    let (ann, bob) = (
        user("ann@x.org", std::slice::from_ref(&admin)).await,
        user("bob@x.org", std::slice::from_ref(&admin)).await,
    );
    let (ann_id, bob_id) = (ann.id(), bob.id());
    on.store().create_user(ann, origin()).await.unwrap();
    on.store().create_user(bob, origin()).await.unwrap();
    for _ in 0..20 {
        let (one, two) = tokio::join!(
            on.store().revoke_role(ann_id, admin.clone(), origin()),
            on.other().revoke_role(bob_id, admin.clone(), origin()),
        );
        let demoted = match (one, two) {
            (Ok(()), Err(StoreError::LastAdmin)) => ann_id,
            (Err(StoreError::LastAdmin), Ok(())) => bob_id,
            both => panic!("{both:?}"),
        };
        on.store()
            .grant_role(demoted, admin.clone(), origin())
            .await
            .unwrap();
    }
}

pub(super) async fn rule_19_of_many_admins_who_all_leave_at_once_one_remains(on: &impl Backend) {
    let admin = RoleName::admin();
    let mut ids = Vec::new();
    for index in 0..12 {
        let email = format!("admin{index}@x.org");
        let one = user(&email, std::slice::from_ref(&admin)).await;
        ids.push(one.id());
        on.store().create_user(one, origin()).await.unwrap();
    }
    let mut tasks = Vec::new();
    for (index, id) in ids.iter().copied().enumerate() {
        let (store, admin) = (side(on, index), admin.clone());
        tasks.push(tokio::spawn(async move {
            store.revoke_role(id, admin, origin()).await
        }));
    }
    let mut stayed = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(()) => {}
            refused => {
                assert_eq!(refused, Err(StoreError::LastAdmin));
                stayed += 1;
            }
        }
    }
    assert_eq!(stayed, 1);
    let left = on
        .rows("SELECT user_id FROM user_roles WHERE role = 'admin'")
        .await;
    assert_eq!(left.len(), 1);
}

pub(super) async fn one_user_changed_from_two_sides_ends_whole(on: &impl Backend) {
    let names = ["a", "b", "c", "d"];
    for name in names {
        on.store().create_role(role(name), origin()).await.unwrap();
    }
    let ann = user("ann@x.org", &[]).await;
    let id = ann.id();
    on.store().create_user(ann, origin()).await.unwrap();
    let mut tasks = Vec::new();
    for index in 0..48 {
        let store = side(on, index / 4);
        let role = role(names[index % 4]);
        tasks.push(tokio::spawn(async move {
            match index % 3 {
                0 => store.revoke_role(id, role, origin()).await,
                _ => store.grant_role(id, role, origin()).await,
            }
        }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let changes = "SELECT action FROM audit_log WHERE action IN ('role_granted', 'role_revoked')";
    let changes = on.rows(changes).await;
    let user = on.store().user(id).await.unwrap().unwrap();
    assert_eq!(user.token_version, changes.len() as u64);
    let granted = changes
        .iter()
        .filter(|row| row[0] == "role_granted")
        .count();
    assert_eq!(user.roles.len(), granted - (changes.len() - granted));
}

pub(super) async fn a_role_that_many_make_at_once_is_made_once(on: &impl Backend) {
    let mut tasks = Vec::new();
    for index in 0..20 {
        let store = side(on, index);
        tasks.push(tokio::spawn(async move {
            store.create_role(role("crew"), origin()).await
        }));
    }
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            refused => assert_eq!(refused, Err(StoreError::RoleExists)),
        }
    }
    assert_eq!(made, 1);
    assert_eq!(on.audit().await, ["shell role_created crew "]);
}
