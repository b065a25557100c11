//! What a remembered token is worth: nothing beyond its time, its keys and its session.

use std::sync::Arc;

use super::*;
use crate::token::foreign::tests::{Corp, NOW, known};
use crate::token::revoked::{Revocation, Revoked};
use crate::token::verify::{TokenError, Verifier};
use crate::token::{
    Accepted, Claims, ForeignVerifier, Issuer, JwkSet, KeyRing, KeySet, Revocations, SigningKey,
    install_crypto,
};

struct Own {
    key: SigningKey,
    ring: KeyRing,
    revoked: Revocations,
    issuer: Issuer,
}

fn signing_key() -> SigningKey {
    use aws_lc_rs::signature::Ed25519KeyPair;
    let random = aws_lc_rs::rand::SystemRandom::new();
    SigningKey::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref()).unwrap()
}

fn own() -> Own {
    install_crypto();
    let key = signing_key();
    let ring = KeyRing::new(KeySet::new(vec![key.verify_key()]));
    let revoked = Revocations::default();
    let verifier = Verifier::new(
        "airside",
        "https://api".into(),
        "api".into(),
        ring.clone(),
        5,
    );
    let issuer = Issuer::Own(Arc::new(verifier.with_revocations(revoked.clone())));
    Own {
        key,
        ring,
        revoked,
        issuer,
    }
}

impl Own {
    fn token(&self, user: &str) -> String {
        let claims = Claims {
            iss: "https://api".into(),
            aud: "api".into(),
            sub: user.into(),
            id: user.into(),
            email: "ann@example.com".into(),
            roles: Vec::new(),
            client_id: "api".into(),
            iat: NOW,
            exp: NOW + 900,
            nbf: None,
            jti: "j".into(),
            sid: format!("session of {user}"),
            ver: 1,
        };
        self.key.sign(&claims).unwrap()
    }
}

fn accepted(issuers: &[&Issuer], cache: &Arc<TokenCache>) -> Accepted {
    let issuers = issuers.iter().copied().cloned().collect();
    Accepted::new(issuers, Arc::clone(cache))
}

fn foreign(issuer: &Arc<ForeignVerifier>) -> Issuer {
    Issuer::Foreign(Arc::clone(issuer))
}

#[test]
fn a_token_that_comes_again_is_known_and_the_same_principal() {
    let (own, corp, cache) = (own(), Corp::new(), Arc::new(TokenCache::new()));
    let corp_issuer = foreign(&known(&corp));
    let accepted = accepted(&[&own.issuer, &corp_issuer], &cache);
    for token in [own.token("u1"), corp.token("RS256")] {
        let before = cache.uses();
        let first = accepted.verify(&token, NOW).unwrap();
        let misses = before.misses + 1;
        assert_eq!(cache.uses(), Uses { misses, ..before });
        let again = accepted.verify(&token, NOW).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        let hits = before.hits + 1;
        let evictions = 0;
        assert_eq!(
            cache.uses(),
            Uses {
                hits,
                misses,
                evictions
            }
        );
    }
}

#[test]
fn rule_9_a_remembered_token_ends_when_it_expires() {
    let (own, corp, cache) = (own(), Corp::new(), Arc::new(TokenCache::new()));
    let corp_issuer = foreign(&known(&corp));
    for (issuer, token, life) in [
        (&own.issuer, own.token("u1"), 900),
        (&corp_issuer, corp.token("ES256"), 300),
    ] {
        let accepted = accepted(&[issuer], &cache);
        assert!(accepted.verify(&token, NOW).is_ok());
        assert!(accepted.verify(&token, NOW + life + 4).is_ok());
        let late = accepted.verify(&token, NOW + life + 5);
        assert_eq!(late.err(), Some(TokenError::Expired));
        // A clock that was set back makes it a token from the future, as it would without a cache.
        let early = accepted.verify(&token, NOW - 6);
        assert_eq!(early.err(), Some(TokenError::NotYetValid));
    }
}

#[test]
fn rule_9_a_remembered_token_ends_with_its_session_or_version() {
    for revocation in [
        Revocation::Session("session of u1".to_owned()),
        Revocation::Below {
            user: "u1".to_owned(),
            version: 2,
        },
    ] {
        let (own, cache) = (own(), Arc::new(TokenCache::new()));
        let accepted = accepted(&[&own.issuer], &cache);
        let (token, other) = (own.token("u1"), own.token("u2"));
        for token in [&token, &other] {
            assert!(accepted.verify(token, NOW).is_ok());
        }
        own.revoked.add(&[Revoked { revocation, at: 1 }], 0);
        let ended = accepted.verify(&token, NOW);
        assert_eq!(ended.err(), Some(TokenError::Revoked));
        assert!(accepted.verify(&other, NOW).is_ok());
    }
}

#[test]
fn rule_9_a_remembered_token_ends_with_its_key() {
    let (own, corp, cache) = (own(), Corp::new(), Arc::new(TokenCache::new()));
    let issuer = known(&corp);
    let corp_issuer = foreign(&issuer);
    let accepted = accepted(&[&own.issuer, &corp_issuer], &cache);
    let (own_token, corp_token) = (own.token("u1"), corp.token("ES256"));
    for token in [&own_token, &corp_token] {
        assert!(accepted.verify(token, NOW).is_ok());
    }
    // A second key beside it changes nothing for the token, but for being verified once more.
    let second = signing_key();
    own.ring
        .publish(KeySet::new(vec![own.key.verify_key(), second.verify_key()]));
    assert!(accepted.verify(&own_token, NOW).is_ok());

    own.ring.publish(KeySet::new(vec![second.verify_key()]));
    let without = serde_json::json!({ "keys": [corp.jwk("RS256")] }).to_string();
    issuer.publish(
        JwkSet::read(without.as_bytes(), issuer.algorithms())
            .unwrap()
            .0,
    );
    for token in [&own_token, &corp_token] {
        let gone = accepted.verify(token, NOW);
        assert_eq!(gone.err(), Some(TokenError::UnknownKey));
    }
}

#[test]
fn rule_9_a_token_remembered_for_one_route_opens_no_other() {
    let (own, corp, cache) = (own(), Corp::new(), Arc::new(TokenCache::new()));
    let corp_issuer = foreign(&known(&corp));
    let both = accepted(&[&own.issuer, &corp_issuer], &cache);
    let only_own = accepted(&[&own.issuer], &cache);
    // The same keys, configured anew: what was verified before was verified by other rules.
    let anew = foreign(&known(&corp));
    let only_anew = accepted(&[&anew], &cache);
    let token = corp.token("ES256");
    assert!(both.verify(&token, NOW).is_ok());
    assert_eq!(
        only_own.verify(&token, NOW).err(),
        Some(TokenError::UnknownKey)
    );
    let hits = cache.uses().hits;
    assert!(only_anew.verify(&token, NOW).is_ok());
    assert_eq!(cache.uses().hits, hits);
}

#[test]
fn rule_9_only_good_tokens_are_remembered_and_by_all_of_their_bytes() {
    let (own, cache) = (own(), Arc::new(TokenCache::new()));
    let accepted = accepted(&[&own.issuer], &cache);
    let token = own.token("u1");
    assert!(accepted.verify(&token, NOW).is_ok());
    for at in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        for _ in 0..2 {
            assert!(accepted.verify(&altered, NOW).is_err(), "{altered}");
        }
    }
    assert_eq!(cache.uses().hits, 0);
}

#[test]
fn rule_9_the_memory_is_bounded_and_who_calls_often_stays() {
    let (own, cache) = (own(), TokenCache::new());
    let verified = || {
        let Issuer::Own(verifier) = &own.issuer else {
            unreachable!()
        };
        verifier
            .verify_for(&own.issuer, &own.token("u1"), NOW)
            .unwrap()
    };
    let sample = verified();
    let entry = || Verified {
        by: sample.by.clone(),
        with: match &sample.with {
            crate::token::verified::KeysThen::Own(keys) => {
                crate::token::verified::KeysThen::Own(Arc::clone(keys))
            }
            crate::token::verified::KeysThen::Foreign(_) => unreachable!(),
        },
        life: sample.life,
        version: sample.version,
        made_at: sample.made_at,
        principal: Arc::clone(&sample.principal),
    };
    let busy = "the busy one";
    cache.keep(busy, entry(), NOW);
    let count = 4 * WAYS * SETS;
    for n in 0..count {
        let now = NOW + n as u64 / 1_000;
        cache.keep(&n.to_string(), entry(), now);
        assert!(cache.find(busy, now + 1, |_| Some(())).is_some(), "{n}");
    }
    let left = (0..count).filter(|n| cache.find(&n.to_string(), NOW, |_| Some(())).is_some());
    let left = left.count();
    assert!(left < WAYS * SETS && left > WAYS * SETS * 9 / 10, "{left}");
    assert_eq!(Arc::strong_count(&sample.principal), left + 2);
    // The busy one was kept beside those that were counted.
    assert_eq!(cache.uses().evictions, (count - left) as u64);
    let (expired, new) = (cache.uses().evictions, "when all have expired");
    cache.keep(new, entry(), NOW + 100_000_000);
    assert_eq!(cache.uses().evictions, expired, "it took an expired one's");
}

#[test]
fn rule_9_many_threads_read_and_write_at_once() {
    let (own, cache) = (own(), Arc::new(TokenCache::new()));
    let accepted = accepted(&[&own.issuer], &cache);
    let tokens: Vec<_> = (0..50).map(|n| own.token(&format!("u{n}"))).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for round in 0..200 {
                    let n = round % tokens.len();
                    let principal = accepted.verify(&tokens[n], NOW).unwrap();
                    assert_eq!(principal.user, format!("u{n}"));
                }
            });
        }
    });
    let Uses { hits, misses, .. } = cache.uses();
    assert_eq!(hits + misses, 800);
    assert!(misses <= 200, "{misses}");
}

/// `cargo test --release --lib token::cache::tests::what_a_token_costs -- --ignored --nocapture`
#[test]
#[ignore = "measures; see the figures in docs/ISSUERS.md"]
fn what_a_token_costs() {
    let (own, corp) = (own(), Corp::new());
    let corp_issuer = foreign(&known(&corp));
    for (what, issuer, token) in [
        ("own, EdDSA", &own.issuer, own.token("u1")),
        ("RS256", &corp_issuer, corp.token("RS256")),
        ("ES256", &corp_issuer, corp.token("ES256")),
        ("EdDSA", &corp_issuer, corp.token("EdDSA")),
    ] {
        let time = |work: &dyn Fn()| {
            let began = std::time::Instant::now();
            (0..10_000).for_each(|_| work());
            began.elapsed() / 10_000
        };
        let verified = time(&|| {
            let result = match issuer {
                Issuer::Own(own) => own.verify_for(issuer, &token, NOW),
                Issuer::Foreign(foreign) => foreign.verify(issuer, &token, NOW),
            };
            assert!(result.is_ok());
        });
        let cache = Arc::new(TokenCache::new());
        let accepted = accepted(&[issuer], &cache);
        let known = time(&|| assert!(accepted.verify(&token, NOW).is_ok()));
        println!(
            "{what}, {} bytes: verified {verified:?}, known {known:?}",
            token.len()
        );
    }
}

/// `cargo test --release --lib token::cache::tests::what_a_full -- --ignored --nocapture`
#[test]
#[ignore = "measures; see the figures in docs/ISSUERS.md"]
fn what_a_full_memory_takes() {
    let (own, cache) = (own(), Arc::new(TokenCache::new()));
    let accepted = accepted(&[&own.issuer], &cache);
    let pages = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
    };
    let before = pages();
    for n in 0..2 * WAYS * SETS {
        let user = format!("01a203e7-1812-7701-89a1-{n:012}");
        accepted.verify(&own.token(&user), NOW).unwrap();
    }
    let grown = (pages() - before) * 4 / 1024;
    println!("{} tokens: {grown} MiB", WAYS * SETS);
}
