//! `auth`: whose tokens a route takes, and whether it takes API keys. Without a valid credential the answer
//! is 401, the same for every cause; the cause goes to the log. What roles it needs is the next policy's.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Call, Keys, Names, Policy, Refused, Rule, Verdict};
use crate::base::decode::{self, Decode, keys, mappings};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::{Code, Problem, Report, choices};
use crate::base::yaml::{At, Node, Place};
use crate::token::{
    self, Accepted, ApiKeyError, ApiKeys, BearerError, Credential, Issuer, TokenError, X_API_KEY,
};

/// Who may call a route.
#[derive(Debug, Clone, PartialEq)]
pub enum Access {
    Public,
    Required(Requirement),
}

keys! {
    /// What a caller needs.
    pub struct Requirement {
        /// Any one of these roles.
        pub roles: Option<At<Vec<At<String>>>>,
        /// Every one of these roles.
        pub all_roles: Option<At<Vec<At<String>>>>,
        /// Whose tokens are taken.
        pub issuers: Option<At<Vec<At<String>>>>,
        /// An API key is taken, and no token unless `issuers` says whose.
        pub api_key: bool = false,
    }
}
mappings!(Requirement);

/// Verifies the caller's credential in this process: no call, no database, no lock.
#[derive(Debug)]
pub struct Auth {
    accepted: Accepted,
    /// `None` where API keys are not taken.
    api_keys: Option<ApiKeys>,
    challenge: HeaderValue,
    place: Place,
}

/// The names under which upstreams learn who calls; what a client sends under them is removed.
pub const X_AUTH_USER: HeaderName = HeaderName::from_static("x-auth-user");
pub const X_AUTH_EMAIL: HeaderName = HeaderName::from_static("x-auth-email");
pub const X_AUTH_ROLES: HeaderName = HeaderName::from_static("x-auth-roles");
pub const X_AUTH_ISSUER: HeaderName = HeaderName::from_static("x-auth-issuer");

impl Policy for Auth {
    fn compile(keys: &Keys, names: &Names, report: &mut Report) -> Option<Self> {
        let access = keys.auth.as_ref()?;
        let Access::Required(requirement) = &access.value else {
            return None;
        };
        let issuers = match &requirement.issuers {
            Some(issuers) => named(&issuers.value, names, report),
            // Anyone may be able to sign up, and only admins make keys: who asks for keys gets no tokens
            // unless told so.
            None if requirement.api_key => Vec::new(),
            None => the_issuer(access.place, names, report)
                .into_iter()
                .collect(),
        };
        let mut api_keys = None;
        if requirement.api_key {
            api_keys = names.api_keys.cloned();
            if api_keys.is_none() {
                let message = "this route takes API keys, and nobody gives any";
                let problem = Problem::error(Code::UnknownName, access.place, message);
                report.push(problem.help("add `identity:`, which keeps them"));
            }
        }
        Some(Self {
            accepted: Accepted::new(issuers, Arc::clone(names.tokens)),
            api_keys,
            challenge: HeaderValue::from_static(challenge(requirement)),
            place: access.place,
        })
    }

    fn request(&self, call: &mut Call) -> Verdict {
        let headers = &call.header.headers;
        let credential = match &self.api_keys {
            Some(_) => token::credential(headers),
            None => token::bearer(headers).map(|token| token.map(Credential::Token)),
        };
        let verified = match (credential, &self.api_keys) {
            (Ok(Some(Credential::Token(token))), _) => {
                let verified = self.accepted.verify(token, call.unix_seconds);
                verified.map_err(TokenError::reason)
            }
            (Ok(Some(Credential::ApiKey(key))), Some(keys)) => {
                let verified = keys.verify(key, call.unix_seconds);
                verified.map_err(ApiKeyError::reason)
            }
            (Ok(None), _) => Err("no_token"),
            (Ok(Some(Credential::ApiKey(_))), None) | (Err(BearerError::Unusable), _) => {
                Err("unusable_credential")
            }
            (Err(BearerError::Several), _) => {
                let reply = Reply::refuse(Refusal::BadRequest).reason("several_credentials");
                return Verdict::refuse(reply.detail("the request has more than one credential"));
            }
        };
        match verified {
            Ok(principal) => {
                call.findings.principal = Some(principal);
                Verdict::Continue
            }
            Err(reason) if reason == TokenError::NoKeys.reason() => {
                Verdict::refuse(no_keys(reason))
            }
            Err(reason) => Verdict::refuse(
                Reply::refuse(Refusal::Unauthenticated)
                    .reason(reason)
                    .header(header::WWW_AUTHENTICATE, self.challenge.clone()),
            ),
        }
    }

    /// A key lives long and opens every door of its roles: the upstream learns whose it is, and never the
    /// key. Beside one there is no other credential, so that no token goes with it.
    fn forward(&self, upstream: &mut HeaderMap) {
        if self.api_keys.is_none() {
            return;
        }
        upstream.remove(&X_API_KEY);
        let authorization = upstream.get(header::AUTHORIZATION);
        if authorization.is_some_and(token::is_api_key) {
            upstream.remove(header::AUTHORIZATION);
        }
    }

    fn rule(&self, refused: &Refused) -> Option<Rule> {
        let own = match refused.refusal {
            Refusal::Unauthenticated => true,
            Refusal::Overloaded => refused.reason == TokenError::NoKeys.reason(),
            Refusal::BadRequest => refused.reason == "several_credentials",
            _ => false,
        };
        own.then(|| Rule::new("auth", self.place))
    }
}

/// The issuers that a route names.
fn named(issuers: &[At<String>], names: &Names, report: &mut Report) -> Vec<Issuer> {
    let mut known = Vec::new();
    for issuer in issuers {
        match names.issuers.iter().find(|(name, _)| *name == issuer.value) {
            Some((_, issuer)) => known.push(issuer.clone()),
            None => {
                let message = format!("no issuer is named `{}`", issuer.value);
                let problem = Problem::error(Code::UnknownName, issuer.place, message);
                let names = names.issuers.iter().map(|(name, _)| *name);
                report.push(problem.suggest(&issuer.value, names));
            }
        }
    }
    known
}

/// The built-in issuer, or else the only one: whose tokens a route takes is never a guess.
fn the_issuer(place: Place, names: &Names, report: &mut Report) -> Option<Issuer> {
    let built_in = names.issuers.iter().find(|(name, _)| *name == BUILT_IN);
    match (built_in, names.issuers) {
        (Some((_, issuer)), _) | (None, [(_, issuer)]) => Some(issuer.clone()),
        (None, []) => {
            let message = "this route needs a token, and nobody issues one";
            let problem = Problem::error(Code::UnknownName, place, message);
            report.push(problem.help("add `identity:`, or an issuer under `issuers:`"));
            None
        }
        (None, several) => {
            let message = "there are several issuers: say whose tokens this route takes";
            let problem = Problem::error(Code::UnknownName, place, message);
            let known = several.iter().map(|(name, _)| *name);
            report.push(problem.help(format!(
                "`auth: {{ issuers: […] }}` with {}",
                choices(known)
            )));
            None
        }
    }
}

/// The token may be good: a 401 would make its holder throw it away and sign in again.
fn no_keys(reason: &'static str) -> Reply {
    Reply::refuse(Refusal::Overloaded)
        .reason(reason)
        .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

/// What a 401 asks for (RFC 9110 §11.6.1, RFC 6750 §3); one answer for every cause, so no `error`.
fn challenge(requirement: &Requirement) -> &'static str {
    match (requirement.api_key, &requirement.issuers) {
        (false, _) => "Bearer realm=\"airside\"",
        (true, None) => "ApiKey realm=\"airside\"",
        (true, Some(_)) => "Bearer realm=\"airside\", ApiKey realm=\"airside\"",
    }
}

/// Is this one of the `X-Auth-*` names? Names are in lower case here; many upstreams (CGI, WSGI) read `_`
/// and `-` as one.
pub fn is_identity_header(name: &str) -> bool {
    const PREFIX: &[u8] = b"x-auth-";
    let same = |(ours, theirs): (&u8, u8)| *ours == theirs || (*ours == b'-' && theirs == b'_');
    name.len() >= PREFIX.len() && PREFIX.iter().zip(name.bytes()).all(same)
}

impl Decode for Access {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let Node::Text(text) = &node.value else {
            if !matches!(node.value, Node::Map(_)) {
                report.push(decode::wrong_type(node.place, EXPECTED, &node.value));
                return None;
            }
            let requirement: Requirement = decode::mapping(node, report)?;
            for roles in [
                &requirement.roles,
                &requirement.all_roles,
                &requirement.issuers,
            ]
            .into_iter()
            .flatten()
            {
                if roles.value.is_empty() {
                    let message = "an empty list: nobody could ever call";
                    report.push(Problem::error(Code::InvalidValue, roles.place, message));
                }
            }
            return Some(Self::Required(requirement));
        };
        match text.value.as_str() {
            "public" => Some(Self::Public),
            "required" => Some(Self::Required(Requirement {
                roles: None,
                all_roles: None,
                issuers: None,
                api_key: false,
            })),
            _ => {
                report.push(decode::unknown_word(node, text, &["public", "required"]));
                None
            }
        }
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let mut requirement = Requirement::schema(generator);
        for list in ["roles", "all_roles", "issuers"] {
            requirement = decode::narrow(requirement, list, serde_json::json!({ "minItems": 1 }));
        }
        json_schema!({ "oneOf": [{ "enum": ["public", "required"] }, requirement] })
    }
}

/// The name of the issuer that `identity:` makes.
pub const BUILT_IN: &str = "airside";
const EXPECTED: &str = "`public`, `required` or a mapping such as `{ roles: [admin] }`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_header_is_known_under_all_its_names() {
        for name in [
            "x-auth-user",
            "x-auth-roles",
            "x_auth_user",
            "x-auth_email",
            "x-auth-anything",
            "x-auth-",
        ] {
            assert!(is_identity_header(name), "{name}");
        }
        for name in ["x-authors", "x-auth", "authorization", "xx-auth-user"] {
            assert!(!is_identity_header(name), "{name}");
        }
    }
}
