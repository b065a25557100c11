//! The methods that a route can name, as a set of bits.

use std::fmt;

use crate::base::decode::words;

words! {
    /// A method of RFC 9110 §9 or RFC 5789. `CONNECT` and `TRACE` are never proxied, so no route names them.
    pub enum Method {
        Get = "GET",
        Head = "HEAD",
        Post = "POST",
        Put = "PUT",
        Patch = "PATCH",
        Delete = "DELETE",
        Options = "OPTIONS",
    }
}

/// A set of methods; empty stands for "none".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MethodSet(u8);

impl Method {
    const ALL: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
    ];

    pub fn from_http(method: &http::Method) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.word() == method.as_str())
    }
}

impl MethodSet {
    pub const ANY: Self = Self(0x7f);

    pub fn of(methods: impl IntoIterator<Item = Method>) -> Self {
        Self(
            methods
                .into_iter()
                .fold(0, |bits, method| bits | 1 << method as u8),
        )
    }

    pub fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }

    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Are all of `other` in it?
    pub fn holds(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// As `Allow` lists them (RFC 9110 §10.2.1).
impl fmt::Display for MethodSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut first = true;
        for method in Method::ALL
            .into_iter()
            .filter(|method| self.contains(*method))
        {
            let comma = if first { "" } else { ", " };
            write!(f, "{comma}{}", method.word())?;
            first = false;
        }
        Ok(())
    }
}
