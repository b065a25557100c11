//! What is no valid token gets one answer, whatever is wrong with it, and never reaches the upstream.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use super::*;
use crate::support::people::{AUDIENCE, ISSUER};

/// A token of Ann's, to be taken apart.
async fn template(site: &Site) -> (String, impl Fn() -> Token) {
    let (_, token) = site.api().join("ann@example.com").await;
    let folder = site.airside.folder().join("keys");
    let text = token.clone();
    (token, move || Token::of(&text, &folder))
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap().as_secs()
}

/// Why each token was refused, as the access log tells, in the order of the answers.
pub(super) fn reasons(site: &Site, answers: &[Answer]) -> Vec<String> {
    let ids: Vec<_> = answers.iter().map(Answer::request_id).collect();
    let line = |id: &String| {
        let log = site.airside.access_log();
        log.into_iter().find(|line| line["request_id"] == **id)
    };
    wait_for("the access log of all answers", || {
        ids.iter().all(|id| line(id).is_some())
    });
    let reason = |id| line(id).unwrap()["reason"].as_str().map(str::to_owned);
    ids.iter()
        .map(|id| reason(id).unwrap_or_default())
        .collect()
}

/// Sends each token to a route that any user may call and to one that needs a role. All answers must
/// be the same 401, the log must tell the reason, and the upstream must not see any of them.
async fn all_refused(site: &Site, cases: &[(&str, String, &str)]) {
    let api = site.api();
    for path in ["/members", "/company"] {
        let before = site.origin.count();
        let none = Answer::to(api.request("GET", path)).await;
        none.refused(401, "unauthenticated");
        assert_eq!(none.header("www-authenticate"), "Bearer realm=\"airside\"");
        let mut answers = Vec::new();
        for (what, token, _) in cases {
            let answer = api.ask("GET", path, token).await;
            let said = answer.without_its_request();
            assert_eq!(said, none.without_its_request(), "{path}: {what}");
            answers.push(answer);
        }
        let whats = cases.iter().map(|(what, ..)| *what);
        let found: Vec<_> = whats.zip(reasons(site, &answers)).collect();
        let expected: Vec<_> = cases
            .iter()
            .map(|(what, _, reason)| (*what, (*reason).to_owned()))
            .collect();
        assert_eq!(found, expected, "{path}");
        assert_eq!(site.origin.count(), before, "{path}");
    }
}

#[tokio::test]
async fn a_token_made_anew_from_its_parts_is_as_good() {
    let site = Site::start();
    let (token, template) = template(&site).await;
    let again = template().claim("jti", "another").signed();
    assert_ne!(again, token);
    for token in [&token, &again] {
        let answer = site.api().ask("GET", "/members", token).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

#[tokio::test]
async fn rule_6_what_is_no_bearer_token_is_refused() {
    let site = Site::start();
    let (token, _) = template(&site).await;
    let none = Answer::to(site.api().request("GET", "/members")).await;
    for credential in [
        "Basic YTpi".to_owned(),
        token.clone(),
        format!("Token {token}"),
        format!("Bearer{token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer {token},{token}"),
        "Bearer".to_owned(),
        String::new(),
    ] {
        let request = site.api().request("GET", "/members");
        let answer = Answer::to(request.header("Authorization", &credential)).await;
        let said = answer.without_its_request();
        assert_eq!(said, none.without_its_request(), "{credential}");
    }
    assert_eq!(site.origin.count(), 0);
}

#[tokio::test]
async fn rule_1_the_signature_is_the_keys_and_of_its_algorithm() {
    let site = Site::start();
    let (token, template) = template(&site).await;
    let none = |alg: &str| format!("{}.", template().header("alg", alg).message());
    let symmetric = |key: &[u8]| {
        let message = template().header("alg", "HS256").message();
        let key = EncodingKey::from_secret(key);
        let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    };
    let public = template().public().to_vec();
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let segments: Vec<_> = token.split('.').collect();
    let unknown = "unknown_key";
    let bad = "bad_signature";
    let last = segments[2].len() - 1;
    // 64 bytes leave four bits of the last character without meaning.
    let loose = match &segments[2][last..] {
        "A" => "B",
        "Q" => "R",
        "g" => "h",
        _ => "x",
    };
    let loose = format!("{}{loose}", &token[..token.len() - 1]);
    let cases = [
        ("another key", template().of_another_key().signed(), bad),
        ("alg none", none("none"), unknown),
        ("alg NONE", none("NONE"), unknown),
        ("no signature", format!("{unsigned}."), bad),
        ("HS256 with the public key", symmetric(&public), unknown),
        (
            "HS256 with its text",
            symmetric(token::encode(&public).as_bytes()),
            unknown,
        ),
        (
            "alg in lower case",
            template().header("alg", "eddsa").signed(),
            unknown,
        ),
        ("no alg", template().header("alg", ()).signed(), unknown),
        ("header altered", token::altered(&token, 0, 5), unknown),
        ("claims altered", token::altered(&token, 1, 5), bad),
        ("signature altered", token::altered(&token, 2, 5), bad),
        ("signature written otherwise", loose, bad),
        ("signature padded", format!("{token}=="), bad),
    ];
    all_refused(&site, &cases).await;
}

#[tokio::test]
async fn rule_2_a_header_with_anything_more_is_refused_and_fetches_nothing() {
    let site = Site::start();
    let (_, template) = template(&site).await;
    let url = format!("http://{}/keys", site.origin.address());
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "x": token::encode(template().public()) });
    let with = |name: &str, value: serde_json::Value| template().header(name, value).signed();
    let unknown = "unknown_key";
    let cases = [
        ("jku", with("jku", json!(url)), unknown),
        ("x5u", with("x5u", json!(url)), unknown),
        ("jwk", with("jwk", jwk), unknown),
        ("x5c", with("x5c", json!(["MIIB"])), unknown),
        ("crit", with("crit", json!(["exp"])), unknown),
        ("b64", with("b64", json!(false)), unknown),
        ("zip", with("zip", json!("DEF")), unknown),
        ("typ JWT", with("typ", json!("JWT")), unknown),
        ("no typ", with("typ", json!(null)), unknown),
        (
            "another kid",
            with("kid", json!("../../etc/passwd")),
            unknown,
        ),
        ("no kid", with("kid", json!(null)), unknown),
    ];
    all_refused(&site, &cases).await;
    assert_eq!(site.origin.connections(), 0);
}

#[tokio::test]
async fn rule_3_a_token_has_three_segments_and_all_claims_once_and_of_their_type() {
    let site = Site::start();
    let (token, template) = template(&site).await;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let doubled = template().claims.to_string();
    let doubled = doubled.replacen('{', r#"{"sub":"root","#, 1);
    let bad = "bad_claims";
    let mut cases = vec![
        ("two segments", message.to_owned(), "malformed"),
        ("four segments", format!("{token}.{signature}"), "malformed"),
        ("one segment", "nonsense".to_owned(), "malformed"),
        ("dots", "..".to_owned(), "unknown_key"),
        (
            "a claim twice",
            template().signed_with_claims(&doubled),
            bad,
        ),
        (
            "claims are a list",
            template().signed_with_claims("[]"),
            bad,
        ),
        (
            "claims are no JSON",
            template().signed_with_claims("{"),
            bad,
        ),
    ];
    for name in ["iss", "aud", "sub", "exp", "iat", "jti", "roles", "ver"] {
        cases.push((name, template().claim(name, ()).signed(), bad));
        let wrong = json!({ "of": "another type" });
        cases.push((name, template().claim(name, wrong).signed(), bad));
    }
    let exp = (now() + 600).to_string();
    cases.push(("exp as text", template().claim("exp", exp).signed(), bad));
    cases.push(("exp below 0", template().claim("exp", -1).signed(), bad));
    all_refused(&site, &cases).await;
}

#[tokio::test]
async fn rule_3_a_token_has_at_most_4096_bytes() {
    let site = Site::start();
    let (_, template) = template(&site).await;
    let padded = |bytes: usize| template().claim("pad", "p".repeat(bytes)).signed();
    // Three bytes of claims are four of the token.
    let most = (0..4096).take_while(|bytes| padded(*bytes).len() <= 4096);
    let most = most.last().unwrap();
    assert!(padded(most).len() >= 4095);
    let answer = site.api().ask("GET", "/members", &padded(most)).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let too_long = padded(most + 2);
    assert!(too_long.len() <= 4099, "{}", too_long.len());
    let cases = [
        ("a little too long", too_long, "too_long"),
        ("5000 bytes", padded(most + 700), "too_long"),
        ("5000 bytes of nothing", "a".repeat(5000), "too_long"),
    ];
    site.origin.close_connections();
    all_refused(&site, &cases).await;
}

#[tokio::test]
async fn rule_4_a_token_is_good_in_its_time_only() {
    let site = Site::start();
    let (_, template) = template(&site).await;
    let at = |name: &str, when: u64| template().claim(name, when).signed();
    let cases = [
        ("expired", at("exp", now() - 10), "expired"),
        ("expired long ago", at("exp", 0), "expired"),
        ("made in the future", at("iat", now() + 60), "not_yet_valid"),
        ("not before", at("nbf", now() + 60), "not_yet_valid"),
    ];
    all_refused(&site, &cases).await;
    let started = template().claim("nbf", now() - 1).signed();
    assert_eq!(
        site.api().ask("GET", "/members", &started).await.status,
        200
    );
}

#[tokio::test]
async fn rule_4_a_real_token_expires() {
    let origin = Origin::start();
    let airside = people::set_up(&origin).set("ttl", "1s").start();
    let site = Site { airside, origin };
    let (token, template) = template(&site).await;
    let api = site.api();
    assert_eq!(api.ask("GET", "/members", &token).await.status, 200);
    let exp = template().claims["exp"].as_u64().unwrap();
    let deadline = std::time::Instant::now() + PATIENCE;
    let refused = loop {
        let before = now();
        let answer = api.ask("GET", "/members", &token).await;
        if answer.status != 200 {
            break answer;
        }
        assert!(before <= exp + 5, "passed {} s after its end", before - exp);
        assert!(std::time::Instant::now() < deadline);
        // Between two looks; nothing depends on how long it is.
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // The leeway is five seconds.
    assert!(now() >= exp + 5, "refused before its time");
    refused.refused(401, "unauthenticated");
    let verified = api.ask("GET", "/auth/verify", &token).await;
    verified.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_token_for_others_is_refused_though_its_key_is_the_same() {
    let site = Site::start();
    site.add("root@example.com", &[]);
    let store = site.airside.folder().join("airside.db");
    let keys = site.airside.folder().join("keys");
    let other = |issuer: &str, audience: &str| {
        people::set_up(&site.origin)
            .set("store", store.display())
            .set("keys", keys.display())
            .set("issuer", issuer)
            .set("audience", audience)
            .start()
    };
    let token_of = async |airside: &crate::support::server::Airside| {
        let api = people::Api::at(airside.url(""));
        api.token("root@example.com").await
    };
    let same = other(ISSUER, AUDIENCE);
    let token = token_of(&same).await;
    assert_eq!(site.api().ask("GET", "/members", &token).await.status, 200);

    let issuer = token_of(&other("https://other.example.com", AUDIENCE)).await;
    let audience = token_of(&other(ISSUER, "other")).await;
    let parts = || Token::of(&token, &keys);
    let cases = [
        ("another issuer", issuer, "wrong_issuer"),
        ("another audience", audience, "wrong_audience"),
        (
            "our issuer and a slash",
            parts().claim("iss", format!("{ISSUER}/")).signed(),
            "wrong_issuer",
        ),
        (
            "several audiences",
            parts().claim("aud", json!([AUDIENCE, "other"])).signed(),
            "bad_claims",
        ),
    ];
    all_refused(&site, &cases).await;
}
