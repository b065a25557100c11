//! Which passwords are accepted, and that a hash fits its own alone.

use std::sync::Arc;

use super::*;
use crate::identity::email::Email;

const RULES: PasswordRules = PasswordRules { min_length: 8 };

fn accept(text: &str) -> Result<AcceptedPassword, Weakness> {
    let email = Email::parse("Jonathan@example.com").unwrap();
    PlainPassword::new(text).accept(RULES, email.key())
}

async fn check(pool: &PasswordPool, plain: PlainPassword, hash: Option<PasswordHash>) -> bool {
    let place = pool.enter().unwrap();
    let checked = pool.check(place, plain, hash, Arc::default()).await;
    checked.unwrap().fits
}

#[test]
fn rule_10_length_is_8_characters_to_71_bytes_of_any_unicode() {
    assert_eq!(accept("1234567").unwrap_err(), Weakness::TooShort(8));
    assert_eq!(accept("ééééééé").unwrap_err(), Weakness::TooShort(8));
    assert!(accept("пароль-№").is_ok());
    assert!(accept("    ⛵    ").is_ok());
    assert!(accept(&"x".repeat(71)).is_ok());
    assert_eq!(accept(&"x".repeat(72)).unwrap_err(), Weakness::TooLong);
    assert_eq!(accept(&"é".repeat(36)).unwrap_err(), Weakness::TooLong);
    assert_eq!(accept("long\0enough").unwrap_err(), Weakness::Nul);
}

#[test]
fn rule_11_common_passwords_and_the_emails_name_are_refused() {
    for common in ["password", "Password1", "QWERTYUIOP", "12345678"] {
        assert_eq!(accept(common).unwrap_err(), Weakness::Common, "{common}");
    }
    for like in ["jonathan", "JONATHAN", "jonathan@example.com"] {
        assert_eq!(accept(like).unwrap_err(), Weakness::LikeEmail, "{like}");
    }
}

#[tokio::test]
async fn a_hash_fits_its_password_and_no_other() {
    let pool = PasswordPool::start(10, 1, 8).unwrap();
    let longest = "y".repeat(71);
    let hash = pool.hash(accept(&longest).unwrap()).await.unwrap();
    assert!(hash.as_str().starts_with("$2b$10$"));
    assert!(bcrypt::verify(&longest, hash.as_str()).unwrap());
    let fits = async |text: &str| {
        let plain = PlainPassword::new(text);
        check(&pool, plain, Some(hash.clone())).await
    };
    assert!(fits(&longest).await);
    for other in ["", "-", &"y".repeat(70), &"y".repeat(72), &"y".repeat(500)] {
        assert!(!fits(other).await, "{other}");
    }
}

#[tokio::test]
async fn one_letter_written_in_two_ways_is_one_password() {
    let pool = PasswordPool::start(10, 1, 8).unwrap();
    let hash = pool
        .hash(accept("cafe\u{301} creme").unwrap())
        .await
        .unwrap();
    let composed = PlainPassword::new("caf\u{e9} creme");
    assert!(check(&pool, composed, Some(hash)).await);
}

#[tokio::test]
async fn rule_15_nobody_has_no_password() {
    let pool = PasswordPool::start(10, 1, 8).unwrap();
    for text in ["", "-", "correct horse"] {
        assert!(!check(&pool, PlainPassword::new(text), None).await);
    }
}

#[test]
fn rule_12_a_stored_hash_above_the_cap_is_refused_and_not_computed() {
    let stored = |text: String| PasswordHash::from_stored(text).err();
    let tail = ".".repeat(53);
    for form in ["2b", "2a", "2y"] {
        assert_eq!(stored(format!("${form}$04${tail}")), None);
        assert_eq!(stored(format!("${form}$15${tail}")), None);
    }
    assert_eq!(
        stored(format!("$2b$16${tail}")),
        Some(UnusableHash::Cost(16))
    );
    assert_eq!(
        stored(format!("$2b$31${tail}")),
        Some(UnusableHash::Cost(31))
    );
    for shape in [
        String::new(),
        "correct horse".to_owned(),
        // Of a faulty computation, in which different passwords fit.
        format!("$2x$12${tail}"),
        format!("$2c$12${tail}"),
        format!("$2$12${tail}.."),
        // Below what bcrypt has.
        format!("$2b$03${tail}"),
        format!("$2b$1${tail}"),
        format!("$2b$+1${tail}"),
        format!("$2b$12${tail}."),
        format!("$2b$12${}\n", ".".repeat(52)),
    ] {
        assert_eq!(stored(shape.clone()), Some(UnusableHash::Shape), "{shape}");
    }
}
