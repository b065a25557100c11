//! Which keys are taken, and which are left out for what they say or are.

use serde_json::json;

use super::*;
use crate::token::foreign::tests::Corp;

const ALL: [Algorithm; 3] = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];

/// Why the key is left out, or nothing.
fn objection(jwk: Value, algorithms: &[Algorithm]) -> Option<String> {
    match JwkSet::read(json!({ "keys": [jwk] }).to_string().as_bytes(), algorithms) {
        Ok(_) => None,
        Err(JwksError::NothingUsable(left_out)) => Some(left_out[0].why.to_owned()),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_key_may_leave_out_what_it_need_not_say() {
    let corp = Corp::new();
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let mut jwk = corp.jwk(algorithm);
        assert_eq!(objection(jwk.clone(), &ALL), None);
        for name in ["alg", "use", "kid"] {
            jwk.as_object_mut().unwrap().remove(name);
        }
        jwk["x5c"] = json!(["MIIB"]);
        jwk["key_ops"] = json!(["verify"]);
        assert_eq!(objection(jwk, &ALL), None, "{algorithm}");
    }
}

#[test]
fn rule_1_a_key_is_for_one_algorithm_and_that_must_be_allowed() {
    let corp = Corp::new();
    for (kind, wrong) in [
        (
            "RS256",
            vec!["HS256", "RS512", "PS256", "ES256", "rs256", "none", ""],
        ),
        ("ES256", vec!["HS256", "ES384", "RS256", "EdDSA"]),
        ("EdDSA", vec!["HS256", "ES256", "Ed448"]),
    ] {
        for alg in wrong {
            let mut jwk = corp.jwk(kind);
            jwk["alg"] = json!(alg);
            assert!(objection(jwk, &ALL).is_some(), "{kind} {alg}");
        }
        let others: Vec<_> = ALL.into_iter().filter(|one| one.word() != kind).collect();
        assert!(objection(corp.jwk(kind), &others).is_some(), "{kind}");
    }
}

#[test]
fn rule_1_what_could_sign_is_never_taken() {
    let corp = Corp::new();
    let secret = json!({ "kty": "oct", "alg": "HS256", "kid": "s", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" });
    assert!(objection(secret, &ALL).unwrap().contains("shared secret"));
    for kind in ["RS256", "ES256", "EdDSA"] {
        for name in SECRET {
            let mut jwk = corp.jwk(kind);
            jwk[name] = json!("AQAB");
            assert!(
                objection(jwk, &ALL).unwrap().contains("private"),
                "{kind} {name}"
            );
        }
    }
}

#[test]
fn rule_1_a_key_for_something_else_is_left_out() {
    let corp = Corp::new();
    for (name, value) in [
        ("use", json!("enc")),
        ("use", json!("SIG")),
        ("use", json!(7)),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!([])),
        ("kid", json!(7)),
        ("kid", json!("k".repeat(257))),
        ("kty", json!("EC2")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
    ] {
        let mut jwk = corp.jwk("ES256");
        jwk[name] = value.clone();
        assert!(objection(jwk, &ALL).is_some(), "{name} {value}");
    }
}

#[test]
fn rule_5_numbers_must_be_of_their_size_and_on_their_curve() {
    let corp = Corp::new();
    let encode = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
    let n = URL_SAFE_NO_PAD
        .decode(corp.jwk("RS256")["n"].as_str().unwrap())
        .unwrap();
    let zero_first: Vec<u8> = std::iter::once(0).chain(n.iter().copied()).collect();
    let even: Vec<u8> = n[..255].iter().copied().chain([0x10]).collect();
    for (kind, name, value) in [
        // 2040 and 1024 bits.
        ("RS256", "n", encode(&n[..255])),
        ("RS256", "n", encode(&n[..128])),
        ("RS256", "n", encode(&[0xff; 1_025])),
        ("RS256", "n", encode(&zero_first)),
        ("RS256", "n", encode(&even)),
        ("RS256", "n", json!("AQAB=")),
        ("RS256", "n", json!(null)),
        ("RS256", "e", encode(&[1])),
        ("RS256", "e", encode(&[3])),
        ("RS256", "e", encode(&[1, 0, 0])),
        ("RS256", "e", encode(&[1; 9])),
        ("RS256", "e", json!("")),
        ("ES256", "x", encode(&[1; 32])),
        ("ES256", "x", encode(&[0; 32])),
        ("ES256", "x", encode(&[1; 31])),
        ("ES256", "y", encode(&[1; 48])),
        ("ES256", "y", json!(null)),
        ("EdDSA", "x", encode(&[1; 31])),
        ("EdDSA", "x", encode(&[1; 57])),
        ("EdDSA", "y", encode(&[1; 32])),
    ] {
        let mut jwk = corp.jwk(kind);
        jwk[name] = value.clone();
        assert!(objection(jwk, &ALL).is_some(), "{kind} {name} {value}");
    }
}

#[test]
fn good_keys_are_taken_from_among_bad_ones_and_a_name_counts_once() {
    let corp = Corp::new();
    let mut encryption = corp.jwk("RS256");
    encryption["use"] = json!("enc");
    let mut doubled = Corp::new().jwk("ES256");
    doubled["alg"] = json!("ES256");
    let document = json!({ "keys": [encryption, 7, corp.jwk("ES256"), doubled, {}] });
    let (set, left_out) = JwkSet::read(document.to_string().as_bytes(), &ALL).unwrap();
    assert_eq!((set.len(), left_out.len()), (1, 4), "{left_out:?}");
    assert!(
        set.is_same_as(
            &JwkSet::read(
                json!({ "keys": [corp.jwk("ES256")] })
                    .to_string()
                    .as_bytes(),
                &ALL
            )
            .unwrap()
            .0
        )
    );
}

#[test]
fn a_document_without_keys_is_an_error() {
    for (wrong, why) in [
        ("", JwksError::Malformed),
        ("<html>", JwksError::Malformed),
        ("[]", JwksError::Malformed),
        ("{}", JwksError::Malformed),
        (r#"{"keys":{}}"#, JwksError::Malformed),
        (r#"[[]]"#, JwksError::Malformed),
        (r#"[[{}]]"#, JwksError::Malformed),
        (r#"{"keys":[]} x"#, JwksError::Malformed),
        (r#"{"keys":[]}"#, JwksError::NothingUsable(Vec::new())),
    ] {
        assert_eq!(
            JwkSet::read(wrong.as_bytes(), &ALL).err(),
            Some(why),
            "{wrong}"
        );
    }
    let many = json!({ "keys": vec![json!({}); MAX_KEYS + 1] }).to_string();
    assert_eq!(
        JwkSet::read(many.as_bytes(), &ALL).err(),
        Some(JwksError::TooMany)
    );
}
