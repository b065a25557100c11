//! What a request must have besides host and path: a method, headers, query parameters.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::method::{Method, MethodSet};

/// A route's predicates, compiled.
#[derive(Debug, Clone, Default)]
pub struct Predicates {
    /// `None`: any.
    pub methods: Option<MethodSet>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub query: Vec<(String, String)>,
}

/// What a request brings for them.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub method: Method,
    pub headers: &'a HeaderMap,
    pub query: &'a str,
}

impl Predicates {
    /// How many there are: the more, the more specific the route.
    pub fn count(&self) -> usize {
        usize::from(self.methods.is_some()) + self.headers.len() + self.query.len()
    }

    pub fn allows(&self, method: Method) -> bool {
        self.methods.is_none_or(|methods| methods.contains(method))
    }

    /// Do headers and query fit? The method is asked separately, because its refusal is another (405).
    pub fn fit(&self, asked: &Asked) -> bool {
        let header = |(name, value): &(HeaderName, HeaderValue)| {
            asked.headers.get_all(name).iter().any(|line| line == value)
        };
        let query = |(name, value): &(String, String)| has_parameter(asked.query, name, value);
        self.headers.iter().all(header) && self.query.iter().all(query)
    }

    /// Can one request fit both? Two values for one header or parameter exclude each other only in
    /// requests that bring it once, so they are taken as exclusive here and the order of the file does
    /// not matter: what brings both fits both, and the router's order is still total.
    pub fn overlap(&self, other: &Self) -> bool {
        let methods = self.methods.unwrap_or(MethodSet::ANY);
        let differs = |headers: &[(HeaderName, HeaderValue)]| {
            let clash = |(name, value): &(HeaderName, HeaderValue)| {
                self.headers
                    .iter()
                    .any(|(own, mine)| own == name && mine != value)
            };
            headers.iter().any(clash)
        };
        let clash = |(name, value): &(String, String)| {
            self.query
                .iter()
                .any(|(own, mine)| own == name && mine != value)
        };
        methods.meets(other.methods.unwrap_or(MethodSet::ANY))
            && !differs(&other.headers)
            && !other.query.iter().any(clash)
    }
}

/// Is `name=value` among the query's parameters? Percent-encoding and `+` are decoded as HTML forms do.
fn has_parameter(query: &str, name: &str, value: &str) -> bool {
    query.split('&').any(|pair| {
        let (key, content) = pair.split_once('=').unwrap_or((pair, ""));
        form_decoded(key) == name.as_bytes() && form_decoded(content) == value.as_bytes()
    })
}

fn form_decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _, _) => out.push(b' '),
            _ => out.push(*byte),
        }
        rest = tail;
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_parameters_are_compared_decoded() {
        assert!(has_parameter("a=1&b=x%20y", "b", "x y"));
        assert!(has_parameter("b=x+y", "b", "x y"));
        assert!(has_parameter("%62=1", "b", "1"));
        assert!(has_parameter("flag", "flag", ""));
        assert!(has_parameter("a=50%", "a", "50%"));
        assert!(!has_parameter("ab=1", "b", "1"));
        assert!(!has_parameter("", "b", "1"));
    }
}
