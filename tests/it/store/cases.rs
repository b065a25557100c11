//! Each verb, and each of its conflicts.

use airside::identity::store::{Role, StoreError};
use airside::identity::user::UserId;

use super::{Backend, NOW, RoleName, configured, origin, role, user};

pub(super) async fn a_user_is_found_as_it_was_made(on: &impl Backend) {
    let [admin, customer] = configured();
    let ann = user("Ann@x.org", &[customer, admin]).await;
    let hash = ann.password_hash().clone();
    let made = on.store().create_user(ann.clone(), origin()).await.unwrap();
    assert_eq!((made.id, made.email.as_str()), (ann.id(), "Ann@x.org"));
    assert_eq!(made.roles, ["admin", "customer"]);
    assert_eq!((made.token_version, made.disabled), (0, false));
    assert_eq!(made.created_at, NOW);
    for store in [on.store(), on.other()] {
        assert_eq!(store.user(ann.id()).await.unwrap(), Some(made.clone()));
        let found = store.credentials(ann.email().key().clone()).await.unwrap();
        let found = found.unwrap();
        assert_eq!(
            (found.user, found.password_hash),
            (made.clone(), Some(hash.clone()))
        );
        store.ping().await.unwrap();
    }
}

pub(super) async fn what_is_not_there_is_not_found(on: &impl Backend) {
    let nobody = user("nobody@x.org", &[]).await;
    assert_eq!(on.store().user(nobody.id()).await, Ok(None));
    let credentials = on.store().credentials(nobody.email().key().clone()).await;
    assert!(credentials.unwrap().is_none());
}

pub(super) async fn a_role_is_made_once(on: &impl Backend) {
    let made = on.store().create_role(role("crew"), origin()).await;
    let crew = Role {
        name: "crew".to_owned(),
        created_at: NOW,
    };
    assert_eq!(made, Ok(crew));
    let again = on.other().create_role(role("crew"), origin()).await;
    assert_eq!(again, Err(StoreError::RoleExists));
    // A name's case counts.
    on.store()
        .create_role(role("Crew"), origin())
        .await
        .unwrap();
    let all = on.other().roles().await.unwrap();
    let names: Vec<_> = all.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["Crew", "admin", "crew", "customer"]);
    assert_eq!(
        on.audit().await,
        ["shell role_created crew ", "shell role_created Crew "]
    );
}

pub(super) async fn roles_are_given_only_where_both_sides_exist(on: &impl Backend) {
    let store = on.store();
    let ann = user("ann@x.org", &[]).await;
    let (id, nobody) = (ann.id(), UserId::new(NOW));
    store.create_user(ann, origin()).await.unwrap();
    let unknown_role = Err(StoreError::UnknownRole);
    assert_eq!(
        store.grant_role(id, role("crew"), origin()).await,
        unknown_role
    );
    assert_eq!(
        store.revoke_role(id, role("crew"), origin()).await,
        unknown_role
    );
    let unknown_user = Err(StoreError::UnknownUser);
    for role in [RoleName::admin(), role("crew")] {
        assert_eq!(
            store.grant_role(nobody, role.clone(), origin()).await,
            unknown_user
        );
        assert_eq!(
            store.revoke_role(nobody, role, origin()).await,
            unknown_user
        );
    }
    assert_eq!(on.audit().await.len(), 1);
}

pub(super) async fn giving_twice_and_taking_twice_change_once(on: &impl Backend) {
    let ann = user("ann@x.org", &[]).await;
    let id = ann.id();
    on.store().create_user(ann, origin()).await.unwrap();
    let customer = RoleName::customer();
    for store in [on.store(), on.other()] {
        store
            .grant_role(id, customer.clone(), origin())
            .await
            .unwrap();
    }
    assert_eq!(
        on.store().user(id).await.unwrap().unwrap().roles,
        ["customer"]
    );
    for store in [on.store(), on.other()] {
        store
            .revoke_role(id, customer.clone(), origin())
            .await
            .unwrap();
    }
    assert!(on.store().user(id).await.unwrap().unwrap().roles.is_empty());
    let expected = [
        format!("shell user_created {id} "),
        format!("shell role_granted {id} customer"),
        format!("shell role_revoked {id} customer"),
    ];
    assert_eq!(on.audit().await, expected);
}

pub(super) async fn rule_18_each_real_change_raises_the_token_version_by_one(on: &impl Backend) {
    let store = on.store();
    let (admin, customer) = (RoleName::admin(), RoleName::customer());
    let ann = user("ann@x.org", std::slice::from_ref(&customer)).await;
    let id = ann.id();
    store.create_user(ann, origin()).await.unwrap();
    let version = async || on.other().user(id).await.unwrap().unwrap().token_version;
    // What the user has is given, what the user has not is taken: nothing changes.
    store
        .grant_role(id, customer.clone(), origin())
        .await
        .unwrap();
    store
        .revoke_role(id, admin.clone(), origin())
        .await
        .unwrap();
    assert_eq!(version().await, 0);
    store.grant_role(id, admin.clone(), origin()).await.unwrap();
    assert_eq!(version().await, 1);
    let refused = store.revoke_role(id, admin.clone(), origin()).await;
    assert_eq!(refused, Err(StoreError::LastAdmin));
    assert_eq!(version().await, 1);
    let bob = user("bob@x.org", std::slice::from_ref(&admin)).await;
    store.create_user(bob, origin()).await.unwrap();
    store.revoke_role(id, admin, origin()).await.unwrap();
    assert_eq!(version().await, 2);
    store.revoke_role(id, customer, origin()).await.unwrap();
    assert_eq!(version().await, 3);
}

pub(super) async fn rule_19_the_last_admin_who_can_sign_in_stays(on: &impl Backend) {
    let store = on.store();
    let admin = RoleName::admin();
    let (ann, bob) = (
        user("ann@x.org", std::slice::from_ref(&admin)).await,
        user("bob@x.org", std::slice::from_ref(&admin)).await,
    );
    let (ann_id, bob_id) = (ann.id(), bob.id());
    store.create_user(ann, origin()).await.unwrap();
    store.create_user(bob, origin()).await.unwrap();
    // An admin who can't sign in is none.
    let disable = format!("UPDATE users SET disabled_at = 1 WHERE id = '{bob_id}'");
    on.execute(&disable).await.unwrap();
    let refused = store.revoke_role(ann_id, admin.clone(), origin()).await;
    assert_eq!(refused, Err(StoreError::LastAdmin));
    assert_eq!(store.user(ann_id).await.unwrap().unwrap().roles, ["admin"]);
    on.execute("UPDATE users SET disabled_at = NULL")
        .await
        .unwrap();
    store
        .revoke_role(ann_id, admin.clone(), origin())
        .await
        .unwrap();
    let refused = on.other().revoke_role(bob_id, admin, origin()).await;
    assert_eq!(refused, Err(StoreError::LastAdmin));
}

pub(super) async fn rule_28_a_change_and_its_audit_row_are_one(on: &impl Backend) {
    let store = on.store();
    let lost = user("bob@x.org", &[RoleName::customer(), role("nobody")]).await;
    let bob = lost.email().key().clone();
    let refused = store.create_user(lost, origin()).await;
    assert_eq!(refused, Err(StoreError::UnknownRole));
    // The user's row, the first role's and the audit log's went with it.
    assert!(store.credentials(bob).await.unwrap().is_none());
    assert!(on.rows("SELECT user_id FROM user_roles").await.is_empty());
    assert!(on.audit().await.is_empty());
    // And without an audit row there is no change.
    let ann = user("ann@x.org", &[]).await;
    store.create_user(ann.clone(), origin()).await.unwrap();
    on.execute("ALTER TABLE audit_log RENAME TO elsewhere")
        .await
        .unwrap();
    let failed = [
        store
            .create_user(user("carl@x.org", &[]).await, origin())
            .await
            .map(drop),
        store.create_role(role("crew"), origin()).await.map(drop),
        store
            .grant_role(ann.id(), RoleName::customer(), origin())
            .await,
    ];
    for failed in failed {
        assert!(
            matches!(failed, Err(StoreError::Unavailable(_))),
            "{failed:?}"
        );
    }
    on.execute("ALTER TABLE elsewhere RENAME TO audit_log")
        .await
        .unwrap();
    let unchanged = store.user(ann.id()).await.unwrap().unwrap();
    assert_eq!((unchanged.roles.len(), unchanged.token_version), (0, 0));
    assert_eq!(on.rows("SELECT name FROM roles").await.len(), 2);
    assert_eq!(on.rows("SELECT id FROM users").await.len(), 1);
    store
        .grant_role(ann.id(), RoleName::customer(), origin())
        .await
        .unwrap();
    assert_eq!(on.audit().await.len(), 2);
}

pub(super) async fn a_disabled_user_is_known_as_such(on: &impl Backend) {
    let ann = user("ann@x.org", &[RoleName::customer()]).await;
    on.store().create_user(ann.clone(), origin()).await.unwrap();
    on.execute("UPDATE users SET disabled_at = 1")
        .await
        .unwrap();
    let found = on
        .store()
        .credentials(ann.email().key().clone())
        .await
        .unwrap();
    let found = found.unwrap();
    assert!(found.user.disabled && found.password_hash.is_some());
    assert!(on.other().user(ann.id()).await.unwrap().unwrap().disabled);
}
