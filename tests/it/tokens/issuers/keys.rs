//! Key sets as issuers really publish them, and as they must not be.

use super::*;
use crate::support::origin::Reply;

/// A gateway whose issuer `corp` publishes this document.
fn with_document(document: &serde_json::Value) -> Site {
    let (origin, server) = (Origin::start(), Origin::start());
    server.on(JWKS, Reply::new(200, document.to_string()));
    let airside = set_up(&origin, &server, &Corp::new(PARTNER)).start();
    Site { airside, origin }
}

#[tokio::test]
async fn a_key_set_in_the_form_of_entra_id_or_auth0_is_understood() {
    let corp = Corp::new(CORP);
    // Entra: no `alg`, certificates, an `issuer` a key. Auth0: `alg`, `x5t`. Keycloak: a key for encryption.
    let mut entra = corp.jwk("RS256");
    entra.as_object_mut().unwrap().remove("alg");
    entra["x5t"] = json!("aGFzaA");
    entra["x5c"] = json!(["MIIC/TCCAeWgAwIBAgII"]);
    entra["issuer"] = json!("https://login.microsoftonline.com/{tenantid}/v2.0");
    let mut encryption = Corp::new(CORP).jwk("RS256");
    encryption["use"] = json!("enc");
    encryption["alg"] = json!("RSA-OAEP");
    encryption["kid"] = json!("enc-1");
    let future = json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AAAA" });
    let site = with_document(&json!({ "keys": [encryption, future, entra, corp.jwk("ES256")] }));
    for algorithm in ["RS256", "ES256"] {
        let answer = site.api().ask("GET", "/corp", &corp.token(algorithm)).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let refused = site.api().ask("GET", "/corp", &corp.token("EdDSA")).await;
    refused.refused(401, "unauthenticated");
    let said = site.airside.stderr();
    assert!(
        said.contains("issuer corp: 2 keys; left out: enc-1"),
        "{said}"
    );
}

#[tokio::test]
async fn rule_1_a_key_for_something_else_is_none() {
    let corp = Corp::new(CORP);
    let with = |name: &str, value: serde_json::Value| {
        let mut jwk = corp.jwk("ES256");
        jwk[name] = value;
        json!({ "keys": [jwk, Corp::new(CORP).jwk("EdDSA")] })
    };
    for document in [
        with("use", json!("enc")),
        with("alg", json!("HS256")),
        with("alg", json!("RS256")),
        with("crv", json!("P-384")),
        with("key_ops", json!(["encrypt"])),
        with("d", json!("AAAA")),
        with("kty", json!("RSA")),
    ] {
        let site = with_document(&document);
        let answer = site.api().ask("GET", "/corp", &corp.token("ES256")).await;
        answer.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn rule_5_a_short_rsa_key_and_a_shared_secret_are_no_keys() {
    let corp = Corp::new(CORP);
    let mut short = corp.jwk("RS256");
    let n = token::decode(short["n"].as_str().unwrap());
    short["n"] = json!(token::encode(&n[..128]));
    let secret = json!({ "kty": "oct", "kid": "s", "alg": "HS256", "k": token::encode([7; 32]) });
    let site = with_document(&json!({ "keys": [short, secret] }));
    let not_ready = ready(&site.airside).await;
    assert_eq!(not_ready.status, 503);
    assert!(not_ready.body.contains("2048"), "{}", not_ready.body);
}

#[tokio::test]
async fn a_key_file_that_holds_no_keys_stops_the_start_and_names_the_line() {
    for (content, why) in [
        ("{", "no JWK set"),
        (r#"{"keys":[]}"#, "no key in it"),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "shared secret"),
    ] {
        let origin = Origin::start();
        let set_up = set_up(&origin, &origin, &Corp::new(PARTNER)).file("partner.json", content);
        let ended = set_up.run_to_its_end();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("airside.yaml:21:11"),
            "{}",
            ended.stderr
        );
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        assert!(!ended.stderr.contains("AAAA"), "{}", ended.stderr);
    }
}
