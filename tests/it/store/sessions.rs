//! Sessions, their refresh tokens, and what ends tokens.

use airside::identity::refresh::RefreshToken;
use airside::identity::session::{NewSession, Rotated, Rotation, SessionId};
use airside::identity::store::StoreError;
use airside::identity::user::UserId;
use airside::token::Revocation;

use super::{Backend, NOW, RoleName, at, origin, role, user};

/// One hour in milliseconds: a session's age. Half of it may pass unused; a replaced token lives for 10 s.
const AGE: u64 = 3_600_000;
const IDLE: u64 = AGE / 2;
const GRACE: u64 = 10_000;

/// A session of a new user, and its first refresh token.
pub(super) async fn begin(on: &impl Backend, user: UserId) -> (SessionId, RefreshToken) {
    let (id, token) = (SessionId::new(NOW), RefreshToken::random().unwrap());
    let session = NewSession {
        id,
        user,
        refresh: token.hash(),
        user_agent: "curl/8".to_owned(),
        expires_at: NOW + AGE,
    };
    on.store().begin_session(session, origin()).await.unwrap();
    (id, token)
}

pub(super) async fn ann(on: &impl Backend) -> UserId {
    let ann = user("ann@x.org", &[RoleName::customer()]).await;
    let id = ann.id();
    on.store().create_user(ann, origin()).await.unwrap();
    id
}

fn rotation(shown: &RefreshToken, next: &RefreshToken) -> Rotation {
    Rotation {
        shown: shown.hash(),
        next: next.hash(),
        sealed: shown.seal(next).unwrap(),
        grace: GRACE,
        idle: IDLE,
    }
}

async fn rotate(on: &impl Backend, shown: &RefreshToken, millis: u64) -> (Rotated, RefreshToken) {
    let next = RefreshToken::random().unwrap();
    let rotated = on
        .other()
        .rotate_session(rotation(shown, &next), at(millis))
        .await;
    (rotated.unwrap(), next)
}

/// What gateways are told of, without its times.
async fn told(on: &impl Backend) -> Vec<Revocation> {
    let (revoked, _) = on.other().revocations(0, 0).await.unwrap();
    revoked
        .into_iter()
        .map(|revoked| revoked.revocation)
        .collect()
}

pub(super) async fn a_session_begins_and_is_listed_until_it_ends(on: &impl Backend) {
    let ann = ann(on).await;
    let (first, _) = begin(on, ann).await;
    let (second, _) = begin(on, ann).await;
    let listed = on.other().sessions(ann, NOW).await.unwrap();
    assert_eq!(listed.len(), 2);
    let shown = listed.iter().find(|session| session.id == first).unwrap();
    assert_eq!(
        (shown.created_at, shown.used_at, shown.expires_at),
        (NOW, NOW, NOW + AGE)
    );
    assert_eq!(shown.user_agent, "curl/8");
    assert!(
        on.other()
            .sessions(ann, NOW + AGE)
            .await
            .unwrap()
            .is_empty()
    );

    let nobody = UserId::new(NOW);
    let unknown = Err(StoreError::UnknownSession);
    assert_eq!(
        on.store().end_session(nobody, first, origin()).await,
        unknown
    );
    on.store().end_session(ann, first, origin()).await.unwrap();
    assert_eq!(on.other().end_session(ann, first, origin()).await, unknown);
    let left = on.other().sessions(ann, NOW).await.unwrap();
    assert_eq!(
        left.iter().map(|session| session.id).collect::<Vec<_>>(),
        [second]
    );
    assert_eq!(told(on).await, [Revocation::Session(first.to_string())]);
}

pub(super) async fn rule_17_a_refresh_token_is_replaced_and_its_successor_comes_again_for_a_while(
    on: &impl Backend,
) {
    let ann = ann(on).await;
    let (id, first) = begin(on, ann).await;
    let (rotated, second) = rotate(on, &first, 1_000).await;
    let Rotated::Next { session, user } = rotated else {
        panic!("{rotated:?}")
    };
    assert_eq!(
        (session.id, session.used_at, user.id),
        (id, NOW + 1_000, ann)
    );
    let (again, _) = rotate(on, &first, 1_000 + GRACE - 1).await;
    let Rotated::Again {
        session, successor, ..
    } = again
    else {
        panic!("{again:?}")
    };
    assert_eq!(session.id, id);
    assert_eq!(first.open(&successor).unwrap().hash(), second.hash());
    assert!(matches!(
        rotate(on, &second, 2_000).await.0,
        Rotated::Next { .. }
    ));
    let stranger = RefreshToken::random().unwrap();
    assert!(matches!(rotate(on, &stranger, 0).await.0, Rotated::Unknown));
    assert!(told(on).await.is_empty());
}

pub(super) async fn rule_17_a_token_used_again_too_late_ends_the_session(on: &impl Backend) {
    let ann = ann(on).await;
    let (id, first) = begin(on, ann).await;
    let (_, second) = rotate(on, &first, 0).await;
    let (_, third) = rotate(on, &second, GRACE).await;
    // The first one's successor is forgotten by now, and the first one is not.
    assert!(matches!(rotate(on, &first, GRACE).await.0, Rotated::Reused));
    for token in [&first, &second, &third] {
        assert!(matches!(rotate(on, token, GRACE).await.0, Rotated::Unknown));
    }
    assert_eq!(told(on).await, [Revocation::Session(id.to_string())]);
    let row = format!("shell refresh_token_reused {ann} {id}");
    assert!(on.audit().await.contains(&row), "{:?}", on.audit().await);
}

pub(super) async fn rule_17_of_many_who_rotate_at_once_all_get_one_successor(on: &impl Backend) {
    let ann = ann(on).await;
    let (_, first) = begin(on, ann).await;
    let mut tasks = Vec::new();
    for index in 0..20 {
        let store = [on.store(), on.other()][index % 2].clone();
        let (shown, next) = (first.clone(), RefreshToken::random().unwrap());
        tasks.push(tokio::spawn(async move {
            match store
                .rotate_session(rotation(&shown, &next), origin())
                .await
                .unwrap()
            {
                Rotated::Next { .. } => (1, next.hash()),
                Rotated::Again { successor, .. } => (0, shown.open(&successor).unwrap().hash()),
                other => panic!("{other:?}"),
            }
        }));
    }
    let (mut first_ones, mut hashes) = (0, Vec::new());
    for task in tasks {
        let (one, hash) = task.await.unwrap();
        first_ones += one;
        hashes.push(hash);
    }
    hashes.dedup();
    assert_eq!((first_ones, hashes.len()), (1, 1));
}

pub(super) async fn a_session_that_is_over_is_not_rotated(on: &impl Backend) {
    let ann = ann(on).await;
    let (_, idle) = begin(on, ann).await;
    assert!(matches!(rotate(on, &idle, IDLE).await.0, Rotated::Unknown));
    let (_, mut token) = begin(on, ann).await;
    for round in 1..4 {
        let (rotated, next) = rotate(on, &token, round * (IDLE - 1)).await;
        match round * (IDLE - 1) < AGE {
            true => assert!(matches!(rotated, Rotated::Next { .. }), "{round}"),
            false => assert!(matches!(rotated, Rotated::Unknown), "{round}"),
        }
        token = next;
    }
    let (ended, token) = begin(on, ann).await;
    on.store().end_session(ann, ended, origin()).await.unwrap();
    assert!(matches!(rotate(on, &token, 0).await.0, Rotated::Unknown));
}

pub(super) async fn rule_18_what_ends_tokens_is_told_in_order_to_everyone(on: &impl Backend) {
    let ann = ann(on).await;
    let (id, token) = begin(on, ann).await;
    let store = on.store();
    store.create_role(role("crew"), origin()).await.unwrap();
    store.grant_role(ann, role("crew"), at(1)).await.unwrap();
    store.grant_role(ann, role("crew"), at(2)).await.unwrap();
    let (_, cursor) = on.other().revocations(0, 0).await.unwrap();
    store.revoke_role(ann, role("crew"), at(3)).await.unwrap();
    store.end_session(ann, id, at(4)).await.unwrap();
    store.end_all_sessions(ann, at(5)).await.unwrap();
    let user = ann.to_string();
    let below = |version| Revocation::Below {
        user: user.clone(),
        version,
    };
    assert_eq!(
        told(on).await,
        [
            below(1),
            below(2),
            Revocation::Session(id.to_string()),
            below(3)
        ]
    );
    let (later, last) = on.other().revocations(cursor + 1, 0).await.unwrap();
    assert_eq!(
        later.iter().map(|revoked| revoked.at).collect::<Vec<_>>(),
        [NOW + 3, NOW + 4, NOW + 5]
    );
    assert!(last > cursor);
    let (recent, _) = on.other().revocations(0, NOW + 4).await.unwrap();
    assert_eq!(recent.len(), 2);
    assert!(matches!(rotate(on, &token, 0).await.0, Rotated::Unknown));
    assert_eq!(store.user(ann).await.unwrap().unwrap().token_version, 3);
}

pub(super) async fn a_password_changes_once_and_a_better_hash_takes_only_its_place(
    on: &impl Backend,
) {
    let ann = ann(on).await;
    let (_, token) = begin(on, ann).await;
    let hash = |email: &'static str| async move { user(email, &[]).await.password_hash().clone() };
    let (new, better, late) = (
        hash("a@x.org").await,
        hash("b@x.org").await,
        hash("c@x.org").await,
    );
    on.store()
        .change_password(ann, new.clone(), at(1))
        .await
        .unwrap();
    assert!(matches!(rotate(on, &token, 2).await.0, Rotated::Unknown));
    assert!(on.other().sessions(ann, NOW).await.unwrap().is_empty());
    let stored = async || on.rows("SELECT password_hash FROM users").await[0][0].clone();
    assert_eq!(stored().await, new.as_str());
    on.store()
        .replace_hash(ann, new.clone(), better.clone())
        .await
        .unwrap();
    assert_eq!(stored().await, better.as_str());
    // Whoever still holds the old one comes too late.
    on.store().replace_hash(ann, new, late).await.unwrap();
    assert_eq!(stored().await, better.as_str());
    assert_eq!(told(on).await.len(), 1);
    let nobody = on
        .store()
        .change_password(UserId::new(NOW), better, at(1))
        .await;
    assert_eq!(nobody, Err(StoreError::UnknownUser));
}

pub(super) async fn what_has_had_its_time_is_cleared_away(on: &impl Backend) {
    let ann = ann(on).await;
    let (old, _) = begin(on, ann).await;
    begin(on, ann).await;
    on.store().end_session(ann, old, at(5)).await.unwrap();
    on.store().tidy(NOW + 5, NOW + 5).await.unwrap();
    assert_eq!(
        (
            on.rows("SELECT id FROM sessions").await.len(),
            told(on).await.len()
        ),
        (2, 1)
    );
    on.store().tidy(NOW + 6, NOW + 6).await.unwrap();
    assert_eq!(
        (
            on.rows("SELECT id FROM sessions").await.len(),
            told(on).await.len()
        ),
        (1, 0)
    );
    on.store().tidy(NOW, NOW + AGE + 1).await.unwrap();
    assert!(on.rows("SELECT id FROM sessions").await.is_empty());
    assert!(
        on.rows("SELECT session_id FROM refresh_tokens")
            .await
            .is_empty()
    );
}
