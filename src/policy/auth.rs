//! `auth`: whose token a route takes. Without a valid one the answer is 401, the same for every cause;
//! the cause goes to the log. What roles the holder needs is the next policy's.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, header};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::{Call, Keys, Names, Policy, Verdict};
use crate::base::decode::{self, Decode, keys, mappings};
use crate::base::reply::{Refusal, Reply};
use crate::base::report::{Code, Problem, Report, choices};
use crate::base::yaml::{At, Node};
use crate::token::{self, Accepted, TokenError};

/// Who may call a route.
#[derive(Debug, Clone)]
pub enum Access {
    Public,
    Required(Requirement),
}

keys! {
    /// What a caller needs besides a valid token.
    pub struct Requirement {
        /// Any one of these roles.
        pub roles: Option<At<Vec<At<String>>>>,
        /// Every one of these roles.
        pub all_roles: Option<At<Vec<At<String>>>>,
        /// Whose tokens are taken.
        pub issuers: Option<At<Vec<At<String>>>>,
        /// An API key will do.
        pub api_key: bool = false; unbuilt,
    }
}
mappings!(Requirement);

/// Verifies the caller's token in this process: no call, no database, no lock.
#[derive(Debug)]
pub struct Auth {
    accepted: Accepted,
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
        let known: Vec<&str> = names.issuers.iter().map(|(name, _)| *name).collect();
        let mut accepted = Vec::new();
        match &requirement.issuers {
            Some(issuers) => {
                for issuer in &issuers.value {
                    match names.issuers.iter().find(|(name, _)| *name == issuer.value) {
                        Some((_, issuer)) => accepted.push(issuer.clone()),
                        None => {
                            let message = format!("no issuer is named `{}`", issuer.value);
                            let problem = Problem::error(Code::UnknownName, issuer.place, message);
                            report.push(problem.suggest(&issuer.value, known.iter().copied()));
                        }
                    }
                }
            }
            // The built-in issuer, or else the only one: whose tokens a route takes is never a guess.
            None => match (
                names.issuers.iter().find(|(name, _)| *name == BUILT_IN),
                names.issuers,
            ) {
                (Some((_, issuer)), _) | (None, [(_, issuer)]) => accepted.push(issuer.clone()),
                (None, []) => {
                    let message = "this route needs a token, and nobody issues one";
                    let problem = Problem::error(Code::UnknownName, access.place, message);
                    report.push(problem.help("add `identity:`, or an issuer under `issuers:`"));
                }
                (None, _) => {
                    let message = "there are several issuers: say whose tokens this route takes";
                    let problem = Problem::error(Code::UnknownName, access.place, message);
                    report.push(problem.help(format!(
                        "`auth: {{ issuers: […] }}` with {}",
                        choices(known)
                    )));
                }
            },
        }
        Some(Self {
            accepted: Accepted::new(accepted, Arc::clone(names.tokens)),
        })
    }

    fn request(&self, call: &mut Call) -> Verdict {
        let token = match token::bearer(&call.header.headers) {
            Ok(Some(token)) => token,
            Ok(None) => return Verdict::refuse(unauthenticated("no_token")),
            Err(token::BearerError::Unusable) => {
                return Verdict::refuse(unauthenticated("unusable_credential"));
            }
            Err(token::BearerError::Several) => {
                let reply = Reply::refuse(Refusal::BadRequest).reason("several_credentials");
                return Verdict::refuse(reply.detail("the request has more than one credential"));
            }
        };
        match self.accepted.verify(token, call.unix_seconds) {
            Ok(principal) => {
                call.findings.principal = Some(principal);
                Verdict::Continue
            }
            Err(error @ TokenError::NoKeys) => Verdict::refuse(no_keys(error.reason())),
            Err(error) => Verdict::refuse(unauthenticated(error.reason())),
        }
    }
}

/// Is this one of the `X-Auth-*` names? Names are in lower case here; many upstreams (CGI, WSGI) read `_`
/// and `-` as one.
pub fn is_identity_header(name: &str) -> bool {
    const PREFIX: &[u8] = b"x-auth-";
    let same = |(ours, theirs): (&u8, u8)| *ours == theirs || (*ours == b'-' && theirs == b'_');
    name.len() >= PREFIX.len() && PREFIX.iter().zip(name.bytes()).all(same)
}

fn unauthenticated(reason: &'static str) -> Reply {
    // RFC 6750 §3; one answer for every cause, so no `error` parameter.
    let challenge = HeaderValue::from_static("Bearer realm=\"airside\"");
    Reply::refuse(Refusal::Unauthenticated)
        .reason(reason)
        .header(header::WWW_AUTHENTICATE, challenge)
}

/// The token may be good: a 401 would make its holder throw it away and sign in again.
fn no_keys(reason: &'static str) -> Reply {
    Reply::refuse(Refusal::Overloaded)
        .reason(reason)
        .header(header::RETRY_AFTER, HeaderValue::from_static("5"))
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
        let requirement = Requirement::schema(generator);
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
