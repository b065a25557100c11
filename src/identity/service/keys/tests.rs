//! Rotation, seen from a gateway: two of them on one store, each on the same virtual clock.

use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::base::clock::Clock;
use crate::base::decode::{Decode, Within};
use crate::base::report::Report;
use crate::base::yaml;
use crate::identity::{Identity, config};
use crate::token::{TokenError, install_crypto};

const NOW: u64 = 1_800_000_000_000;
const PASSWORD: &str = "correct horse";
/// Longer than a key is published before it signs.
const A_WHILE: u64 = 5_000;
/// Longer than anything signed by a retiring key lives.
const ALL_OVER: u64 = 900_000 + 120_000;

/// Gateways on one store.
struct Cluster {
    folder: TempDir,
    clock: Clock,
}

impl Cluster {
    fn new() -> Self {
        install_crypto();
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Clock::at(NOW),
        }
    }

    /// A gateway with this folder of keys and these lines of `access_token`.
    fn gateway(&self, keys: &str, access_token: &str) -> Arc<Service> {
        let source = format!("{{ keys: {keys}, access_token: {access_token} }}");
        let mut report = Report::default();
        let node = yaml::read(&source).unwrap();
        let mut config = config::Identity::decode(&node, &mut report).unwrap();
        assert!(!report.has_errors(), "{:?}", report.problems());
        config.password.bcrypt_cost = Within(10);
        let identity = Identity::open(&config, self.folder.path(), self.clock.clone());
        Arc::clone(identity.unwrap().service())
    }

    fn files(&self, keys: &str) -> usize {
        let folder = self.folder.path().join(keys);
        folder.read_dir().unwrap().count()
    }
}

async fn token(service: &Service) -> String {
    let signed_in = service
        .sign_in(
            "ann@example.com",
            PASSWORD,
            "",
            Source::default(),
            std::net::Ipv4Addr::LOCALHOST.into(),
        )
        .await;
    signed_in
        .map_err(|error| error.to_string())
        .unwrap()
        .access_token
}

async fn with_ann(service: &Service) {
    service.follow_keys().await.unwrap();
    service
        .add_user("ann@example.com", PASSWORD, &[])
        .await
        .unwrap();
    // Keys are listed by the time of their publication.
    service.clock.advance(1);
}

async fn states(service: &Service) -> Vec<&'static str> {
    let listed = service.list_keys(Admin::shell()).await.unwrap();
    listed.iter().map(|one| one.key.state().word()).collect()
}

fn kids(jwks: &Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn kid_of(token: &str) -> String {
    use base64::Engine;
    let header = token.split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header);
    let header: Value = serde_json::from_slice(&header.unwrap()).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rule_24_a_key_goes_from_next_to_retired_and_no_valid_token_is_refused() {
    let cluster = Cluster::new();
    let gateway = cluster.gateway("keys", "{}");
    with_ann(&gateway).await;
    let old = token(&gateway).await;
    assert_eq!(states(&gateway).await, ["active"]);
    let next = gateway.rotate_keys(Admin::shell()).await.unwrap();
    let twice = gateway.rotate_keys(Admin::shell()).await;
    assert!(matches!(twice, Err(NotRotated::Already(kid)) if kid == next));

    gateway.follow_keys().await.unwrap();
    assert_eq!(states(&gateway).await, ["active", "next"]);
    assert_eq!(kids(&gateway.jwks()), [kid_of(&old), next.clone()]);
    cluster.clock.advance(A_WHILE - 1);
    gateway.follow_keys().await.unwrap();
    assert_eq!(kid_of(&token(&gateway).await), kid_of(&old));
    cluster.clock.advance(1);
    gateway.follow_keys().await.unwrap();
    assert_eq!(states(&gateway).await, ["retiring", "active"]);
    let new = token(&gateway).await;
    assert_eq!(kid_of(&new), next);
    for valid in [&old, &new] {
        gateway.verify(valid).unwrap();
    }
    assert_eq!(cluster.files("keys"), 2);

    cluster.clock.advance(ALL_OVER - 1);
    gateway.follow_keys().await.unwrap();
    assert_eq!(kids(&gateway.jwks()).len(), 2);
    cluster.clock.advance(1);
    gateway.follow_keys().await.unwrap();
    assert_eq!(states(&gateway).await, ["retired", "active"]);
    assert_eq!(kids(&gateway.jwks()), [next]);
    let now = cluster.clock.unix_seconds();
    let refused = gateway.verifier.verify(&old, now);
    assert_eq!(refused, Err(TokenError::UnknownKey));
    // The private half is gone as well.
    assert_eq!(cluster.files("keys"), 1);
    assert_eq!(kid_of(&token(&gateway).await), kid_of(&new));
}

#[tokio::test]
async fn rule_24_a_key_is_known_everywhere_before_it_signs_anywhere() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.gateway("one", "{}"), cluster.gateway("two", "{}"));
    with_ann(&one).await;
    // The second to come has to wait, and says so.
    two.follow_keys().await.unwrap();
    assert!(one.can_sign() && !two.can_sign());
    let early = two
        .sign_in(
            "ann@example.com",
            PASSWORD,
            "",
            Source::default(),
            std::net::Ipv4Addr::LOCALHOST.into(),
        )
        .await;
    assert_eq!(early.err(), Some(Refused::KeyIsNew));
    cluster.clock.advance(A_WHILE);
    for gateway in [&one, &two] {
        gateway.follow_keys().await.unwrap();
    }
    assert_eq!(states(&one).await, ["active", "active"]);
    let tokens = [token(&one).await, token(&two).await];
    assert_ne!(kid_of(&tokens[0]), kid_of(&tokens[1]));
    cluster.clock.advance(1);

    // One rotates; the other's key stays as it is.
    let next = one.rotate_keys(Admin::shell()).await.unwrap();
    two.follow_keys().await.unwrap();
    one.follow_keys().await.unwrap();
    cluster.clock.advance(A_WHILE);
    one.follow_keys().await.unwrap();
    let new = token(&one).await;
    assert_eq!(kid_of(&new), next);
    assert_eq!(states(&one).await, ["retiring", "active", "active"]);
    // The second has not asked since it was published, and yet knows it.
    for valid in [&tokens[0], &tokens[1], &new] {
        one.verify(valid).unwrap();
        two.verify(valid).unwrap();
    }
    assert_eq!(kid_of(&token(&two).await), kid_of(&tokens[1]));
}

#[tokio::test]
async fn rule_24_who_shares_a_folder_switches_together() {
    let cluster = Cluster::new();
    let (one, two) = (cluster.gateway("keys", "{}"), cluster.gateway("keys", "{}"));
    with_ann(&one).await;
    two.follow_keys().await.unwrap();
    assert!(two.can_sign());
    assert_eq!(kid_of(&token(&one).await), kid_of(&token(&two).await));
    // As `airside keys rotate` does it: another process, which is gone afterwards.
    let shell = cluster.gateway("keys", "{}");
    let next = shell.rotate_keys(Admin::shell()).await.unwrap();
    drop(shell);
    for _ in 0..2 {
        for gateway in [&one, &two] {
            gateway.follow_keys().await.unwrap();
        }
        cluster.clock.advance(A_WHILE);
    }
    for gateway in [&two, &one] {
        gateway.follow_keys().await.unwrap();
        assert_eq!(kid_of(&token(gateway).await), next);
    }
    assert_eq!(states(&one).await, ["retiring", "active"]);
}

#[tokio::test]
async fn a_restart_keeps_the_keys_and_another_algorithm_rotates_them() {
    let cluster = Cluster::new();
    let gateway = cluster.gateway("keys", "{}");
    with_ann(&gateway).await;
    let old = token(&gateway).await;
    drop(gateway);
    let gateway = cluster.gateway("keys", "{ algorithm: RS256, ttl: 1d }");
    gateway.verify(&old).unwrap();
    gateway.follow_keys().await.unwrap();
    gateway.verify(&old).unwrap();
    assert_eq!(kid_of(&token(&gateway).await), kid_of(&old));
    cluster.clock.advance(A_WHILE);
    gateway.follow_keys().await.unwrap();
    let new = token(&gateway).await;
    assert_ne!(kid_of(&new), kid_of(&old));
    for valid in [&old, &new] {
        gateway.verify(valid).unwrap();
    }
    // The old key had signed tokens of a day by then.
    cluster.clock.advance(ALL_OVER);
    gateway.follow_keys().await.unwrap();
    assert_eq!(states(&gateway).await, ["retiring", "active"]);
    cluster.clock.advance(86_400_000);
    gateway.follow_keys().await.unwrap();
    assert_eq!(states(&gateway).await, ["retired", "active"]);
}

#[tokio::test]
async fn rule_1_a_shared_secret_has_no_keys_and_mixes_with_none() {
    let cluster = Cluster::new();
    let secret = "{ algorithm: HS256, secret: 5bcb58c3a1a44b0d8f2f4c9bd0d1e6f7 }";
    let pairs = cluster.gateway("keys", "{}");
    with_ann(&pairs).await;
    let signed = token(&pairs).await;
    let shared = cluster.gateway("none", secret);
    let tagged = token(&shared).await;
    shared.verify(&tagged).unwrap();
    assert!(shared.verify(&signed).is_err() && pairs.verify(&tagged).is_err());
    assert_eq!(kids(&shared.jwks()), Vec::<String>::new());
    assert!(shared.list_keys(Admin::shell()).await.unwrap().is_empty());
    let rotated = shared.rotate_keys(Admin::shell()).await;
    assert!(matches!(rotated, Err(NotRotated::Shared)));
    assert!(!cluster.folder.path().join("none").exists());
}

#[tokio::test]
async fn a_store_that_was_put_back_from_an_old_copy_costs_no_private_key() {
    let cluster = Cluster::new();
    let gateway = cluster.gateway("keys", "{}");
    with_ann(&gateway).await;
    let old = token(&gateway).await;
    drop(gateway);
    for file in ["airside.db", "airside.db-wal", "airside.db-shm"] {
        let _ = std::fs::remove_file(cluster.folder.path().join("data").join(file));
    }
    let gateway = cluster.gateway("keys", "{}");
    with_ann(&gateway).await;
    assert_eq!(kid_of(&token(&gateway).await), kid_of(&old));
    gateway.verify(&old).unwrap();
}

#[tokio::test]
async fn a_key_that_is_ended_by_hand_ends_at_once_with_all_its_tokens() {
    let cluster = Cluster::new();
    let gateway = cluster.gateway("keys", "{}");
    with_ann(&gateway).await;
    let stolen = token(&gateway).await;
    let database = cluster.folder.path().join("data/airside.db");
    let database = rusqlite::Connection::open(database).unwrap();
    // The statement of the page on identity.
    let end =
        "UPDATE signing_keys SET retiring_at = active_at, retired_at = active_at WHERE kid = ?";
    assert_eq!(database.execute(end, [kid_of(&stolen)]).unwrap(), 1);
    gateway.follow_keys().await.unwrap();
    assert_eq!(gateway.verify(&stolen), Err(Refused::InvalidToken));
    // Nobody else is there who would have to know the new key first.
    let new = token(&gateway).await;
    gateway.verify(&new).unwrap();
    assert_ne!(kid_of(&new), kid_of(&stolen));
    assert_eq!(states(&gateway).await, ["retired", "active"]);
    assert_eq!(cluster.files("keys"), 1);
}
