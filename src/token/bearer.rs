//! Where a request carries its token: `Authorization: Bearer` (RFC 6750 §2.1), else `x-access-token`.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

/// Why a request's credentials can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// Two could name two users; which one counts must not be a guess.
    #[error("the request carries more than one credential of a kind")]
    Several,
    /// Another scheme, or bytes that no token has. Never the same as no credential: a client that
    /// sends one wants to be known.
    #[error("the credential is not a bearer token")]
    Unusable,
}

/// The token that a request carries, not yet verified; `None` where it carries no credential.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, BearerError> {
    let authorization = single(headers, &AUTHORIZATION)?;
    let access_token = single(headers, &X_ACCESS_TOKEN)?;
    match (authorization, access_token) {
        (Some(value), _) => credentials(visible(value)?).map(Some),
        (None, Some(value)) => visible(value).map(Some),
        (None, None) => Ok(None),
    }
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
fn credentials(value: &str) -> Result<&str, BearerError> {
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => Ok(rest.trim_matches(' ')),
        _ => Err(BearerError::Unusable),
    }
}

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
