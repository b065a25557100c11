//! Sets of keys: public ones only, each once, bounded, and the same document brings the same keys.

use airside::token::issuer::config::Algorithm;
use airside::token::{JwkSet, JwksError};
use serde_json::Value;

pub fn check(bytes: &[u8]) {
    let all = [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256];
    let (set, left_out) = match JwkSet::read(bytes, &all) {
        Ok(read) => read,
        Err(why) => {
            let said = why.to_string();
            assert!(
                !said.contains(char::is_control) && said.len() < 1_000,
                "{said}"
            );
            if let JwksError::NothingUsable(left_out) = why {
                assert!(left_out.len() <= 64);
            }
            return;
        }
    };
    let document: Value = serde_json::from_slice(bytes).unwrap();
    let jwks = document["keys"].as_array().unwrap();
    assert!(!set.is_empty() && set.len() <= 64);
    assert_eq!(set.len() + left_out.len(), jwks.len());
    let is_public = |jwk: &&Value| {
        ["k", "d", "p", "q", "dp", "dq", "qi", "oth"]
            .iter()
            .all(|name| jwk.get(name).is_none())
    };
    assert!(set.len() <= jwks.iter().filter(is_public).count());
    for left_out in &left_out {
        assert!(!left_out.to_string().contains(char::is_control));
    }
    let (again, _) = JwkSet::read(bytes, &all).unwrap();
    assert!(set.is_same_as(&again));
    // Fewer algorithms never bring more keys.
    let fewer = JwkSet::read(bytes, &all[..1]).map_or(0, |(fewer, _)| fewer.len());
    assert!(fewer <= set.len());
}
