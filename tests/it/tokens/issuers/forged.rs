//! What only a forger would send, and what is for somebody else.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::KeyPair;

use super::*;
use crate::support::corp::message;

/// Each token is refused on each route with the same answer, and the log tells why.
async fn all_refused(company: &Company, cases: &[(&str, String, &str)]) {
    let api = company.site.api();
    for path in ["/corp", "/all", "/admins"] {
        let none = Answer::to(api.request("GET", path)).await;
        none.refused(401, "unauthenticated");
        let mut answers = Vec::new();
        for (what, token, _) in cases {
            let answer = company.ask(path, token).await;
            let said = answer.without_its_request();
            assert_eq!(said, none.without_its_request(), "{path}: {what}");
            answers.push(answer);
        }
        let found = refused::reasons(&company.site, &answers);
        for ((what, _, reason), found) in cases.iter().zip(found) {
            // Where there is a choice of issuers, a token that names none of them goes no further.
            let elsewhere = path != "/corp" && *reason == "wrong_issuer";
            let reason = if elsewhere { "no_issuer" } else { reason };
            assert_eq!(found, reason, "{path}: {what}");
        }
    }
    assert_eq!(company.site.origin.count(), 0);
}

#[tokio::test]
async fn rule_1_no_key_verifies_by_an_algorithm_that_is_not_its_own() {
    let company = Company::start();
    let corp = &company.corp;
    let claims = corp.claims();
    let unsigned = |alg: &str| {
        let header = json!({ "typ": "JWT", "alg": alg, "kid": "RS256-1" });
        format!("{}.", message(&header, &claims))
    };
    let hmac = |alg: &str, secret: &[u8]| {
        let header = json!({ "typ": "JWT", "alg": alg, "kid": "RS256-1" });
        let message = message(&header, &claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let mac = token::encode(hmac::sign(&key, message.as_bytes()));
        format!("{message}.{mac}")
    };
    let der = corp.rsa.public_key().as_der().unwrap().as_ref().to_vec();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &der);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n");
    let jwk = corp.jwk("RS256").to_string();
    let confused = |alg: &str, kid: &str, signer: &str| {
        let header = json!({ "typ": "JWT", "alg": alg, "kid": kid });
        corp.forge(signer, &header, &claims)
    };
    let (unknown, bad) = ("unknown_key", "bad_signature");
    let cases = [
        ("none", unsigned("none"), unknown),
        ("NONE", unsigned("NONE"), unknown),
        ("no signature", unsigned("RS256"), bad),
        ("HS256 with the key's DER", hmac("HS256", &der), unknown),
        ("HS256 with its PEM", hmac("HS256", pem.as_bytes()), unknown),
        ("HS256 with its JWK", hmac("HS256", jwk.as_bytes()), unknown),
        ("a MAC that says RS256", hmac("RS256", pem.as_bytes()), bad),
        ("lower case", confused("rs256", "RS256-1", "RS256"), unknown),
        ("PS256", confused("PS256", "RS256-1", "RS256"), unknown),
        (
            "another key's",
            confused("ES256", "RS256-1", "ES256"),
            unknown,
        ),
        (
            "another key's name",
            confused("RS256", "ES256-1", "RS256"),
            unknown,
        ),
        ("another key", Corp::new(CORP).token("RS256"), bad),
    ];
    all_refused(&company, &cases).await;
}

#[tokio::test]
async fn rule_2_no_header_makes_the_gateway_fetch_or_open_anything() {
    let company = Company::start();
    let corp = &company.corp;
    let evil = Origin::start();
    Corp::new(CORP).publish(&evil);
    let url = format!("http://{}{JWKS}", evil.address());
    let header = "bad_header";
    let mut cases = vec![
        ("jku", corp.with_header("jku", url.clone()), header),
        ("x5u", corp.with_header("x5u", url), header),
        (
            "jwk",
            corp.with_header("jwk", Corp::new(CORP).jwk("ES256")),
            header,
        ),
        ("x5c", corp.with_header("x5c", json!(["MIIB"])), header),
        ("crit", corp.with_header("crit", json!(["exp"])), header),
        ("b64", corp.with_header("b64", false), header),
        ("zip", corp.with_header("zip", "DEF"), header),
        ("no alg", corp.with_header("alg", ()), header),
        (
            "a long kid",
            corp.with_header("kid", "k".repeat(300)),
            header,
        ),
        ("kid is a number", corp.with_header("kid", 1), header),
    ];
    for kid in [
        "../../../dev/null",
        "' OR '1'='1",
        "partner.json",
        "es256-1",
        "",
    ] {
        cases.push(("kid", corp.with_header("kid", kid), "unknown_key"));
    }
    all_refused(&company, &cases).await;
    assert_eq!(evil.connections(), 0);
    assert!(company.server.count() <= 2, "unknown kids: one fetch more");
}

#[tokio::test]
async fn rule_3_and_4_a_token_is_whole_for_us_and_in_its_time() {
    let company = Company::start();
    let corp = &company.corp;
    let (long, parts) = ("p".repeat(4_000), corp.token("ES256"));
    let (two, _) = parts.rsplit_once('.').unwrap();
    let bad = "bad_claims";
    let mut cases = vec![
        (
            "another typ",
            corp.with_header("typ", "logout+jwt"),
            "bad_header",
        ),
        (
            "another issuer",
            corp.with_claim("iss", "https://login.corp.example/"),
            "wrong_issuer",
        ),
        (
            "nobody's",
            corp.with_claim("iss", "https://evil.example"),
            "wrong_issuer",
        ),
        (
            "for another",
            corp.with_claim("aud", "account"),
            "wrong_audience",
        ),
        (
            "for others",
            corp.with_claim("aud", json!(["account", "API"])),
            "wrong_audience",
        ),
        ("expired", corp.with_claim("exp", now() - 10), "expired"),
        (
            "from the future",
            corp.with_claim("iat", now() + 60),
            "not_yet_valid",
        ),
        (
            "not yet",
            corp.with_claim("nbf", now() + 60),
            "not_yet_valid",
        ),
        (
            "exp as text",
            corp.with_claim("exp", (now() + 60).to_string()),
            bad,
        ),
        ("too long", corp.with_claim("pad", long), "too_long"),
        ("two segments", two.to_owned(), "malformed"),
    ];
    for name in ["aud", "sub", "exp", "iat"] {
        cases.push((name, corp.with_claim(name, ()), bad));
    }
    all_refused(&company, &cases).await;
    for name in ["jti", "typ", "sid", "email"] {
        let without = corp.with_claim(name, ());
        assert_eq!(company.ask("/corp", &without).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn one_issuers_key_signs_for_no_other() {
    let company = Company::start();
    let (corp, partner) = (&company.corp, &company.partner);
    let (_, own) = company.site.api().join("ann@example.com").await;
    let mut as_own = corp.claims();
    as_own["iss"] = json!("https://api.example.com");
    let header = token::decode(own.split('.').next().unwrap());
    let own_header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    let cases = [
        partner.with_claim("iss", CORP),
        corp.with_claim("iss", PARTNER),
        corp.forge("ES256", &corp.header("ES256"), &as_own),
        corp.forge("EdDSA", &own_header, &as_own),
        corp.forge("EdDSA", &own_header, &corp.claims()),
    ];
    for path in ["/own", "/corp", "/partner", "/all"] {
        for token in &cases {
            company
                .ask(path, token)
                .await
                .refused(401, "unauthenticated");
        }
    }
    assert_eq!(company.site.origin.count(), 0);
    // Our own key does not make a company's token either.
    let keys = company.site.airside.folder().join("keys");
    let forged = Token::of(&own, &keys).claim("iss", CORP).signed();
    company
        .ask("/all", &forged)
        .await
        .refused(401, "unauthenticated");
}
