//! A token's header (RFC 7515 §4), read strictly. It may say which key is meant and what kind of token
//! this is; whatever would make the reader fetch, trust, unpack or skip something makes it no header.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use smallvec::SmallVec;

/// What a header says. Nothing of it is believed: `alg` is compared with the key's own, and `kid` is looked
/// up among the keys that are there.
#[derive(Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub alg: Cow<'a, str>,
    pub kid: Option<Cow<'a, str>>,
    pub typ: Option<Cow<'a, str>>,
}

/// Room for a header's JSON.
pub type Buffer = [u8; MAX_BYTES];

impl<'a> Header<'a> {
    /// Reads the first segment of a token; `None` where it is none that may be followed.
    pub fn read(segment: &str, buffer: &'a mut Buffer) -> Option<Self> {
        let length = URL_SAFE_NO_PAD.decode_slice(segment, buffer).ok()?;
        // Of members that are passed over the reader would take any bytes.
        let text = str::from_utf8(buffer.get(..length)?).ok()?;
        serde_json::from_str(text).ok()
    }

    /// Is it an access token's? Other issuers name theirs by RFC 9068 §2.1, by RFC 7519 §5.1 or not at all.
    /// Types are media types, so that case does not matter (RFC 7515 §4.1.9).
    pub fn may_be_access_token(&self) -> bool {
        let known = |typ: &str| TYPES.iter().any(|one| one.eq_ignore_ascii_case(typ));
        self.typ.as_deref().is_none_or(known)
    }
}

impl<'de> Deserialize<'de> for Header<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Header<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a token's header")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut seen: SmallVec<[Cow<str>; 8]> = SmallVec::new();
        let (mut alg, mut kid, mut typ) = (None, None, None);
        while let Some(Text(name)) = map.next_key()? {
            // RFC 7515 §4: names must be unique.
            if seen.len() == MAX_MEMBERS || seen.contains(&name) {
                return Err(A::Error::custom("too many members, or one twice"));
            }
            let text = |text: Text<'de>| text.0;
            match &*name {
                "alg" => alg = Some(text(map.next_value()?)),
                "kid" => kid = Some(text(map.next_value()?)),
                "typ" => typ = Some(text(map.next_value()?)),
                name if DANGEROUS.contains(&name) => {
                    return Err(A::Error::custom("a member that is never followed"));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
            seen.push(name);
        }
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(A::Error::custom("a long `kid`"));
        }
        let alg = alg.ok_or_else(|| A::Error::missing_field("alg"))?;
        Ok(Header { alg, kid, typ })
    }
}

/// Text that is borrowed where it stands without escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// What a `kid` may have at most, here and in key sets; they are opaque, and mostly 43 bytes or fewer.
pub(super) const MAX_KID: usize = 256;
/// They bring keys along or say where to fetch some, change what is signed, or ask for more than this
/// reader knows (RFC 7515 §4.1, RFC 7516 §4.1.3, RFC 7797).
const DANGEROUS: [&str; 7] = ["jku", "jwk", "x5u", "x5c", "crit", "b64", "zip"];
const TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "JWT"];
const MAX_MEMBERS: usize = 16;
const MAX_BYTES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<(String, Option<String>, Option<String>)> {
        let mut buffer = [0; MAX_BYTES];
        let header = Header::read(&URL_SAFE_NO_PAD.encode(json), &mut buffer)?;
        let own = |text: Cow<str>| text.into_owned();
        Some((own(header.alg), header.kid.map(own), header.typ.map(own)))
    }

    #[test]
    fn what_a_header_may_say_is_read() {
        let some = |text: &str| Some(text.to_owned());
        let all = r#"{"typ":"JWT","alg":"RS256","kid":"a\u0062","x5t":"abc","cty":[{"a":1}]}"#;
        assert_eq!(
            read(all),
            Some(("RS256".to_owned(), some("ab"), some("JWT")))
        );
        assert_eq!(
            read(r#"{"alg":"ES256"}"#),
            Some(("ES256".to_owned(), None, None))
        );
    }

    #[test]
    fn rule_2_what_is_never_followed_makes_it_no_header() {
        for name in DANGEROUS {
            for value in [
                "\"https://evil.example\"",
                "null",
                "true",
                "[\"exp\"]",
                "{}",
            ] {
                let json = format!(r#"{{"alg":"RS256","{name}":{value}}}"#);
                assert_eq!(read(&json), None, "{json}");
            }
        }
        // Written another way it is the same name.
        assert_eq!(
            read(r#"{"alg":"RS256","j\u006bu":"https://evil.example"}"#),
            None
        );
    }

    #[test]
    fn rule_2_a_kid_is_bounded() {
        let with = |length| {
            read(&format!(
                r#"{{"alg":"RS256","kid":"{}"}}"#,
                "k".repeat(length)
            ))
        };
        assert!(with(MAX_KID).is_some());
        assert_eq!(with(MAX_KID + 1), None);
        assert_eq!(with(5_000), None);
    }

    #[test]
    fn rule_3_no_member_stands_twice_and_each_has_its_type() {
        for wrong in [
            r#"{"alg":"none","alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":"a","kid":"a"}"#,
            r#"{"alg":"RS256","x":1,"x":1}"#,
            r#"{"alg":"RS256","x":1,"\u0078":1}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":"RS256","kid":1}"#,
            r#"{"alg":"RS256","kid":null}"#,
            r#"{"alg":"RS256","typ":null}"#,
            r#"{"kid":"a"}"#,
            r#"{"alg":"RS256"} "#.trim_end_matches(' ').trim_end_matches('}'),
            r#"{"alg":"RS256"}{}"#,
            r#"["RS256"]"#,
            "",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        let many: String = (0..MAX_MEMBERS).map(|n| format!(r#","m{n}":0"#)).collect();
        assert_eq!(read(&format!(r#"{{"alg":"RS256"{many}}}"#)), None);
        let mut buffer = [0; MAX_BYTES];
        let no_text = URL_SAFE_NO_PAD.encode(b"{\"alg\":\"RS256\",\"x\":\"\xff\"}");
        assert_eq!(Header::read(&no_text, &mut buffer), None);
        let padded = format!("{}=", URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#));
        assert_eq!(Header::read(&padded, &mut buffer), None);
    }

    #[test]
    fn rule_3_only_types_of_access_tokens_are_taken() {
        let of = |typ: &str| {
            let json = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","typ":"{typ}"}}"#));
            let mut buffer = [0; MAX_BYTES];
            Header::read(&json, &mut buffer)
                .unwrap()
                .may_be_access_token()
        };
        assert!(of("at+jwt") && of("JWT") && of("jwt") && of("application/at+jwt"));
        for wrong in [
            "",
            "dpop+jwt",
            "logout+jwt",
            "refresh",
            "id+jwt",
            "secevent+jwt",
            "JWT ",
        ] {
            assert!(!of(wrong), "{wrong}");
        }
    }
}
