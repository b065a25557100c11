//! Where a request carries its credential: a token as `Authorization: Bearer` (RFC 6750 §2.1), else as
//! `x-access-token`; an API key as `Authorization: ApiKey` or as `X-API-Key`.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// What a caller shows, not yet verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential<'a> {
    Token(&'a str),
    ApiKey(&'a str),
}

/// Why a request's credentials can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// Two could name two users; which one counts must not be a guess.
    #[error("the request carries more than one credential")]
    Several,
    /// Another scheme, or bytes that no token has. Never the same as no credential: a client that
    /// sends one wants to be known.
    #[error("the credential is neither a bearer token nor an API key")]
    Unusable,
}

/// The token that a request carries, not yet verified; `None` where it carries no credential.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, BearerError> {
    let authorization = single(headers, &AUTHORIZATION)?;
    let access_token = single(headers, &X_ACCESS_TOKEN)?;
    match (authorization, access_token) {
        (Some(value), _) => credentials(visible(value)?, BEARER).map(Some),
        (None, Some(value)) => visible(value).map(Some),
        (None, None) => Ok(None),
    }
}

/// The credential of a request where API keys are taken too. A key comes alone: beside anything else that
/// names a caller it is `Several`.
pub fn credential(headers: &HeaderMap) -> Result<Option<Credential<'_>>, BearerError> {
    let authorization = single(headers, &AUTHORIZATION)?;
    let key = single(headers, &X_API_KEY)?;
    let by_scheme = authorization.filter(|value| is_api_key(value));
    let has_token = headers.contains_key(&X_ACCESS_TOKEN);
    match (key, by_scheme) {
        (None, None) => Ok(bearer(headers)?.map(Credential::Token)),
        (Some(_), _) if has_token || authorization.is_some() => Err(BearerError::Several),
        (None, Some(_)) if has_token => Err(BearerError::Several),
        (Some(value), _) => visible(value).map(|key| Some(Credential::ApiKey(key))),
        (None, Some(value)) => {
            credentials(visible(value)?, API_KEY).map(|key| Some(Credential::ApiKey(key)))
        }
    }
}

/// Does this `Authorization` carry an API key?
pub fn is_api_key(authorization: &HeaderValue) -> bool {
    let scheme = authorization.as_bytes().split(|byte| *byte == b' ').next();
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(API_KEY.as_bytes()))
}

fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a HeaderValue>, BearerError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(BearerError::Several),
        (value, None) => Ok(value),
    }
}

fn visible(value: &HeaderValue) -> Result<&str, BearerError> {
    value.to_str().map_err(|_| BearerError::Unusable)
}

/// The scheme is case-insensitive, and one or more spaces follow it (RFC 9110 §11.4).
fn credentials<'a>(value: &'a str, wanted: &str) -> Result<&'a str, BearerError> {
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(wanted) => Ok(rest.trim_matches(' ')),
        _ => Err(BearerError::Unusable),
    }
}

const BEARER: &str = "bearer";
const API_KEY: &str = "apikey";
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-access-token");

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &[u8])]) -> Result<Option<String>, BearerError> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        bearer(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_taken_from_either_header_and_authorization_wins() {
        let token = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(of(&[("authorization", b"Bearer a.b.c")]), token("a.b.c"));
        assert_eq!(of(&[("authorization", b"bEARER  a.b.c ")]), token("a.b.c"));
        assert_eq!(of(&[("x-access-token", b"a.b.c")]), token("a.b.c"));
        let both: &[(_, &[u8])] = &[("x-access-token", b"x"), ("authorization", b"Bearer y")];
        assert_eq!(of(both), token("y"));
        assert_eq!(of(&[]), Ok(None));
    }

    #[test]
    fn rule_6_two_credentials_of_a_kind_are_a_bad_request() {
        for name in ["authorization", "x-access-token"] {
            let twice: &[(_, &[u8])] = &[(name, b"Bearer a"), (name, b"Bearer a")];
            assert_eq!(of(twice), Err(BearerError::Several), "{name}");
        }
    }

    #[test]
    fn an_api_key_is_taken_from_either_header_and_comes_alone() {
        let of = |lines: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, value.parse().unwrap());
            }
            credential(&headers).map(|found| {
                found.map(|found| match found {
                    Credential::ApiKey(key) => format!("key {key}"),
                    Credential::Token(token) => format!("token {token}"),
                })
            })
        };
        let found = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[("x-api-key", "k")]), found("key k"));
        assert_eq!(of(&[("authorization", "ApiKey k")]), found("key k"));
        assert_eq!(of(&[("authorization", "apikey  k ")]), found("key k"));
        assert_eq!(of(&[("authorization", "Bearer t")]), found("token t"));
        let (key, scheme) = (("x-api-key", "k"), ("authorization", "ApiKey k"));
        let (bearer, old) = (("authorization", "Bearer t"), ("x-access-token", "t"));
        assert_eq!(of(&[bearer, old]), found("token t"));
        for both in [
            [key, key],
            [scheme, scheme],
            [key, scheme],
            [key, bearer],
            [key, old],
            [scheme, old],
            [key, ("authorization", "Basic YTpi")],
        ] {
            assert_eq!(of(&both), Err(BearerError::Several), "{both:?}");
        }
        for wrong in ["ApiKey", "ApiKeyk", "Basic YTpi", "k"] {
            let found = of(&[("authorization", wrong)]);
            assert_eq!(found, Err(BearerError::Unusable), "{wrong}");
        }
    }

    #[test]
    fn another_scheme_is_an_invalid_credential_and_not_an_absent_one() {
        let wrong: &[&[u8]] = &[b"Basic YTpi", b"Bearer", b"", b"Bearer \xe9", b"a.b.c"];
        for value in wrong {
            assert_eq!(
                of(&[("authorization", value), ("x-access-token", b"a.b.c")]),
                Err(BearerError::Unusable),
                "{value:?}"
            );
        }
    }
}
