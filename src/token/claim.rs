//! A claim that only the configuration knows by name, such as `tenant`: found when somebody asks for it,
//! so that tokens whose claims nobody asks for cost nothing.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A token's claims as they were signed: JSON, and verified. Empty for a caller without a token.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SignedClaims(Vec<u8>);

/// The value of one claim. What is neither text, number nor truth tells no two callers apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Claim<'a> {
    Text(Cow<'a, str>),
    Whole(i128),
    /// The bits of a number with a fraction.
    Fraction(u64),
    Truth(bool),
}

impl SignedClaims {
    pub(super) fn new(json: Vec<u8>) -> Self {
        Self(json)
    }

    /// The claim of this name at the top level; the last, should it stand there twice (RFC 7519 §4).
    pub fn find(&self, name: &str) -> Option<Claim<'_>> {
        let mut json = serde_json::Deserializer::from_slice(&self.0);
        json.deserialize_map(Named(name)).ok().flatten()
    }
}

/// Claims are about a person, and logs are no place for them.
impl fmt::Debug for SignedClaims {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("SignedClaims(…)")
    }
}

/// Reads an object for the member of this name.
struct Named<'n>(&'n str);

impl<'de> Visitor<'de> for Named<'_> {
    type Value = Option<Claim<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(same) = map.next_key_seed(IsName(self.0))? {
            match same {
                true => found = map.next_value_seed(Value)?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Is the member's name this one? Compared in place.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// Reads a member's value.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Option<Claim<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Option<Claim<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Claim::Text(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Claim::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(Claim::Whole(number.into())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(Claim::Whole(number.into())))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Claim::Fraction(number.to_bits())))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Some(Claim::Truth(truth)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_at_the_top_level_is_found_and_nothing_else() {
        let json = r#"{"deep":{"tenant":"no"},"list":["tenant",1],"tenant":"acme","n":7,"f":0.5,
            "yes":true,"none":null,"esc\u0061ped":"a\"b","twice":1,"twice":2}"#;
        let claims = SignedClaims::new(json.as_bytes().to_vec());
        let text = |text: &'static str| Some(Claim::Text(text.into()));
        assert_eq!(claims.find("tenant"), text("acme"));
        assert_eq!(claims.find("n"), Some(Claim::Whole(7)));
        assert_eq!(claims.find("f"), Some(Claim::Fraction(0.5_f64.to_bits())));
        assert_eq!(claims.find("yes"), Some(Claim::Truth(true)));
        assert_eq!(claims.find("escaped"), text("a\"b"));
        assert_eq!(claims.find("twice"), Some(Claim::Whole(2)));
        for missing in ["none", "deep", "list", "other", ""] {
            assert_eq!(claims.find(missing), None, "{missing}");
        }
        assert_eq!(SignedClaims::default().find("tenant"), None);
    }
}
