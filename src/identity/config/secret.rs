//! The shared secret of HS256: long enough, and none that everybody knows (rule 5).

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::base::decode::{Decode, text};
use crate::base::report::{Code, Problem, Report};
use crate::base::secret::Secret;
use crate::base::yaml::{At, Node};

/// The key of a symmetric algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedSecret(pub Secret);

impl Decode for SharedSecret {
    /// Never tells the value, also where it stands in the file itself.
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let text = text(node, EXPECTED, report)?.value;
        let Some(why) = weakness(&text) else {
            return Some(Self(Secret::new(text)));
        };
        let problem = Problem::error(Code::InvalidValue, node.place, why);
        report.push(problem.help("`openssl rand -hex 32` makes one"));
        None
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": EXPECTED, "pattern": r"^.{32,}$|\$\{" })
    }
}

/// Why a secret is none; it is said to be weak rather than tried first by those who guess.
fn weakness(secret: &str) -> Option<&'static str> {
    if secret.len() < SHORTEST {
        // A key must have the size of the hash (RFC 7518 §3.2).
        return Some("the secret is too short: `HS256` needs 32 bytes or more");
    }
    let lower = secret.to_ascii_lowercase();
    let plain: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    if KNOWN.iter().any(|known| plain.contains(known)) || repeats(secret.as_bytes()) {
        return Some(
            "the secret is one that everybody knows, from examples, or made of too little",
        );
    }
    None
}

/// Is it a short text over and over, or made of a few signs?
fn repeats(secret: &[u8]) -> bool {
    let mut signs = secret.to_vec();
    signs.sort_unstable();
    signs.dedup();
    let again = |period: usize| {
        let shifted = secret.iter().skip(period);
        secret.iter().zip(shifted).all(|(one, other)| one == other)
    };
    signs.len() < FEWEST_SIGNS || (1..=secret.len() / 2).any(again)
}

const EXPECTED: &str = "a secret of 32 bytes or more";
const SHORTEST: usize = 32;
/// A random text of 32 hexadecimal digits has less than eight different ones once in a million times.
const FEWEST_SIGNS: usize = 8;

/// Secrets and parts of secrets that stand in tutorials, templates and specifications, in lower case and
/// without signs. Those of random text are whole; a secret that has a word of the others in it was made
/// by hand.
const KNOWN: [&str; 30] = [
    // jwt.io, today's and the earlier one.
    "astringsecretatleast256bitslong",
    "your256bitsecret",
    "your384bitsecret",
    "your512bitsecret",
    // RFC 7515 appendix A.1.
    "aym1sysppbydfgzld3umj1qzkobwvmkoqqestjqlrt1qs0gzh75aktmn3yj0ips4hcguutwjazzr1z9caow",
    // The tutorials of FastAPI and of Spring Boot.
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
    "413f4428472b4b6250655368566d5970337336763979244226452948404d6351",
    "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
    "9a4f2c8d3b7a1e6f45c8a0b3f267d8b1d4e6f3c8a9d2b5f8e3a9c8b5f6v8a3d9",
    "afafasfafafasfasfasfafacasdasfasxasfacasdfacasdfasfasfdafasfasdaadscsdfadcvsgcfvadxccadwavfsfarvf",
    "dd5f308940c3403daf14d0c228b05cb4",
    // Counting, and the keyboard.
    "0123456789abcdef0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "12345678901234567890",
    "qwertyuiop",
    // Words of templates.
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "yoursecret",
    "mysecret",
    "supersecret",
    "topsecret",
    "secretkey",
    "jwtsecret",
    "examplesecret",
    "verysecret",
    "donotuse",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_5_a_secret_is_long_and_nobody_else_has_it() {
        for sound in [
            "5bcb58c3a1a44b0d8f2f4c9bd0d1e6f7",
            "jv0pDkQqTj2m8Yx5S0cNwRr1oEoXH4hWbq8mZf6uKtA",
            "ein Satz, den niemand sonst so gesagt hat",
        ] {
            assert_eq!(weakness(sound), None, "{sound}");
        }
        for wrong in [
            "",
            "5bcb58c3a1a44b0d8f2f4c9bd0d1e6f",
            "a-string-secret-at-least-256-bits-long",
            "your-256-bit-secret-your-256-bit-secret",
            "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            "ThisIsMySecretKeyForJWTSigning-Airside",
            "please-CHANGE_ME-in-production-please",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "5bcb58c3a1a44b0d5bcb58c3a1a44b0d",
            "0123456789abcdef0123456789abcdef",
        ] {
            assert!(weakness(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn known_secrets_are_written_as_they_are_compared() {
        for known in KNOWN {
            let written = known
                .chars()
                .all(|c| c.is_ascii_digit() || c.is_ascii_lowercase());
            assert!(written, "{known}");
        }
    }
}
