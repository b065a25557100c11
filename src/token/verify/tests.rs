//! What a token must be to pass, and each way in which one may fail to be that.

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};

use super::*;
use crate::token::public::base64;
use crate::token::{KeySet, SigningKey, install_crypto};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://api.example.com";

struct Fixture {
    pkcs8: Vec<u8>,
    key: SigningKey,
    verifier: Verifier,
}

fn fixture() -> Fixture {
    install_crypto();
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let pkcs8 = pkcs8.as_ref().to_vec();
    let key = SigningKey::from_pkcs8(&pkcs8).unwrap();
    let ring = KeyRing::new(KeySet::new(vec![key.verify_key()]));
    Fixture {
        pkcs8,
        key,
        verifier: Verifier::new("airside", ISSUER.into(), "airside".into(), ring, 5),
    }
}

fn claims() -> Claims {
    Claims {
        iss: ISSUER.into(),
        aud: "airside".into(),
        sub: "u1".into(),
        id: "u1".into(),
        email: "ann@example.com".into(),
        roles: vec!["customer".into()],
        client_id: "airside".into(),
        iat: NOW,
        exp: NOW + 900,
        nbf: None,
        jti: "j1".into(),
        sid: "s1".into(),
        ver: 0,
    }
}

impl Fixture {
    fn token(&self) -> String {
        self.key.sign(&claims()).unwrap()
    }

    /// A token with this header and these claims, as text, signed by the right key.
    fn forge(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64(header), base64(claims));
        self.seal(message)
    }

    fn seal(&self, message: String) -> String {
        let key = EncodingKey::from_ed_der(&self.pkcs8);
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
        format!("{message}.{signature}")
    }

    fn header(&self) -> String {
        format!(
            r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{}"}}"#,
            self.key.kid()
        )
    }

    fn refusal(&self, token: &str) -> Option<TokenError> {
        self.verifier.verify(token, NOW).err()
    }
}

fn changed(change: impl FnOnce(&mut Claims)) -> Claims {
    let mut claims = claims();
    change(&mut claims);
    claims
}

#[test]
fn a_token_speaks_for_its_user() {
    let fixture = fixture();
    let principal = fixture.verifier.verify(&fixture.token(), NOW).unwrap();
    assert_eq!(principal.user, "u1");
    assert_eq!(principal.email.as_deref(), Some("ann@example.com"));
    assert_eq!(&*principal.issuer, "airside");
    assert_eq!(principal.session.as_deref(), Some("s1"));
    assert_eq!(principal.expires_at, NOW + 900);
    assert!(principal.has_role("customer") && !principal.has_role("admin"));
}

#[test]
fn one_altered_byte_anywhere_is_refused() {
    let fixture = fixture();
    let token = fixture.token();
    for at in 0..token.len() {
        for other in [b'A', b'B', b'-', b'.', b'=', b' '] {
            let mut altered = token.clone().into_bytes();
            if std::mem::replace(&mut altered[at], other) != other {
                let altered = String::from_utf8(altered).unwrap();
                assert!(fixture.refusal(&altered).is_some(), "{altered}");
            }
        }
    }
}

#[test]
fn a_token_of_another_key_is_refused() {
    let (one, other) = (fixture(), fixture());
    assert_eq!(one.refusal(&other.token()), Some(TokenError::UnknownKey));
    // The right header, the wrong signature.
    let (_, tail) = other.token().split_once('.').map(own).unwrap();
    let mixed = format!("{}.{tail}", base64(one.header()));
    assert_eq!(one.refusal(&mixed), Some(TokenError::BadSignature));
}

fn own((one, other): (&str, &str)) -> (String, String) {
    (one.to_owned(), other.to_owned())
}

#[test]
fn rule_1_the_algorithm_is_the_keys_and_never_the_headers() {
    let fixture = fixture();
    let body = serde_json::to_string(&claims()).unwrap();
    let kid = fixture.key.kid();
    for algorithm in ["none", "None", "HS256", "EDDSA", "ES256", "RS256"] {
        let header = format!(r#"{{"typ":"at+jwt","alg":"{algorithm}","kid":"{kid}"}}"#);
        let forged = fixture.forge(&header, &body);
        assert_eq!(fixture.refusal(&forged), Some(TokenError::UnknownKey));
        let unsigned = format!("{}.{}.", base64(&header), base64(&body));
        assert_eq!(fixture.refusal(&unsigned), Some(TokenError::UnknownKey));
    }
    // The public key as an HMAC secret: under its own header, and under ours.
    let jwks = KeySet::new(vec![fixture.key.verify_key()]).jwks();
    let public = jwks["keys"][0]["x"].as_str().unwrap();
    let secret = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(public).unwrap());
    for header in [fixture.header().replace("EdDSA", "HS256"), fixture.header()] {
        let message = format!("{}.{}", base64(header), base64(&body));
        let mac = crypto::sign(message.as_bytes(), &secret, Algorithm::HS256).unwrap();
        assert!(fixture.refusal(&format!("{message}.{mac}")).is_some());
    }
}

#[test]
fn rule_2_a_header_with_anything_more_is_refused() {
    let fixture = fixture();
    let body = serde_json::to_string(&claims()).unwrap();
    for member in ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip", "x"] {
        let more = format!(r#","{member}":"https://evil.example"}}"#);
        let header = fixture.header().replace('}', &more);
        let forged = fixture.forge(&header, &body);
        assert_eq!(
            fixture.refusal(&forged),
            Some(TokenError::UnknownKey),
            "{member}"
        );
    }
}

#[test]
fn rule_3_another_type_of_token_is_refused() {
    let fixture = fixture();
    let body = serde_json::to_string(&claims()).unwrap();
    for wrong in ["JWT", "at+JWT", "application/at+jwt", "refresh+jwt"] {
        let header = fixture.header().replace("at+jwt", wrong);
        let forged = fixture.forge(&header, &body);
        assert_eq!(fixture.refusal(&forged), Some(TokenError::UnknownKey));
    }
}

#[test]
fn rule_3_a_token_is_three_segments_of_at_most_4096_bytes() {
    let fixture = fixture();
    let token = fixture.token();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, body) = message.split_once('.').unwrap();
    for (wrong, why) in [
        (String::new(), TokenError::Malformed),
        (header.to_owned(), TokenError::Malformed),
        (message.to_owned(), TokenError::Malformed),
        (format!("{token}.x"), TokenError::Malformed),
        (
            format!("{header}..{body}.{signature}"),
            TokenError::Malformed,
        ),
        (format!("{token}=="), TokenError::BadSignature),
        (format!("{message}."), TokenError::BadSignature),
        (fixture.seal(format!("{message}==")), TokenError::BadClaims),
        (format!("{token}{}", "A".repeat(5000)), TokenError::TooLong),
    ] {
        assert_eq!(fixture.refusal(&wrong), Some(why), "{wrong}");
    }
}

#[test]
fn rule_3_every_claim_is_there_once_and_of_its_type() {
    let fixture = fixture();
    let refused = |claims: &str| {
        let forged = fixture.forge(&fixture.header(), claims);
        assert_eq!(
            fixture.refusal(&forged),
            Some(TokenError::BadClaims),
            "{claims}"
        );
    };
    let sound = serde_json::to_value(claims()).unwrap();
    for name in [
        "iss", "aud", "sub", "exp", "iat", "jti", "roles", "sid", "ver",
    ] {
        let with = |value: Value| {
            let mut claims = sound.clone();
            claims[name] = value;
            refused(&claims.to_string());
        };
        let mut without = sound.clone();
        without.as_object_mut().unwrap().remove(name);
        refused(&without.to_string());
        with(Value::Null);
        with(json!({}));
        with(json!(-1));
        with(json!(1.5));
        let doubled = sound.to_string().replacen(
            &format!("\"{name}\":"),
            &format!("\"{name}\":{},\"{name}\":", sound[name]),
            1,
        );
        refused(&doubled);
    }
    refused(&format!("{sound} {{}}"));
    refused("[]");
    let fields = [
        "iss",
        "aud",
        "sub",
        "id",
        "email",
        "roles",
        "client_id",
        "iat",
        "exp",
        "nbf",
    ];
    let values = fields.iter().chain(&["jti", "sid", "ver"]);
    let values: Vec<_> = values.map(|name| sound.get(name).cloned()).collect();
    refused(&json!(values).to_string());
}

#[test]
fn a_token_for_others_is_refused() {
    let fixture = fixture();
    let refusal = |claims: Claims| fixture.refusal(&fixture.key.sign(&claims).unwrap());
    let elsewhere = changed(|claims| claims.iss.push('/'));
    assert_eq!(refusal(elsewhere), Some(TokenError::WrongIssuer));
    let other = changed(|claims| claims.aud = "Airside".into());
    assert_eq!(refusal(other), Some(TokenError::WrongAudience));
}

#[test]
fn rule_4_a_token_has_a_beginning_and_an_end() {
    let fixture = fixture();
    let refusal = |claims: Claims| fixture.refusal(&fixture.key.sign(&claims).unwrap());
    for (exp, why) in [
        (NOW - 4, None),
        (NOW - 5, Some(TokenError::Expired)),
        (0, Some(TokenError::Expired)),
        (u64::MAX, None),
    ] {
        assert_eq!(refusal(changed(|claims| claims.exp = exp)), why, "{exp}");
    }
    for (start, why) in [(NOW + 5, None), (NOW + 6, Some(TokenError::NotYetValid))] {
        assert_eq!(refusal(changed(|claims| claims.iat = start)), why);
        assert_eq!(refusal(changed(|claims| claims.nbf = Some(start))), why);
    }
}

#[test]
fn a_published_change_of_keys_reaches_every_verifier() {
    let (one, other) = (fixture(), fixture());
    let clone = one.verifier.clone();
    one.verifier
        .keys
        .publish(KeySet::new(vec![other.key.verify_key()]));
    assert!(clone.verify(&other.token(), NOW).is_ok());
    assert_eq!(clone.verify(&one.token(), NOW), Err(TokenError::UnknownKey));
}
