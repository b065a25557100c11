//! What the `identity:` mapping takes and what it refuses.

use super::*;
use crate::base::yaml;

fn read(source: &str) -> (Option<Identity>, Vec<String>) {
    let mut report = Report::default();
    let identity = Identity::decode(&yaml::read(source).unwrap(), &mut report);
    let show = |problem: &Problem| format!("{}: {}", problem.place.line, problem.message);
    (identity, report.problems().iter().map(show).collect())
}

fn roles(identity: &Identity) -> Vec<String> {
    let all = identity.all_roles();
    all.iter().map(RoleName::to_string).collect()
}

#[test]
fn everything_has_a_default() {
    let identity = Identity::default();
    assert_eq!(identity.listen.value.to_string(), "127.0.0.1:3002");
    assert_eq!(
        identity.store,
        StoreAddress::SqliteFile("data/airside.db".into())
    );
    assert_eq!(identity.access_token.ttl.value, Duration::from_secs(900));
    assert_eq!(identity.password.bcrypt_cost, Within(12));
    assert!(identity.password.workers.count() >= 1);
    assert!(identity.signup.enabled);
    let throttle = identity.throttle.clone();
    assert_eq!(throttle.account_failures, Within(5));
    assert_eq!(
        throttle.account_max_delay.value,
        Duration::from_secs(15 * 60)
    );
    assert_eq!(throttle.ip_per_minute, Within(30));
    assert_eq!(roles(&identity), ["admin", "customer"]);
    let schema = Identity::schema(&mut SchemaGenerator::default()).to_value();
    assert_eq!(schema.get("required"), None);
}

#[test]
fn a_full_mapping_is_read() {
    let (identity, problems) = read(
        "listen: 127.0.0.1:4002\nstore: \"sqlite::memory:\"\nissuer: https://api.example.com\n\
         audience: api\nkeys: k\naccess_token: { ttl: 5m, algorithm: EdDSA }\n\
         password: { min_length: 12, bcrypt_cost: 10, workers: 3, queue: 8 }\n\
         signup: { enabled: false, roles: [pilot] }\nroles: [admin, pilot, crew]\n",
    );
    let identity = identity.unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(identity.store, StoreAddress::SqliteMemory);
    assert_eq!(identity.password.workers, Workers::Threads(3));
    assert_eq!(roles(&identity), ["admin", "crew", "pilot"]);
}

#[test]
fn values_out_of_range_are_refused_at_their_line() {
    for (source, problem) in [
        (
            "password:\n  min_length: 7",
            "2: 7 is out of range: 8 to 64",
        ),
        (
            "password:\n  bcrypt_cost: 16",
            "2: 16 is out of range: 10 to 15",
        ),
        ("password: { workers: 0 }", "1: 0 is out of range: 1 to 256"),
        (
            "access_token: { ttl: 2d }",
            "1: `2d` is out of range: an access token lives 1s to 1d",
        ),
        (
            "access_token: { ttl: 0s }",
            "1: `0ms` is out of range: an access token lives 1s to 1d",
        ),
        (
            "throttle: { account_failures: 101 }",
            "1: 101 is out of range: 0 to 100",
        ),
        (
            "throttle: { account_max_delay: 500ms }",
            "1: `500ms` is out of range: an account waits for 1s to 1d at most",
        ),
        (
            "throttle: { account_max_delay: 2d }",
            "1: `2d` is out of range: an account waits for 1s to 1d at most",
        ),
        (
            "store: postgres://u:pw@h/d",
            "1: expected `sqlite:PATH`, `sqlite::memory:` or `mysql://…`",
        ),
        (
            "signup: { roles: [admin] }",
            "1: whoever signs up would be an admin",
        ),
        (
            "roles: [crew]\nsignup: { roles: [crww] }",
            "2: `crww` is not one of `identity.roles`",
        ),
    ] {
        assert_eq!(read(source).1, [problem], "{source}");
    }
}

#[test]
fn rule_5_a_secret_belongs_to_hs256_and_is_none_that_others_know() {
    const SECRET: &str = "5bcb58c3a1a44b0d8f2f4c9bd0d1e6f7";
    for (source, problem) in [
        (
            "access_token:\n  algorithm: HS256".to_owned(),
            "2: `HS256` needs `secret`, the key that is shared",
        ),
        (
            format!("access_token:\n  secret: {SECRET}"),
            "2: `EdDSA` has a pair of keys of its own, and no `secret`",
        ),
        (
            format!("access_token:\n  algorithm: RS256\n  secret: {SECRET}"),
            "3: `RS256` has a pair of keys of its own, and no `secret`",
        ),
        (
            "access_token:\n  algorithm: HS256\n  secret: short-and-sweet".to_owned(),
            "3: the secret is too short: `HS256` needs 32 bytes or more",
        ),
        (
            "access_token:\n  algorithm: HS256\n  secret: a-string-secret-at-least-256-bits-long"
                .to_owned(),
            "3: the secret is one that everybody knows, from examples, or made of too little",
        ),
    ] {
        let (_, problems) = read(&source);
        assert_eq!(problems, [problem], "{source}");
        assert!(!problems[0].contains("sweet"), "{problems:?}");
    }
    let (identity, problems) = read(&format!(
        "access_token: {{ algorithm: HS256, secret: {SECRET} }}"
    ));
    assert!(problems.is_empty(), "{problems:?}");
    assert!(!format!("{identity:?}").contains(SECRET));
    for (word, pair) in [
        ("EdDSA", token::Algorithm::EdDsa),
        ("ES256", token::Algorithm::Es256),
        ("RS256", token::Algorithm::Rs256),
    ] {
        let (identity, problems) = read(&format!("access_token: {{ algorithm: {word} }}"));
        assert!(problems.is_empty(), "{problems:?}");
        let identity = identity.unwrap();
        assert!(matches!(identity.access_token.key(), Key::Pair(one) if one == pair));
    }
}

#[test]
fn rule_23_the_stores_password_is_not_shown() {
    let (identity, problems) = read("store: mysql://airside:hunter2@127.0.0.1/airside");
    assert!(problems.is_empty(), "{problems:?}");
    assert!(matches!(
        identity.as_ref().unwrap().store,
        StoreAddress::Mysql(_)
    ));
    assert!(!format!("{identity:?}").contains("hunter2"));
}
