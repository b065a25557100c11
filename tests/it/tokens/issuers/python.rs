//! Tokens of an issuer that is written in Python: keys and tokens made with PyJWT.

use super::*;
use crate::support::origin::Reply;
use crate::support::python;

/// Makes a key of each kind, their JWK set, and a token by each.
const ISSUER: &str = r#"
import json, sys
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
claims = json.load(sys.stdin)
private = {
    "RS256": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
keys, tokens = [], {}
for name, key in private.items():
    jwk = json.loads(jwt.get_algorithm_by_name(name).to_jwk(key.public_key()))
    keys.append(jwk | {"kid": name, "use": "sig"})
    tokens[name] = jwt.encode(claims, key, algorithm=name, headers={"kid": name})
json.dump({"jwks": {"keys": keys}, "tokens": tokens}, sys.stdout)
"#;

#[tokio::test]
async fn tokens_and_keys_that_pyjwt_makes_are_taken() {
    let made = python::run(ISSUER, &Corp::new(CORP).claims());
    let (origin, server) = (Origin::start(), Origin::start());
    server.on(JWKS, Reply::new(200, made["jwks"].to_string()));
    let airside = set_up(&origin, &server, &Corp::new(PARTNER)).start();
    let site = Site { airside, origin };
    for algorithm in ALGORITHMS {
        let token = made["tokens"][algorithm].as_str().unwrap();
        let answer = site.api().ask("GET", "/corp", token).await;
        assert_eq!(answer.status, 200, "{algorithm}: {}", answer.body);
        assert_eq!(site.caller()[0].as_deref(), Some("employee-7"));
        let altered = token::altered(token, 1, 20);
        let refused = site.api().ask("GET", "/corp", &altered).await;
        refused.refused(401, "unauthenticated");
    }
}
