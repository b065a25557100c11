//! What another program's token must be where a secret is shared, and that no public key passes for one.

use jsonwebtoken::{Algorithm as Signed, EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;
use crate::token::{
    Algorithm, KeyRing, KeySet, Principal, Revocation, Revocations, Revoked, SigningKey,
    TokenError, Verifier, install_crypto,
};

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"5bcb58c3a1a44b0d8f2f4c9bd0d1e6f7";
const LIFE: u64 = 900;

fn verifier(keys: KeySet) -> Verifier {
    install_crypto();
    let (issuer, audience) = ("https://api.example.com", "api");
    let ring = KeyRing::new(keys);
    Verifier::new("airside", issuer.into(), audience.into(), ring, 5)
}

fn shared() -> Verifier {
    verifier(KeySet::Shared(SharedKey::new(SECRET, LIFE)))
}

fn least() -> Value {
    json!({
        "iss": "https://api.example.com", "aud": "api", "sub": "ann", "jti": "1",
        "iat": NOW, "exp": NOW + 60,
    })
}

fn token_of(header: &str, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", base64(header), base64(claims.to_string()));
    let key = EncodingKey::from_secret(secret);
    let tag = crypto::sign(message.as_bytes(), &key, Signed::HS256).unwrap();
    format!("{message}.{tag}")
}

fn verified(header: &str, claims: &Value) -> Result<Principal, TokenError> {
    let verifier = shared();
    let token = token_of(header, claims, SECRET);
    verifier
        .verify(&token, NOW)
        .map(|principal| (*principal).clone())
}

const JWT: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[test]
fn another_programs_token_needs_no_more_than_six_claims() {
    let principal = verified(JWT, &least()).unwrap();
    assert_eq!((principal.user.as_str(), principal.email), ("ann", None));
    assert!(principal.roles.is_empty() && principal.session.is_none());
    let mut more = least();
    more["roles"] = json!(["customer", "flight_company"]);
    more["email"] = json!("ann@example.com");
    more["aud"] = json!(["other", "api"]);
    more["anything"] = json!({ "else": 1 });
    let principal = verified(JWT, &more).unwrap();
    assert!(principal.has_role("flight_company"));
    assert_eq!(principal.email.as_deref(), Some("ann@example.com"));
}

#[test]
fn rule_1_a_header_that_has_to_be_read_says_nothing_but_what_it_must() {
    let kid = SharedKey::new(SECRET, LIFE).kid().to_owned();
    for sound in [
        JWT.to_owned(),
        r#"{"typ":"JWT","alg":"HS256"}"#.to_owned(),
        r#"{ "typ": "at+jwt", "alg": "HS256" }"#.to_owned(),
        r#"{"alg":"HS256"}"#.to_owned(),
        format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"JWT"}}"#),
    ] {
        assert!(verified(&sound, &least()).is_ok(), "{sound}");
    }
    for wrong in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"EdDSA"}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","typ":"refresh+jwt"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","kid":null}"#,
        r#"{"alg":"HS256","kid":"another"}"#,
        r#"{"alg":"HS256"} "#,
        r#"{"alg":"HS256"}{}"#,
        r#"["HS256"]"#,
        "",
    ] {
        // White space around is the one thing that JSON lets pass.
        let sound = wrong.ends_with("} ");
        assert_eq!(verified(wrong, &least()).is_ok(), sound, "{wrong}");
    }
    for member in [
        "jku", "jwk", "x5u", "x5c", "x5t", "crit", "b64", "zip", "cty",
    ] {
        let wrong = format!(r#"{{"alg":"HS256","typ":"JWT","{member}":"https://evil.example"}}"#);
        let refused = verified(&wrong, &least());
        assert_eq!(refused, Err(TokenError::UnknownKey), "{member}");
    }
}

#[test]
fn rule_3_six_claims_must_be_there_once_and_of_their_type() {
    for name in ["iss", "aud", "sub", "exp", "iat", "jti"] {
        let mut without = least();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(
            verified(JWT, &without),
            Err(TokenError::BadClaims),
            "{name}"
        );
        for wrong in [Value::Null, json!({}), json!(-1), json!(1.5), json!("")] {
            let mut claims = least();
            claims[name] = wrong;
            assert!(verified(JWT, &claims).is_err(), "{claims}");
        }
    }
    for (name, wrong) in [
        ("sub", json!("ann\r\nX-Auth-Roles: admin")),
        ("email", json!("a\nb")),
        ("roles", json!("admin")),
        ("roles", json!(["customer,admin"])),
        ("roles", json!([""])),
        ("roles", Value::Null),
        ("sid", json!(7)),
        ("ver", json!("1")),
    ] {
        let mut claims = least();
        claims[name] = wrong;
        assert_eq!(
            verified(JWT, &claims),
            Err(TokenError::BadClaims),
            "{claims}"
        );
    }
    for (name, wrong, why) in [
        (
            "iss",
            json!("https://other.example"),
            TokenError::WrongIssuer,
        ),
        ("aud", json!(["other"]), TokenError::WrongAudience),
        ("exp", json!(NOW - 5), TokenError::Expired),
        ("nbf", json!(NOW + 6), TokenError::NotYetValid),
        ("iat", json!(NOW + 6), TokenError::NotYetValid),
    ] {
        let mut claims = least();
        claims[name] = wrong;
        assert_eq!(verified(JWT, &claims), Err(why), "{claims}");
    }
}

#[test]
fn rule_8_another_programs_token_counts_no_longer_than_its_end_is_remembered() {
    let mut claims = least();
    claims["exp"] = json!(NOW + 1_000_000);
    assert_eq!(verified(JWT, &claims).unwrap().expires_at, NOW + LIFE);
    let token = token_of(JWT, &claims, SECRET);
    let end = NOW + LIFE + 5;
    assert!(shared().verify(&token, end - 1).is_ok());
    assert_eq!(shared().verify(&token, end), Err(TokenError::Expired));

    let revoked = Revocations::default();
    let verifier = shared().with_revocations(revoked.clone());
    assert!(verifier.verify(&token, NOW).is_ok());
    let below = |user: &str| Revocation::Below {
        user: user.to_owned(),
        version: 1,
    };
    let at = NOW * 1_000;
    let revocation = below("ann");
    revoked.add(&[Revoked { revocation, at }], 0);
    assert_eq!(verifier.verify(&token, NOW), Err(TokenError::Revoked));
}

#[test]
fn rule_1_no_form_of_a_public_key_passes_for_the_secret() {
    for algorithm in Algorithm::ALL {
        let (key, _) = SigningKey::generate(algorithm).unwrap();
        let public = key.verify_key();
        let jwk = public.jwk();
        let number = |name: &str| jwk[name].as_str().map(str::as_bytes);
        let raw = |name: &str| number(name).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let mut secrets = vec![jwk.to_string().into_bytes(), key.kid().into(), Vec::new()];
        for name in ["x", "y", "n", "e"] {
            secrets.extend(number(name).map(<[u8]>::to_vec));
            secrets.extend(raw(name));
        }
        let verifier = verifier(KeySet::new(vec![public.clone()]));
        let mut headers = vec![JWT.to_owned(), r#"{"alg":"HS256"}"#.to_owned()];
        for alg in ["HS256", algorithm.name()] {
            let kid = key.kid();
            headers.push(format!(r#"{{"typ":"at+jwt","alg":"{alg}","kid":"{kid}"}}"#));
        }
        for header in &headers {
            for secret in &secrets {
                let forged = token_of(header, &least(), secret);
                assert!(verifier.verify(&forged, NOW).is_err(), "{header}");
            }
        }
    }
}

#[test]
fn rule_1_where_a_secret_is_shared_no_pair_of_keys_counts() {
    for algorithm in Algorithm::ALL {
        let (key, _) = SigningKey::generate(algorithm).unwrap();
        let claims: Result<Claims, _> = serde_json::from_value(json!({
            "iss": "https://api.example.com", "aud": "api", "sub": "u", "id": "u", "email": "e",
            "roles": [], "client_id": "api", "iat": NOW, "exp": NOW + 60, "jti": "j", "sid": "s",
            "ver": 0,
        }));
        let token = key.sign(&claims.unwrap()).unwrap();
        let pairs = verifier(KeySet::new(vec![key.verify_key()]));
        assert!(pairs.verify(&token, NOW).is_ok());
        assert_eq!(shared().verify(&token, NOW), Err(TokenError::UnknownKey));
    }
}

#[test]
fn rule_23_the_secret_shows_itself_nowhere() {
    let key = SharedKey::new(SECRET, LIFE);
    assert_eq!(format!("{key:?}"), "SharedKey(***)");
    let jwks = KeySet::Shared(key).jwks();
    assert_eq!(jwks, json!({ "keys": [] }));
}
