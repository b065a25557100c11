//! The published keys, checked with another library's eyes, and what a restart keeps.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn decoded(segment: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(segment).unwrap()
}

#[tokio::test]
async fn rule_23_the_published_key_verifies_a_token_and_holds_nothing_private() {
    let site = Site::start();
    let (id, token) = site.api().join("ann@example.com").await;
    for api in site.both() {
        let answer = Answer::to(api.request("GET", "/.well-known/jwks.json")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
        let set = answer.json();
        let [key] = set["keys"].as_array().unwrap().as_slice() else {
            panic!("one key: {set}");
        };
        assert_eq!(keys_of(key), ["alg", "crv", "kid", "kty", "use", "x"]);
        assert_eq!(
            (&key["kty"], &key["crv"]),
            (&json!("OKP"), &json!("Ed25519"))
        );
        assert_eq!((&key["alg"], &key["use"]), (&json!("EdDSA"), &json!("sig")));

        // Nothing of our own code from here on.
        let (message, signature) = token.rsplit_once('.').unwrap();
        let (header, claims) = message.split_once('.').unwrap();
        let header: Value = serde_json::from_slice(&decoded(header)).unwrap();
        assert_eq!(
            header,
            json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": key["kid"] })
        );
        let public = decoded(key["x"].as_str().unwrap());
        UnparsedPublicKey::new(&ED25519, &public)
            .verify(message.as_bytes(), &decoded(signature))
            .expect("the signature is the published key's");

        let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
        assert_eq!(
            keys_of(&claims),
            [
                "aud",
                "client_id",
                "email",
                "exp",
                "iat",
                "id",
                "iss",
                "jti",
                "roles",
                "sid",
                "sub",
                "ver"
            ]
        );
        assert_eq!(claims["iss"], people::ISSUER);
        assert_eq!(claims["aud"], AUDIENCE);
        assert_eq!((&claims["sub"], &claims["id"]), (&json!(id), &json!(id)));
        assert_eq!(claims["email"], "ann@example.com");
        assert_eq!(claims["roles"], json!(["customer"]));
        let seconds = |name: &str| claims[name].as_u64().unwrap();
        assert_eq!(seconds("exp") - seconds("iat"), 900);
    }
}

#[tokio::test]
async fn users_and_keys_outlive_a_restart() {
    let Site { airside, origin } = Site::start();
    let site = Site { airside, origin };
    let admin = site.admin("root@example.com").await;
    let (id, _) = site.api().join("ann@example.com").await;
    let given = format!("/auth/admin/users/{id}/roles/flight_company");
    assert_eq!(site.api().ask("PUT", &given, &admin).await.status, 204);
    // A change of roles ended the token.
    let token = site.api().token("ann@example.com").await;
    let jwks = async |site: &Site| {
        let request = site.api().request("GET", "/.well-known/jwks.json");
        Answer::to(request).await.body
    };
    let before = jwks(&site).await;

    let Site { airside, origin } = site;
    let site = Site {
        airside: airside.restart(),
        origin,
    };
    assert_eq!(jwks(&site).await, before);
    let answer = site.api().ask("GET", "/members", &token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let taken = site.api().sign_up("ann@example.com").await;
    taken.refused(409, "email_taken");
    let token = site.api().token("ann@example.com").await;
    assert_eq!(site.api().ask("POST", "/company", &token).await.status, 200);
}
