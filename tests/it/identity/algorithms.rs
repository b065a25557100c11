//! Each algorithm, seen from Python: PyJWT verifies our tokens and makes ones of its own, and tries what
//! a forger would.

use super::*;
use crate::support::python;

const SECRET: &str = "5bcb58c3a1a44b0d8f2f4c9bd0d1e6f7";

fn site(signing: &str) -> Site {
    let origin = Origin::start();
    let airside = people::set_up(&origin).set("signing", signing).start();
    Site { airside, origin }
}

fn with_secret() -> Site {
    site(&format!(", algorithm: HS256, secret: {SECRET}"))
}

async fn jwks(site: &Site) -> Value {
    let request = site.api().request("GET", "/.well-known/jwks.json");
    Answer::to(request).await.json()
}

/// Whether the edge and the identity service take each of these tokens; they must agree, and every
/// refusal must be the same 401.
async fn taken(site: &Site, tokens: &[String]) -> Vec<bool> {
    let mut taken = Vec::new();
    for token in tokens {
        let edge = site.api().ask("GET", "/members", token).await;
        let service = site.api().ask("GET", "/auth/verify", token).await;
        match edge.status {
            200 => assert_eq!(service.status, 200, "{token}"),
            _ => {
                edge.refused(401, "unauthenticated");
                service.refused(401, "invalid_token");
            }
        }
        taken.push(edge.status == 200);
    }
    taken
}

#[tokio::test]
async fn rule_1_other_peoples_libraries_verify_our_tokens_of_each_algorithm() {
    for (signing, algorithm, members) in [
        ("", "EdDSA", "alg crv kid kty use x"),
        (", algorithm: ES256", "ES256", "alg crv kid kty use x y"),
        (", algorithm: RS256", "RS256", "alg e kid kty n use"),
    ] {
        let site = site(signing);
        let (id, token) = site.api().join("ann@example.com").await;
        let jwks = jwks(&site).await;
        let key = &jwks["keys"][0];
        // No `k`, no `d`, and nothing else that is private.
        assert_eq!(keys_of(key).join(" "), members);
        let claims = python::run(
            VERIFY,
            &json!({ "jwks": jwks, "token": token, "algorithm": algorithm,
                     "audience": AUDIENCE, "issuer": people::ISSUER }),
        );
        assert_eq!(claims["sub"], id);
        assert_eq!(taken(&site, &[token]).await, [true], "{algorithm}");
    }
}

#[tokio::test]
async fn rule_1_a_shared_secret_is_published_nowhere_and_verifies_our_tokens_elsewhere() {
    let site = with_secret();
    let (id, token) = site.api().join("ann@example.com").await;
    assert_eq!(jwks(&site).await, json!({ "keys": [] }));
    let claims = python::run(
        "import json, sys, jwt\ni = json.load(sys.stdin)\n\
         print(json.dumps(jwt.decode(i['token'], i['secret'], ['HS256'], audience=i['audience'])))",
        &json!({ "token": token, "secret": SECRET, "audience": AUDIENCE }),
    );
    assert_eq!(claims["sub"], id);
    assert_eq!(taken(&site, &[token]).await, [true]);
}

#[tokio::test]
async fn another_programs_hs256_token_counts_where_the_secret_is_shared_and_nowhere_else() {
    let input = json!({ "secret": SECRET, "audience": AUDIENCE, "issuer": people::ISSUER });
    let made = python::run(MAKE, &input);
    let tokens =
        |name: &str| -> Vec<String> { serde_json::from_value(made[name].clone()).unwrap() };
    let (sound, wrong) = (tokens("sound"), tokens("wrong"));
    assert!(sound.len() >= 4 && wrong.len() >= 12);

    let shared = with_secret();
    assert!(taken(&shared, &sound).await.iter().all(|taken| *taken));
    for (index, taken) in taken(&shared, &wrong).await.into_iter().enumerate() {
        assert!(!taken, "{index}: {}", wrong[index]);
    }
    let last = shared.origin.last();
    assert_eq!(last.header("x-auth-user"), Some("ann"));
    let roles = shared.api().ask("GET", "/company", &sound[1]).await;
    assert_eq!(roles.status, 200, "{}", roles.body);
    let none = shared.api().ask("GET", "/company", &sound[0]).await;
    none.refused(403, "forbidden");

    for signing in ["", ", algorithm: ES256", ", algorithm: RS256"] {
        let pairs = site(signing);
        let all: Vec<_> = sound.iter().chain(&wrong).cloned().collect();
        assert!(taken(&pairs, &all).await.iter().all(|taken| !taken));
        assert_eq!(pairs.origin.count(), 0);
    }
}

#[tokio::test]
async fn rule_1_no_form_of_a_published_key_passes_for_a_shared_secret() {
    for signing in ["", ", algorithm: ES256", ", algorithm: RS256"] {
        let site = site(signing);
        let (_, token) = site.api().join("ann@example.com").await;
        let input = json!({ "jwks": jwks(&site).await, "token": token });
        let forged: Vec<String> = serde_json::from_value(python::run(FORGE, &input)).unwrap();
        assert!(forged.len() >= 20, "{}", forged.len());
        assert!(taken(&site, &forged).await.iter().all(|taken| !taken));
        assert_eq!(site.origin.count(), 0);
    }
}

const VERIFY: &str = r#"
import json, sys, jwt
i = json.load(sys.stdin)
keys = jwt.PyJWKSet.from_dict(i["jwks"])
key = keys[jwt.get_unverified_header(i["token"])["kid"]]
claims = jwt.decode(i["token"], key, [i["algorithm"]], audience=i["audience"], issuer=i["issuer"],
                    options={"require": ["iss", "aud", "sub", "exp", "iat", "jti"]})
print(json.dumps(claims))
"#;

const MAKE: &str = r#"
import json, sys, time, jwt
i = json.load(sys.stdin)
now = int(time.time())
least = {"iss": i["issuer"], "aud": i["audience"], "sub": "ann", "iat": now, "exp": now + 600, "jti": "1"}
def made(claims=least, secret=i["secret"], headers=None, algorithm="HS256"):
    return jwt.encode(claims, secret, algorithm=algorithm, headers=headers)
without = lambda name: {k: v for k, v in least.items() if k != name}
json.dump({
    "sound": [
        made(),
        made({**least, "roles": ["flight_company"], "email": "ann@example.com"}),
        made(headers={"typ": "at+jwt"}),
        made(headers={"typ": None}),
        made({**least, "aud": [i["audience"], "other"]}),
    ],
    "wrong": [made(without(name)) for name in least] + [
        made(secret="another secret of thirty-two bytes or so"),
        made(algorithm="HS512", secret=i["secret"] * 2),
        made(algorithm="HS384"),
        made(headers={"kid": "1"}),
        made(headers={"jku": "http://127.0.0.1/keys"}),
        made(headers={"crit": ["exp"]}),
        made(headers={"typ": "refresh+jwt"}),
        made({**least, "exp": now - 60}),
        made({**least, "iss": "https://other.example"}),
        made({**least, "aud": "other"}),
        made({**least, "roles": "admin"}),
        jwt.encode(least, None, algorithm="none"),
    ],
}, sys.stdout)
"#;

const FORGE: &str = r#"
import base64, hashlib, hmac, json, sys, jwt
from cryptography.hazmat.primitives import serialization as s
i = json.load(sys.stdin)
encode = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=")
jwk = i["jwks"]["keys"][0]
key = jwt.PyJWK(jwk).key
spki = s.PublicFormat.SubjectPublicKeyInfo
pem = key.public_bytes(s.Encoding.PEM, spki)
secrets = [pem, pem.strip(), key.public_bytes(s.Encoding.DER, spki), json.dumps(jwk).encode(),
           json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(), jwk["kid"].encode(), b""]
for name in "xyne":
    if name in jwk:
        text = jwk[name].encode()
        secrets += [text, base64.urlsafe_b64decode(text + b"==")]
if jwk["kty"] == "RSA":
    secrets.append(key.public_bytes(s.Encoding.PEM, s.PublicFormat.PKCS1))
header, claims, _ = i["token"].split(".")
headers = [{"alg": "HS256", "typ": "JWT"}, {"typ": "at+jwt", "alg": "HS256", "kid": jwk["kid"]}]
headers = [encode(json.dumps(h, separators=(",", ":")).encode()) for h in headers] + [header.encode()]
out = []
for h in headers:
    message = h + b"." + claims.encode()
    for secret in secrets:
        out.append((message + b"." + encode(hmac.new(secret, message, hashlib.sha256).digest())).decode())
json.dump(out, sys.stdout)
"#;
