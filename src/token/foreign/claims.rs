//! What another issuer's token says of its holder: claims with unlike habits (RFC 7519 §4, RFC 9068 §2.2),
//! brought into one form. They are looked at after the signature, but for who says to have issued them.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The claims that count. The first five must be there; `jti` is not asked for, since many issuers leave it
/// out of access tokens.
pub struct ForeignClaims {
    pub iss: String,
    pub aud: Audiences,
    pub sub: String,
    pub exp: Seconds,
    pub iat: Seconds,
    pub nbf: Option<Seconds>,
    pub sid: Option<String>,
    all: Map<String, Value>,
}

/// One audience, or a list of them (RFC 7519 §4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Audiences {
    One(String),
    Several(Vec<String>),
}

/// Unix seconds. RFC 7519 §2 allows fractions; they are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub u64);

/// Where a token names its holder's roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolesClaim(String);

impl ForeignClaims {
    /// `None` where a claim is missing, of the wrong type, or where any member at any depth stands twice.
    pub fn read(json: &[u8]) -> Option<Self> {
        let Unique(Value::Object(mut all)) = serde_json::from_slice(json).ok()? else {
            return None;
        };
        let needed = |name: &str, all: &mut Map<String, Value>| all.remove(name);
        let text = |value: Value| match value {
            Value::String(text) if is_plain(&text) => Some(text),
            _ => None,
        };
        Some(Self {
            iss: text(needed("iss", &mut all)?)?,
            aud: serde_json::from_value(needed("aud", &mut all)?).ok()?,
            sub: text(needed("sub", &mut all)?)?,
            exp: Seconds::read(&needed("exp", &mut all)?)?,
            iat: Seconds::read(&needed("iat", &mut all)?)?,
            nbf: match all.get("nbf") {
                Some(nbf) => Some(Seconds::read(nbf)?),
                None => None,
            },
            sid: match all.remove("sid") {
                Some(sid) => Some(text(sid)?),
                None => None,
            },
            all,
        })
    }

    /// The holder's address, where the issuer says that it is theirs: one that is not verified lets whoever
    /// wrote it into a profile pass for its owner.
    pub fn email(&self) -> Option<String> {
        let verified = self.all.get("email_verified") == Some(&Value::Bool(true));
        let email = self.all.get("email").filter(|_| verified)?.as_str()?;
        is_plain(email).then(|| email.to_owned())
    }

    /// A list of strings, or one string with spaces between roles; anything else is no role. Upstreams get
    /// roles as a list with commas, so that a role with a comma could pass for two: it is none.
    pub fn roles(&self, claim: &RolesClaim) -> Vec<String> {
        let named: Vec<&str> = match find(&self.all, &claim.0) {
            Some(Value::Array(roles)) => roles.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(roles)) => roles.split(' ').collect(),
            _ => Vec::new(),
        };
        let sound = |role: &&str| is_plain(role) && !role.contains(',') && role.trim() == *role;
        named.into_iter().filter(sound).map(str::to_owned).collect()
    }
}

impl Audiences {
    /// Exact: audiences are case-sensitive.
    pub fn names_one_of(&self, known: &[String]) -> bool {
        match self {
            Self::One(one) => known.contains(one),
            Self::Several(several) => several.iter().any(|one| known.contains(one)),
        }
    }
}

impl RolesClaim {
    /// `realm_access.roles` leads into an object. A claim whose own name has dots is found, too, such as
    /// `https://example.com/roles`.
    pub fn new(path: &str) -> Self {
        Self(path.to_owned())
    }
}

impl Seconds {
    fn read(value: &Value) -> Option<Self> {
        let number = value.as_number()?;
        let fraction = || {
            let number = number.as_f64()?;
            // Casts of floats stop at the bounds.
            (number >= 0.0).then_some(number as u64)
        };
        number.as_u64().or_else(fraction).map(Self)
    }
}

/// Does the token say, before anything about it is known, that this issuer made it? A hint for choosing
/// whose keys to try; what counts is asked again of signed claims.
pub fn says(claims: &str, issuer: &str) -> bool {
    said_issuer(claims, |said| said == issuer)
}

/// Asks `decide` about the issuer that the claims name; false where they name none, or twice.
pub fn said_issuer(claims: &str, decide: impl FnOnce(&str) -> bool) -> bool {
    #[derive(Deserialize)]
    struct Said<'a> {
        #[serde(borrow)]
        iss: Text<'a>,
    }
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    let decoded = URL_SAFE_NO_PAD.decode(claims).unwrap_or_default();
    serde_json::from_slice::<Said>(&decoded).is_ok_and(|said| decide(&said.iss.0))
}

/// The value at a path: the longest name that is there wins, so that dots within names do no harm.
fn find<'a>(object: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    let dots = path.rmatch_indices('.');
    dots.filter_map(|(dot, _)| Some((path.get(..dot)?, path.get(dot + 1..)?)))
        .find_map(|(name, rest)| find(object.get(name)?.as_object()?, rest))
}

/// Fit for a header and for a log: something, and no control characters.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// A JSON value in which no member stands twice: two readers of such a text could read two things.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = map.next_entry::<String, _>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unique(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sound() -> Value {
        json!({ "iss": "https://login.example", "aud": "api", "sub": "u1", "exp": 2_000, "iat": 1_000 })
    }

    fn read(claims: &Value) -> Option<ForeignClaims> {
        ForeignClaims::read(claims.to_string().as_bytes())
    }

    fn with(name: &str, value: Value) -> Option<ForeignClaims> {
        let mut claims = sound();
        claims[name] = value;
        read(&claims)
    }

    #[test]
    fn rule_3_the_five_claims_are_there_and_of_their_type() {
        assert!(read(&sound()).is_some());
        for name in ["iss", "aud", "sub", "exp", "iat"] {
            let mut without = sound();
            without.as_object_mut().unwrap().remove(name);
            assert!(read(&without).is_none(), "{name}");
            for wrong in [json!(null), json!({}), json!(-1), json!(true), json!([1])] {
                assert!(with(name, wrong.clone()).is_none(), "{name}: {wrong}");
            }
        }
        for text in ["exp", "iat", "nbf"] {
            assert!(with(text, json!("1000")).is_none(), "{text}");
        }
        for wrong in ["", "a\nb", "a\u{7f}"] {
            assert!(with("sub", json!(wrong)).is_none(), "{wrong:?}");
        }
        assert!(with("nbf", json!(null)).is_none());
        assert!(with("sid", json!(7)).is_none());
        for wrong in ["[]", "null", "", "{}", "\"x\""] {
            assert!(ForeignClaims::read(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }

    #[test]
    fn rule_3_no_member_stands_twice_at_any_depth() {
        let sound = sound().to_string();
        for more in [
            r#"{"sub":"root","#,
            r#"{"x":1,"x":1,"#,
            r#"{"realm_access":{"roles":[],"roles":["admin"]},"#,
            r#"{"list":[{"a":1,"a":2}],"#,
            r#"{"s\u0075b":"root","#,
        ] {
            let doubled = sound.replacen('{', more, 1);
            assert!(
                ForeignClaims::read(doubled.as_bytes()).is_none(),
                "{doubled}"
            );
        }
    }

    #[test]
    fn times_may_have_fractions_and_are_cut() {
        let claims = with("exp", json!(1_999.9)).unwrap();
        assert_eq!(claims.exp, Seconds(1_999));
        assert_eq!(with("exp", json!(1e300)).unwrap().exp, Seconds(u64::MAX));
        assert_eq!(with("nbf", json!(7)).unwrap().nbf, Some(Seconds(7)));
    }

    #[test]
    fn an_audience_is_one_or_several_and_exact() {
        let names = |aud: Value| {
            with("aud", aud)
                .unwrap()
                .aud
                .names_one_of(&["api".to_owned()])
        };
        assert!(names(json!("api")) && names(json!(["other", "api"])));
        for wrong in [json!("API"), json!("api "), json!([]), json!(["other"])] {
            assert!(!names(wrong.clone()), "{wrong}");
        }
        assert!(with("aud", json!(["api", 1])).is_none());
    }

    #[test]
    fn roles_are_found_where_the_issuer_keeps_them() {
        let roles = |path: &str, claims: Value| {
            let mut all = sound();
            let more = claims.as_object().unwrap().clone();
            all.as_object_mut().unwrap().extend(more);
            read(&all).unwrap().roles(&RolesClaim::new(path))
        };
        let keycloak = json!({
            "realm_access": { "roles": ["admin", "staff"] },
            "resource_access": { "my.api": { "roles": ["editor"] } },
        });
        assert_eq!(
            roles("realm_access.roles", keycloak.clone()),
            ["admin", "staff"]
        );
        assert_eq!(
            roles("resource_access.my.api.roles", keycloak.clone()),
            ["editor"]
        );
        let auth0 = json!({ "https://api.example.com/roles": ["admin"] });
        assert_eq!(roles("https://api.example.com/roles", auth0), ["admin"]);
        let scope = json!({ "scope": "read  write" });
        assert_eq!(roles("scope", scope), ["read", "write"]);
        for (path, claims) in [
            ("roles", keycloak),
            ("roles.x", json!({ "roles": ["admin"] })),
            ("roles", json!({ "roles": { "admin": true } })),
            ("roles", json!({ "roles": 7 })),
            ("", json!({ "roles": ["admin"] })),
            (".", json!({ "roles": ["admin"] })),
        ] {
            assert_eq!(roles(path, claims), Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn a_role_that_could_pass_for_another_one_is_none() {
        let claims = with(
            "roles",
            json!(["a,admin", " admin", "admin\n", "", "Domain Users", 7]),
        );
        let roles = claims.unwrap().roles(&RolesClaim::new("roles"));
        assert_eq!(roles, ["Domain Users"]);
    }

    #[test]
    fn an_address_counts_when_the_issuer_verified_it() {
        let email = |verified: Value| {
            let mut claims = sound();
            claims["email"] = json!("ann@example.com");
            claims["email_verified"] = verified;
            read(&claims).unwrap().email()
        };
        assert_eq!(email(json!(true)).as_deref(), Some("ann@example.com"));
        assert_eq!(email(json!(false)), None);
        assert_eq!(email(json!("true")), None);
        assert_eq!(
            with("email", json!("ann@example.com")).unwrap().email(),
            None
        );
    }

    #[test]
    fn who_says_to_have_issued_a_token_is_read_without_belief() {
        let said = |json: &str| {
            let mut found = None;
            said_issuer(&URL_SAFE_NO_PAD.encode(json), |iss| {
                found = Some(iss.to_owned());
                true
            });
            found
        };
        assert_eq!(said(r#"{"iss":"a\u0062","x":[{}]}"#).as_deref(), Some("ab"));
        for wrong in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":7}"#,
            "{}",
            "[]",
            "",
            "{",
        ] {
            assert_eq!(said(wrong), None, "{wrong}");
        }
        assert!(!said_issuer("?", |_| true));
    }
}
