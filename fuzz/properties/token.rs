//! Tokens: whoever is let in is whom the signed claims name, by a reader that knows nothing of ours; nothing of a token
//! can be changed; and what is remembered of one is what was found.

use std::sync::{Arc, LazyLock};

use airside::base::decode::Decode;
use airside::base::report::Report;
use airside::base::yaml;
use airside::token::issuer::config;
use airside::token::{
    Accepted, Claim, ForeignVerifier, Issuer, JwkSet, KeyRing, KeySet, Principal, SharedKey,
    TokenCache, Verifier, bearer,
};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};

/// A header's JSON and the claims', parted by a byte that no text has.
pub fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(2, |byte| *byte == 0xff);
    let (head, claims) = (parts.next().unwrap_or_default(), parts.next());
    let Some(claims) = claims else {
        return carried(bytes);
    };
    let message = format!("{}.{}", encode(head), encode(claims));
    let issuers = &*ISSUERS;

    let tag = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, SECRET),
        message.as_bytes(),
    );
    let token = format!("{message}.{}", encode(tag.as_ref()));
    let kid = issuers.shared.kid();
    held(&issuers.own, &token, |found| {
        let said = object(head).expect("of a header all is read");
        let of_ours = said
            .keys()
            .all(|name| matches!(&**name, "alg" | "typ" | "kid"));
        assert!(of_ours && said["alg"] == "HS256", "{said:?}");
        assert!(said.get("kid").is_none_or(|said| said == kid), "{said:?}");
        is_who_the_claims_name(found, claims);
    });

    let signature = issuers.pair.sign(message.as_bytes());
    let token = format!("{message}.{}", encode(signature.as_ref()));
    held(&issuers.foreign, &token, |found| {
        let Some(said) = object(head) else { return };
        assert!(said["alg"] == "EdDSA", "{said:?}");
        assert!(said.get("kid").is_none_or(|said| said == "k1"), "{said:?}");
        for name in ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"] {
            assert!(!said.contains_key(name), "{said:?}");
        }
        is_who_the_claims_name(found, claims);
    });
}

/// What a reader of any JSON makes of it; none where a part that nobody asks for could not be read: what is passed over
/// is not looked into.
fn object(json: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Some(object),
        Ok(other) => panic!("taken, and no object: {other:?}"),
        Err(why) => {
            let text = str::from_utf8(json).expect("what is no text is refused");
            assert!(text.contains("\\u") || text.contains(['e', 'E']), "{why}");
            None
        }
    }
}

/// A token is judged alike when it comes again, and one of whose bytes is another is refused.
fn held(accepted: &Accepted, token: &str, good: impl Fn(&Principal)) {
    let found = accepted.verify(token, NOW);
    let again = accepted.verify(token, NOW);
    assert_eq!(found, again);
    let Ok(found) = found else { return };
    good(&found);
    assert!(
        accepted
            .verify(token, found.expires_at.saturating_add(LEEWAY))
            .is_err()
    );
    // Some of them, by what the token itself says: not the same ones for all.
    let step = 1 + token.len() / 40;
    for at in (token.len() % step..token.len()).step_by(step) {
        for other in ["A", "w", ".", "=", "é"] {
            let mut changed = token.to_owned();
            changed.replace_range(at..=at, other);
            assert!(
                changed == token || accepted.verify(&changed, NOW).is_err(),
                "{changed}"
            );
        }
    }
    for cut in [&token[1..], &token[..token.len() - 1], &format!("{token}A")] {
        assert!(accepted.verify(cut, NOW).is_err(), "{cut}");
    }
}

fn is_who_the_claims_name(found: &Principal, claims: &[u8]) {
    let Some(claims) = object(claims) else { return };
    assert_eq!(claims["iss"], ISSUER);
    let audiences = match &claims["aud"] {
        Value::Array(several) => several.clone(),
        one => vec![one.clone()],
    };
    assert!(audiences.contains(&json!(AUDIENCE)), "{audiences:?}");
    assert_eq!(claims["sub"], *found.user);
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    assert!(seconds("exp").is_some_and(|end| end + LEEWAY as f64 > NOW as f64));
    for name in ["iat", "nbf"] {
        assert!(seconds(name).is_none_or(|from| from as u64 <= NOW + LEEWAY));
    }
    if let Some(email) = &found.email {
        assert_eq!(claims["email"], **email);
    }
    for text in [&found.user]
        .into_iter()
        .chain(&found.roles)
        .chain(&found.session)
    {
        assert!(
            !text.is_empty() && !text.contains(char::is_control),
            "{text:?}"
        );
    }
    for role in &found.roles {
        assert!(!role.contains(','), "{role:?}: two in a header's list");
        let named = claims.get("roles").is_some_and(|roles| match roles {
            Value::Array(roles) => roles.contains(&json!(role)),
            roles => roles.as_str().is_some_and(|roles| roles.contains(&**role)),
        });
        assert!(named, "{role:?}");
    }
    for (name, value) in &claims {
        let same = match (found.claims.find(name), value) {
            (Some(Claim::Text(text)), Value::String(value)) => text == **value,
            (Some(Claim::Whole(number)), Value::Number(value)) => {
                value
                    .as_i64()
                    .map(i128::from)
                    .or(value.as_u64().map(i128::from))
                    == Some(number)
            }
            (Some(Claim::Fraction(bits)), Value::Number(value)) => {
                value.as_f64().map(f64::to_bits) == Some(bits)
            }
            (Some(Claim::Truth(truth)), Value::Bool(value)) => truth == *value,
            (None, Value::Null | Value::Array(_) | Value::Object(_)) => true,
            _ => false,
        };
        assert!(same, "{name}: {value} is {:?}", found.claims.find(name));
    }
}

/// Any bytes in a header: nobody is let in by what has no signature.
fn carried(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, value.clone());
    if let Ok(Some(token)) = bearer(&headers) {
        assert!(!token.starts_with(' ') && token.is_ascii());
        for accepted in [&ISSUERS.own, &ISSUERS.foreign] {
            assert!(accepted.verify(token, NOW).is_err(), "{token}");
        }
    }
    headers.append(header::AUTHORIZATION, value);
    assert!(bearer(&headers).is_err());
}

struct Issuers {
    shared: SharedKey,
    own: Accepted,
    pair: Ed25519KeyPair,
    foreign: Accepted,
}

static ISSUERS: LazyLock<Issuers> = LazyLock::new(|| {
    let shared = SharedKey::new(SECRET, 3_600);
    let ring = KeyRing::new(KeySet::Shared(shared.clone()));
    let own = Verifier::new(
        "airside",
        ISSUER.to_owned(),
        AUDIENCE.to_owned(),
        ring,
        LEEWAY,
    );
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let keys =
        format!("{{ issuer: {ISSUER}, audience: [{AUDIENCE}], algorithms: [EdDSA], keys: none }}");
    let keys = config::Issuer::decode(&yaml::read(&keys).unwrap(), &mut Report::default()).unwrap();
    let foreign = ForeignVerifier::new("corp", &keys);
    let x = encode(pair.public_key().as_ref());
    let jwks = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": x }] });
    let jwks = JwkSet::read(jwks.to_string().as_bytes(), foreign.algorithms()).unwrap();
    foreign.publish(jwks.0);
    let accepted = |issuer| Accepted::new(vec![issuer], Arc::new(TokenCache::default()));
    Issuers {
        shared,
        own: accepted(Issuer::Own(Arc::new(own))),
        pair,
        foreign: accepted(Issuer::Foreign(Arc::new(foreign))),
    }
});

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

const SECRET: &[u8] = b"a secret of thirty-two bytes, ok";
const ISSUER: &str = "https://id.test";
const AUDIENCE: &str = "edge";
const NOW: u64 = 1_800_000_000;
const LEEWAY: u64 = 5;
