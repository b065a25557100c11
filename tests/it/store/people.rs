//! What admins see and stop.

use airside::identity::refresh::RefreshToken;
use airside::identity::session::{NewSession, SessionId};
use airside::identity::store::StoreError;
use airside::identity::user::UserId;

use super::sessions::{ann, begin};
use super::{Backend, NOW, RoleName, at, origin, role, user};

async fn admin(on: &impl Backend, email: &str) -> UserId {
    let one = user(email, &[RoleName::admin()]).await;
    let id = one.id();
    on.store().create_user(one, origin()).await.unwrap();
    id
}

pub(super) async fn users_are_listed_in_order_and_by_a_part_of_the_address(on: &impl Backend) {
    let mut ids = Vec::new();
    for email in [
        "ann@x.org",
        "Bob@x.org",
        "under_score@x.org",
        "per%cent@x.org",
    ] {
        let one = user(email, &[RoleName::customer()]).await;
        ids.push(one.id().to_string());
        on.store().create_user(one, origin()).await.unwrap();
    }
    ids.sort();
    let list = async |query: &str, after: Option<UserId>, limit| {
        let users = on
            .other()
            .users(query.to_owned(), after, limit)
            .await
            .unwrap();
        assert!(users.iter().all(|user| user.roles == ["customer"]));
        users
    };
    let all = list("", None, 10).await;
    assert_eq!(
        all.iter()
            .map(|user| user.id.to_string())
            .collect::<Vec<_>>(),
        ids
    );
    let second = list("", Some(all[0].id), 2).await;
    assert_eq!(second, all[1..3]);
    for (query, found) in [
        ("bob@", 1),
        ("@x.org", 4),
        ("%", 1),
        ("_", 1),
        ("nobody", 0),
    ] {
        assert_eq!(list(query, None, 10).await.len(), found, "{query}");
    }
}

pub(super) async fn rule_19_the_last_admin_who_can_sign_in_is_not_disabled(on: &impl Backend) {
    let root = admin(on, "root@x.org").await;
    let last = Err(StoreError::LastAdmin);
    assert_eq!(on.store().set_disabled(root, true, origin()).await, last);
    let second = admin(on, "second@x.org").await;
    on.store()
        .set_disabled(second, true, origin())
        .await
        .unwrap();
    assert_eq!(on.other().set_disabled(root, true, origin()).await, last);
    on.store()
        .set_disabled(second, false, origin())
        .await
        .unwrap();
    on.other().set_disabled(root, true, origin()).await.unwrap();
    assert!(on.store().user(root).await.unwrap().unwrap().disabled);
    let nobody = on
        .store()
        .set_disabled(UserId::new(NOW), true, origin())
        .await;
    assert_eq!(nobody, Err(StoreError::UnknownUser));
}

pub(super) async fn rule_19_of_two_admins_who_disable_each_other_one_remains(on: &impl Backend) {
    let (ann, bob) = (admin(on, "ann@x.org").await, admin(on, "bob@x.org").await);
    for _ in 0..20 {
        let (one, two) = tokio::join!(
            on.store().set_disabled(ann, true, origin()),
            on.other().set_disabled(bob, true, origin()),
        );
        let disabled = match (one, two) {
            (Ok(()), Err(StoreError::LastAdmin)) => ann,
            (Err(StoreError::LastAdmin), Ok(())) => bob,
            other => panic!("{other:?}"),
        };
        on.store()
            .set_disabled(disabled, false, origin())
            .await
            .unwrap();
    }
}

pub(super) async fn a_disabled_user_has_no_session_and_begins_none(on: &impl Backend) {
    let ann = ann(on).await;
    begin(on, ann).await;
    on.store().set_disabled(ann, true, at(1)).await.unwrap();
    assert!(on.other().sessions(ann, NOW).await.unwrap().is_empty());
    let version = async || on.store().user(ann).await.unwrap().unwrap().token_version;
    assert_eq!(version().await, 1);
    let session = NewSession {
        id: SessionId::new(NOW),
        user: ann,
        refresh: RefreshToken::random().unwrap().hash(),
        user_agent: String::new(),
        expires_at: NOW + 1,
    };
    let begun = on.other().begin_session(session, origin()).await;
    assert_eq!(begun, Err(StoreError::UnknownUser));
    // What is so already is no change.
    on.store().set_disabled(ann, true, at(2)).await.unwrap();
    assert_eq!(version().await, 1);
}

pub(super) async fn a_role_goes_when_nobody_has_it(on: &impl Backend) {
    let ann = ann(on).await;
    let store = on.store();
    store.create_role(role("crew"), origin()).await.unwrap();
    store.grant_role(ann, role("crew"), origin()).await.unwrap();
    assert_eq!(
        store.delete_role(role("crew"), origin()).await,
        Err(StoreError::RoleInUse)
    );
    assert_eq!(
        store.delete_role(RoleName::admin(), origin()).await,
        Err(StoreError::RoleInUse)
    );
    assert_eq!(
        store.delete_role(role("pilot"), origin()).await,
        Err(StoreError::UnknownRole)
    );
    store
        .revoke_role(ann, role("crew"), origin())
        .await
        .unwrap();
    store.delete_role(role("crew"), origin()).await.unwrap();
    let left = on.other().roles().await.unwrap();
    assert!(left.iter().all(|role| role.name != "crew"));
    assert_eq!(on.audit().await.last().unwrap(), "shell role_deleted crew ");
}

pub(super) async fn rule_28_the_audit_log_is_read_newest_first(on: &impl Backend) {
    for (index, name) in ["one", "two", "three"].into_iter().enumerate() {
        on.store()
            .create_role(role(name), at(index as u64))
            .await
            .unwrap();
    }
    let newest = on.other().audit(None, 2).await.unwrap();
    let subjects: Vec<_> = newest.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["three", "two"]);
    assert_eq!((newest[0].at, newest[0].actor.as_str()), (NOW + 2, "shell"));
    assert_eq!(newest[0].action, "role_created");
    let older = on
        .other()
        .audit(Some(newest[1].sequence), 10)
        .await
        .unwrap();
    assert_eq!(older[0].subject, "one");
    assert!(
        older
            .iter()
            .all(|entry| entry.sequence < newest[1].sequence)
    );
}
