//! What values the columns take, keep and tell apart.

use airside::identity::role::RoleName;
use airside::identity::store::{Origin, Source, StoreError};
use airside::identity::user::UserId;

use super::{Backend, NOW, origin, role, user};

pub(super) async fn rule_12_a_stored_hash_of_an_absurd_cost_is_not_used(on: &impl Backend) {
    let ann = user("ann@x.org", &[]).await;
    on.store().create_user(ann.clone(), origin()).await.unwrap();
    let hash = format!("$2b$31${}", ".".repeat(53));
    on.execute(&format!("UPDATE users SET password_hash = '{hash}'"))
        .await
        .unwrap();
    let found = on
        .store()
        .credentials(ann.email().key().clone())
        .await
        .unwrap();
    assert_eq!(found.unwrap().password_hash, None);
}

pub(super) async fn rule_13_the_column_takes_nothing_but_a_hash(on: &impl Backend) {
    let insert = async |hash: &str| {
        let id = UserId::new(NOW).to_string();
        let sql = format!(
            "INSERT INTO users (id, email, email_key, password_hash, created_at)
             VALUES ('{id}', 'a@x', x'61407800', '{hash}', 0)"
        );
        on.execute(&sql).await
    };
    for plain in ["correct horse", "", "x", &"x".repeat(60), &"x".repeat(61)] {
        assert!(insert(plain).await.is_err(), "{plain}");
    }
    // Of a faulty computation, in which different passwords fit; and forms that nobody has seen.
    for form in ["2x", "2", "2c", "2B", "1", "5"] {
        let hash = format!("${form}$12${}", ".".repeat(55 - form.len()));
        assert!(insert(&hash).await.is_err(), "{hash}");
    }
    for form in ["2b", "2a", "2y"] {
        on.execute("DELETE FROM users").await.unwrap();
        insert(&format!("${form}$12${}", ".".repeat(53)))
            .await
            .unwrap();
    }
}

pub(super) async fn rule_21_keys_that_differ_in_a_byte_never_merge(on: &impl Backend) {
    let mut made = Vec::new();
    for email in [
        "josé@x",
        "jose@x",
        "ı@x",
        "i@x",
        "İ@x",
        "a@x",
        "a@x.",
        "straße@x",
        "strasse@x",
        "\u{10400}@x",
    ] {
        let one = user(email, &[]).await;
        on.store().create_user(one.clone(), origin()).await.unwrap();
        made.push(one);
    }
    for one in &made {
        let found = on
            .other()
            .credentials(one.email().key().clone())
            .await
            .unwrap();
        let found = found.unwrap().user;
        assert_eq!(
            (found.id, found.email.as_str()),
            (one.id(), one.email().as_str())
        );
    }
    // Even what no address can have: the column compares bytes, trailing spaces among them.
    for key in ["61", "6120", "612020", "41", "6100"] {
        let id = UserId::new(NOW);
        let hash = format!("$2b$12${}", ".".repeat(53));
        let sql = format!(
            "INSERT INTO users (id, email, email_key, password_hash, created_at)
             VALUES ('{id}', 'a', x'{key}636465', '{hash}', 0)"
        );
        on.execute(&sql).await.unwrap();
        let ends = sql.replace(&format!("x'{key}636465'"), &format!("x'636465{key}'"));
        on.execute(&ends.replace(&id.to_string(), &UserId::new(NOW).to_string()))
            .await
            .unwrap();
    }
}

pub(super) async fn rule_21_one_address_written_differently_is_taken(on: &impl Backend) {
    on.store()
        .create_user(user("José@x", &[]).await, origin())
        .await
        .unwrap();
    for same in ["JOSÉ@X", " josé@x ", "jose\u{301}@x", "JOSE\u{301}@x\n"] {
        let taken = on
            .other()
            .create_user(user(same, &[]).await, origin())
            .await;
        assert_eq!(taken, Err(StoreError::EmailTaken), "{same:?}");
    }
}

pub(super) async fn the_longest_values_and_nul_come_back_whole(on: &impl Backend) {
    for letter in ["a", "é", "\u{1f6eb}"] {
        let name = letter.repeat(252 / letter.len());
        let longest = user(&format!("{name}@x"), &[]).await;
        assert!(longest.email().as_str().len() > 250);
        let made = on
            .store()
            .create_user(longest.clone(), origin())
            .await
            .unwrap();
        assert_eq!(made.email, longest.email().as_str());
        let found = on
            .other()
            .credentials(longest.email().key().clone())
            .await
            .unwrap();
        assert_eq!(found.unwrap().user.id, longest.id());
    }
    let odd = Origin {
        source: Source {
            addresses: format!("\0\u{1f6eb}{}", "a".repeat(250)),
            request_id: format!("{}\0", "b".repeat(127)),
        },
        ..origin()
    };
    let longest = role(&"r".repeat(64));
    on.store()
        .create_role(longest.clone(), odd.clone())
        .await
        .unwrap();
    let rows = on
        .rows("SELECT source, request_id FROM audit_log WHERE source <> ''")
        .await;
    assert_eq!(rows, [[odd.source.addresses, odd.source.request_id]]);
    let roles = on.other().roles().await.unwrap();
    assert!(roles.iter().any(|one| one.name == longest.as_str()));
}

pub(super) async fn a_user_may_have_more_roles_than_fit_a_short_text(on: &impl Backend) {
    let roles: Vec<RoleName> = (0..40).map(|n| role(&format!("{n:0>64}"))).collect();
    for role in &roles {
        on.store()
            .create_role(role.clone(), origin())
            .await
            .unwrap();
    }
    let ann = user("ann@x.org", &[]).await;
    on.store().create_user(ann.clone(), origin()).await.unwrap();
    for role in &roles {
        on.store()
            .grant_role(ann.id(), role.clone(), origin())
            .await
            .unwrap();
    }
    let expected: Vec<_> = roles.iter().map(RoleName::to_string).collect();
    assert_eq!(
        on.other().user(ann.id()).await.unwrap().unwrap().roles,
        expected
    );
}
