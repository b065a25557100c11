//! An e-mail address as its owner wrote it, and the key that it is unique by.

use unicode_normalization::UnicodeNormalization;

/// An address with one `@` and something on both sides: the check is simple on purpose, because only a
/// message that arrives proves an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    written: String,
    key: EmailKey,
}

/// What two addresses of one user have in common. The application computes these bytes, and the store
/// compares them byte by byte: a collation would merge `josé` with `jose` and `ı` with `i`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EmailKey(String);

/// Why a text is not an address, as a clause for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEmail {
    #[error("it has more than 254 bytes")]
    TooLong,
    #[error("it has white space or control characters inside")]
    Blank,
    #[error("it must have one `@` with something on both sides")]
    Shape,
}

impl Email {
    pub fn parse(text: &str) -> Result<Self, BadEmail> {
        // Before the work of normalising: no form of a longer text could be kept.
        if text.len() > 4 * MAX_BYTES {
            return Err(BadEmail::TooLong);
        }
        let written: String = text.trim().nfc().collect();
        // One character at a time: lower-casing a whole word would make a Greek sigma depend on
        // where it stands.
        let key = EmailKey::part(&written);
        if written.len().max(key.len()) > MAX_BYTES {
            return Err(BadEmail::TooLong);
        }
        if key.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(BadEmail::Blank);
        }
        match key.split_once('@') {
            Some((name, host)) if !name.is_empty() && !host.is_empty() && !host.contains('@') => {}
            _ => return Err(BadEmail::Shape),
        }
        Ok(Self {
            written,
            key: EmailKey(key),
        })
    }

    /// As its owner wrote it, without blanks around it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    pub fn key(&self) -> &EmailKey {
        &self.key
    }
}

impl EmailKey {
    /// A text in the form of a key, such as the part of an address that is searched for.
    pub fn part(text: &str) -> String {
        text.nfc().flat_map(char::to_lowercase).nfc().collect()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The part before the `@`.
    pub fn name(&self) -> &str {
        self.0.split_once('@').map_or("", |(name, _)| name)
    }
}

/// RFC 5321 §4.5.3.1.3: a path has at most 256 bytes, its angle brackets among them.
const MAX_BYTES: usize = 254;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> String {
        Email::parse(text).unwrap().key.0
    }

    #[test]
    fn rule_21_one_address_written_differently_has_one_key() {
        assert_eq!(key(" Ann@Example.COM\n"), key("ann@example.com"));
        assert_eq!(key("JOS\u{c9}@x"), key("jose\u{301}@x"));
        assert_eq!(key("ΟΔΟΣ@x"), key("οδοσ@x"));
    }

    #[test]
    fn rule_21_different_addresses_never_merge() {
        for (one, other) in [
            ("josé@x", "jose@x"),
            ("ı@x", "i@x"),
            ("İ@x", "i@x"),
            ("a@x", "a@x."),
            ("straße@x", "strasse@x"),
            ("ﬁ@x", "fi@x"),
        ] {
            assert_ne!(key(one), key(other));
        }
    }

    #[test]
    fn what_has_no_shape_of_an_address_is_refused() {
        for wrong in ["", "@", "a", "a@", "@x", "a@b@c"] {
            assert_eq!(Email::parse(wrong), Err(BadEmail::Shape), "{wrong}");
        }
        for wrong in ["a b@x", "a@x\0", "a@\r\nx", "a\u{a0}b@x"] {
            assert_eq!(Email::parse(wrong), Err(BadEmail::Blank), "{wrong}");
        }
        let fits = format!("{}@x", "a".repeat(252));
        assert!(Email::parse(&fits).is_ok());
        assert_eq!(Email::parse(&format!("a{fits}")), Err(BadEmail::TooLong));
    }
}
