//! What another issuer's token must be to pass, and what is done about its keys.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair;
use serde_json::{Value, json};

use super::*;
use crate::base::decode::Decode;
use crate::base::report::Report;
use crate::base::yaml;

mod corp;
mod keeping;

pub(in crate::token) use corp::Corp;
use corp::{claims, header};

pub(in crate::token) const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://login.corp.example";

pub(in crate::token) fn issuer(algorithms: &str) -> Arc<ForeignVerifier> {
    let text = format!(
        "{{ issuer: \"{ISSUER}\", audience: [api], algorithms: [{algorithms}], jwks: \"http://127.0.0.1:1/\", roles_claim: realm_access.roles }}"
    );
    let mut report = Report::default();
    let config = config::Issuer::decode(&yaml::read(&text).unwrap(), &mut report);
    assert!(!report.has_errors());
    Arc::new(ForeignVerifier::new("corp", &config.unwrap()))
}

fn publish(issuer: &ForeignVerifier, jwks: &Value) -> bool {
    let read = JwkSet::read(jwks.to_string().as_bytes(), issuer.algorithms());
    issuer.publish(read.unwrap().0)
}

/// An issuer whose keys are known.
pub(in crate::token) fn known(corp: &Corp) -> Arc<ForeignVerifier> {
    let issuer = issuer("RS256, ES256, EdDSA");
    publish(&issuer, &corp.jwks());
    issuer
}

fn verify(
    issuer: &Arc<ForeignVerifier>,
    token: &str,
    now: u64,
) -> Result<Arc<Principal>, TokenError> {
    let this = Issuer::Foreign(Arc::clone(issuer));
    issuer
        .verify(&this, token, now)
        .map(|verified| verified.principal)
}

fn refusal(issuer: &Arc<ForeignVerifier>, token: &str) -> Option<TokenError> {
    verify(issuer, token, NOW).err()
}

#[test]
fn a_token_by_each_kind_of_key_speaks_for_its_holder() {
    let corp = Corp::new();
    let issuer = known(&corp);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let principal = verify(&issuer, &corp.token(algorithm), NOW).unwrap();
        assert_eq!(principal.user, "u1");
        assert_eq!(&*principal.issuer, "corp");
        assert_eq!(principal.email.as_deref(), Some("ann@corp.example"));
        assert_eq!(principal.roles, ["staff"]);
        assert_eq!(principal.session.as_deref(), Some("s1"));
        assert_eq!(principal.expires_at, NOW + 300);
    }
}

#[test]
fn one_altered_byte_anywhere_is_refused() {
    let corp = Corp::new();
    let issuer = known(&corp);
    let token = corp.token("ES256");
    for at in 0..token.len() {
        for other in [b'A', b'B', b'-', b'.', b'=', b' '] {
            let mut altered = token.clone().into_bytes();
            if std::mem::replace(&mut altered[at], other) != other {
                let altered = String::from_utf8(altered).unwrap();
                assert!(refusal(&issuer, &altered).is_some(), "{altered}");
            }
        }
    }
}

#[test]
fn rule_1_the_algorithm_is_the_keys_and_never_the_headers() {
    let corp = Corp::new();
    let issuer = known(&corp);
    let claims = claims().to_string();
    for (alg, kid) in [
        ("none", "RS256-1"),
        ("None", "RS256-1"),
        ("HS256", "RS256-1"),
        ("rs256", "RS256-1"),
        ("RS512", "RS256-1"),
        ("PS256", "RS256-1"),
        // Allowed, and another key's.
        ("ES256", "RS256-1"),
        ("RS256", "ES256-1"),
        ("RS256", "EdDSA-1"),
    ] {
        let header = json!({ "typ": "JWT", "alg": alg, "kid": kid }).to_string();
        for signer in ["RS256", "ES256", "EdDSA"] {
            let forged = corp.forge(signer, &header, &claims);
            assert_eq!(
                refusal(&issuer, &forged),
                Some(TokenError::UnknownKey),
                "{alg} {kid}"
            );
        }
    }
    let unsigned = corp.token("RS256");
    let (unsigned, _) = unsigned.rsplit_once('.').unwrap();
    let unsigned = format!("{unsigned}.");
    assert_eq!(refusal(&issuer, &unsigned), Some(TokenError::BadSignature));
}

#[test]
fn rule_1_a_public_key_is_no_shared_secret() {
    let corp = Corp::new();
    let issuer = known(&corp);
    let public = corp.rsa.public_key();
    let der = public.as_der().unwrap().as_ref().to_vec();
    let base64 = base64::engine::general_purpose::STANDARD.encode(&der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    let secrets = [
        der,
        pem.trim().as_bytes().to_vec(),
        pem.into_bytes(),
        public.as_ref().to_vec(),
        corp.jwk("RS256").to_string().into_bytes(),
        corp.jwks().to_string().into_bytes(),
        corp.jwk("RS256")["n"].as_str().unwrap().as_bytes().to_vec(),
    ];
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for (alg, kid) in [
            ("HS256", Some("RS256-1")),
            ("RS256", Some("RS256-1")),
            ("HS256", None),
        ] {
            let header = json!({ "typ": "JWT", "alg": alg, "kid": kid });
            let mut header = header.as_object().unwrap().clone();
            header.retain(|_, value| !value.is_null());
            let encode = |text: String| URL_SAFE_NO_PAD.encode(text);
            let header = encode(Value::Object(header).to_string());
            let message = format!("{header}.{}", encode(claims().to_string()));
            let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
            assert!(refusal(&issuer, &format!("{message}.{mac}")).is_some());
        }
    }
}

#[test]
fn rule_1_an_algorithm_that_is_not_allowed_is_not_verified() {
    let corp = Corp::new();
    let issuer = issuer("ES256");
    publish(&issuer, &corp.jwks());
    assert!(verify(&issuer, &corp.token("ES256"), NOW).is_ok());
    for other in ["RS256", "EdDSA"] {
        let refused = refusal(&issuer, &corp.token(other));
        assert_eq!(refused, Some(TokenError::UnknownKey), "{other}");
    }
}

#[test]
fn rule_2_dangerous_members_and_odd_kids_are_refused() {
    let corp = Corp::new();
    let issuer = known(&corp);
    for name in ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"] {
        let token = corp.with_header(name, json!("https://evil.example"));
        assert_eq!(
            refusal(&issuer, &token),
            Some(TokenError::BadHeader),
            "{name}"
        );
    }
    for kid in [
        "../../dev/null",
        "' OR 1=1 --",
        "ES256-1\u{0}",
        "es256-1",
        "",
        "RS256-1",
    ] {
        let token = corp.with_header("kid", json!(kid));
        assert_eq!(
            refusal(&issuer, &token),
            Some(TokenError::UnknownKey),
            "{kid}"
        );
    }
    assert!(verify(&issuer, &corp.with_header("x5t", json!("abc")), NOW).is_ok());
}

#[test]
fn rule_2_without_a_kid_a_key_is_taken_only_where_there_is_no_choice() {
    let corp = Corp::new();
    let issuer = known(&corp);
    let token = corp.with_header("kid", Value::Null);
    assert!(verify(&issuer, &token, NOW).is_ok());
    let mut jwks = corp.jwks();
    let mut second = Corp::new().jwk("ES256");
    second["kid"] = json!("ES256-2");
    jwks["keys"].as_array_mut().unwrap().push(second);
    publish(&issuer, &jwks);
    assert_eq!(refusal(&issuer, &token), Some(TokenError::UnknownKey));
    assert!(verify(&issuer, &corp.token("ES256"), NOW).is_ok());
}

#[test]
fn rule_3_another_kind_of_token_is_refused() {
    let corp = Corp::new();
    let issuer = known(&corp);
    for typ in ["at+jwt", "JWT", "application/at+jwt"] {
        assert!(verify(&issuer, &corp.with_header("typ", json!(typ)), NOW).is_ok());
    }
    assert!(verify(&issuer, &corp.with_header("typ", Value::Null), NOW).is_ok());
    for typ in ["logout+jwt", "dpop+jwt", "refresh", "", "JWE"] {
        let token = corp.with_header("typ", json!(typ));
        assert_eq!(
            refusal(&issuer, &token),
            Some(TokenError::BadHeader),
            "{typ}"
        );
    }
}

#[test]
fn rule_3_three_segments_of_at_most_4096_bytes() {
    let corp = Corp::new();
    let issuer = known(&corp);
    let token = corp.token("EdDSA");
    let (message, _) = token.rsplit_once('.').unwrap();
    assert_eq!(refusal(&issuer, message), Some(TokenError::Malformed));
    assert_eq!(
        refusal(&issuer, &format!("{token}.x")),
        Some(TokenError::Malformed)
    );
    assert_eq!(refusal(&issuer, ""), Some(TokenError::Malformed));
    let long = corp.with_claim("pad", json!("p".repeat(4_000)));
    assert_eq!(refusal(&issuer, &long), Some(TokenError::TooLong));
}

#[test]
fn rule_3_claims_are_for_us_and_whole() {
    let corp = Corp::new();
    let issuer = known(&corp);
    for (name, value, why) in [
        ("iss", json!(format!("{ISSUER}/")), TokenError::WrongIssuer),
        (
            "iss",
            json!("https://LOGIN.corp.example"),
            TokenError::WrongIssuer,
        ),
        ("iss", json!([ISSUER]), TokenError::BadClaims),
        ("aud", json!("account"), TokenError::WrongAudience),
        ("aud", json!("API"), TokenError::WrongAudience),
        ("aud", json!([]), TokenError::WrongAudience),
        ("aud", json!(null), TokenError::BadClaims),
        ("sub", json!(""), TokenError::BadClaims),
        ("exp", json!("never"), TokenError::BadClaims),
    ] {
        let token = corp.with_claim(name, value.clone());
        assert_eq!(refusal(&issuer, &token), Some(why), "{name} {value}");
    }
    let doubled = claims().to_string().replacen('{', r#"{"sub":"root","#, 1);
    let doubled = corp.forge("ES256", &header("ES256").to_string(), &doubled);
    assert_eq!(refusal(&issuer, &doubled), Some(TokenError::BadClaims));
}

#[test]
fn rule_4_a_token_has_a_beginning_and_an_end() {
    let corp = Corp::new();
    let issuer = known(&corp);
    for (exp, why) in [
        (NOW - 4, None),
        (NOW - 5, Some(TokenError::Expired)),
        (0, Some(TokenError::Expired)),
        (u64::MAX, None),
    ] {
        assert_eq!(
            refusal(&issuer, &corp.with_claim("exp", json!(exp))),
            why,
            "{exp}"
        );
    }
    for (start, why) in [(NOW + 5, None), (NOW + 6, Some(TokenError::NotYetValid))] {
        for name in ["iat", "nbf"] {
            let token = corp.with_claim(name, json!(start));
            assert_eq!(refusal(&issuer, &token), why, "{name} {start}");
        }
    }
}

#[test]
fn a_token_of_another_issuers_key_is_refused() {
    let (corp, other) = (Corp::new(), Corp::new());
    let issuer = known(&corp);
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let token = other.token(algorithm);
        assert_eq!(
            refusal(&issuer, &token),
            Some(TokenError::BadSignature),
            "{algorithm}"
        );
    }
}

#[test]
fn without_any_key_nothing_is_said_of_a_token_that_could_be_good() {
    let corp = Corp::new();
    let issuer = issuer("ES256");
    assert_eq!(
        refusal(&issuer, &corp.token("ES256")),
        Some(TokenError::NoKeys)
    );
    assert_eq!(issuer.ready(), Err("no keys: not fetched yet".to_owned()));
    // What could never be good is refused all the same.
    assert_eq!(
        refusal(&issuer, &corp.token("RS256")),
        Some(TokenError::UnknownKey)
    );
    assert_eq!(refusal(&issuer, "nonsense"), Some(TokenError::Malformed));
    publish(&issuer, &corp.jwks());
    assert!(verify(&issuer, &corp.token("ES256"), NOW).is_ok());
    assert_eq!(issuer.ready(), Ok(()));
}
