//! The `issuers:` mapping of the configuration: whose tokens, besides the built-in issuer's, may be taken,
//! and how they are told from forged ones.

use std::net::IpAddr;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use schemars::{Schema, SchemaGenerator};
use serde_json::json;

use crate::base::decode::{self, Decode, FromText, Keys, keys, words};
use crate::base::report::{Code, Problem, Report};
use crate::base::yaml::{At, Node, Place};

keys! {
    /// An issuer of tokens other than the built-in one.
    pub struct Issuer {
        /// What the `iss` of its tokens says, to the letter.
        pub issuer: At<String>,
        /// What their `aud` must name, one of these at least.
        pub audience: At<Vec<At<String>>>,
        /// What they may be signed with.
        pub algorithms: At<Vec<Algorithm>>,
        /// Where it publishes its keys: `https`, or `http` on this machine.
        pub jwks: Option<At<JwksUrl>>,
        /// A file with its keys, a JWK set, in place of `jwks`.
        pub keys: Option<At<String>>,
        /// The claim that names roles; dots lead into objects.
        pub roles_claim: String = "roles".to_owned(),
        /// How far its clock may differ from ours; `5m` at most.
        pub leeway: At<Duration> = At::new(Duration::from_secs(5), Place::default()),
    }
}

words! {
    /// What another issuer's tokens may be signed with. There is no symmetric one: whoever can verify with a
    /// shared secret can sign with it, too.
    pub enum Algorithm {
        EdDsa = "EdDSA",
        Es256 = "ES256",
        Rs256 = "RS256",
    }
}

/// Where a JWK set is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    uri: Uri,
}

impl JwksUrl {
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Without TLS only this machine may answer.
    pub fn is_plain(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTP)
    }

    /// The name or address to ask, without the brackets of an IPv6 one.
    pub fn host(&self) -> &str {
        let host = self.uri.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn port(&self) -> u16 {
        let usual = if self.is_plain() { 80 } else { 443 };
        self.uri.port_u16().unwrap_or(usual)
    }
}

impl FromText for JwksUrl {
    const EXPECTED: &'static str =
        "an address such as `https://login.example.com/.well-known/jwks.json`";
    const PATTERN: &'static str = r"https://[^@]+|http://(localhost|127\.|\[)[^@]*";

    fn from_text(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "it is no URL".to_owned())?;
        let url = Self { uri };
        let is_user_named = url
            .uri
            .authority()
            .is_some_and(|one| one.as_str().contains('@'));
        let is_private = match url.is_plain() {
            true => is_this_machine(url.host()),
            false => url.uri.scheme() == Some(&Scheme::HTTPS),
        };
        if url.host().is_empty() {
            Err("it names no server".to_owned())
        } else if is_user_named {
            Err("it holds a user's name".to_owned())
        } else if is_private {
            Ok(url)
        } else {
            Err("keys come over `https`, or over `http` from this machine".to_owned())
        }
    }
}

impl Decode for Issuer {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let issuer: Self = decode::mapping(node, report)?;
        issuer.check(node.place, report);
        Some(issuer)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(Self::properties(generator));
        let schema = decode::exactly_one(schema, &["jwks", "keys"]);
        let some = json!({ "minItems": 1 });
        let schema = decode::narrow(schema, "algorithms", some.clone());
        decode::narrow(schema, "audience", some)
    }
}

impl Issuer {
    fn check(&self, place: Place, report: &mut Report) {
        let mut wrong = |code, place, message: &str, help: &str| {
            report.push(Problem::error(code, place, message).help(help));
        };
        if self.issuer.value.is_empty() {
            let help = "copy the `iss` of one of its tokens, or `issuer` of its discovery document";
            wrong(
                Code::InvalidValue,
                self.issuer.place,
                "an empty issuer",
                help,
            );
        }
        if self.audience.value.is_empty() {
            let message = "an empty list: nobody's tokens are for this API";
            let help = "name what the `aud` of its tokens for this API says";
            wrong(Code::InvalidValue, self.audience.place, message, help);
        }
        for audience in self
            .audience
            .value
            .iter()
            .filter(|one| one.value.is_empty())
        {
            let help = "name what the `aud` of its tokens for this API says";
            wrong(
                Code::InvalidValue,
                audience.place,
                "an empty audience",
                help,
            );
        }
        if self.algorithms.value.is_empty() {
            let message = "an empty list: no token could ever be verified";
            let help = "most issuers sign with `RS256`; `alg` in a token's header says it";
            wrong(Code::InvalidValue, self.algorithms.place, message, help);
        }
        match (&self.jwks, &self.keys) {
            (Some(_), Some(keys)) => {
                let help = "keep `jwks` where the issuer publishes its keys, else `keys`";
                let message = "keys come from `jwks` or from `keys`, not from both";
                wrong(Code::Conflict, keys.place, message, help);
            }
            (None, None) => {
                let message = "this issuer has neither `jwks` nor `keys`";
                let help = "add `jwks: https://…`, the `jwks_uri` of its discovery document";
                wrong(Code::MissingKey, place, message, help);
            }
            _ => {}
        }
        if self.leeway.value > MAX_LEEWAY {
            let message = "clocks may differ by 5m at most";
            let help = "a longer leeway is a longer life for every token";
            wrong(Code::InvalidValue, self.leeway.place, message, help);
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

const MAX_LEEWAY: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        for (good, host, port) in [
            ("https://login.example.com/keys", "login.example.com", 443),
            (
                "https://login.example.com:8443/keys?v=2",
                "login.example.com",
                8443,
            ),
            ("http://127.0.0.1:8080/keys", "127.0.0.1", 8080),
            ("http://localhost/keys", "localhost", 80),
            ("http://[::1]:81/keys", "::1", 81),
        ] {
            let url = JwksUrl::from_text(good).unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{good}");
        }
        for wrong in [
            "",
            "/keys",
            "login.example.com",
            "http://login.example.com/keys",
            "http://127.0.0.1.example.com/keys",
            "http://localhost.example.com/keys",
            "http://10.0.0.1/keys",
            "https://me:secret@login.example.com/keys",
            "https:///keys",
            "ftp://127.0.0.1/keys",
            "file:///etc/passwd",
        ] {
            assert!(JwksUrl::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
