//! Which names certificates are for: exact ones, and `*.example.com` for one label in its place
//! (RFC 6125 §6.4.3).

use std::collections::HashMap;

/// From the names that certificates bear to what belongs to them. The first to claim a name keeps it.
#[derive(Debug, Clone)]
pub struct Names<T> {
    exact: HashMap<Box<str>, T>,
    /// By what stands after the `*.`.
    wildcard: HashMap<Box<str>, T>,
}

impl<T> Names<T> {
    pub fn claim(&mut self, name: &str, value: T) {
        let name = name.to_ascii_lowercase();
        let (table, name) = match name.strip_prefix("*.") {
            Some(parent) => (&mut self.wildcard, parent),
            None => (&mut self.exact, name.as_str()),
        };
        table.entry(name.into()).or_insert(value);
    }

    /// What belongs to `name`, which is in lower case.
    pub fn find(&self, name: &str) -> Option<&T> {
        let wildcard = || self.wildcard.get(name.split_once('.')?.1);
        self.exact.get(name).or_else(wildcard)
    }
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_goes_first_and_a_star_stands_for_one_label() {
        let mut names = Names::default();
        names.claim("*.Example.com", 1);
        names.claim("api.example.com", 2);
        names.claim("api.example.com", 3);
        assert_eq!(names.find("api.example.com"), Some(&2));
        assert_eq!(names.find("www.example.com"), Some(&1));
        for stranger in ["example.com", "a.b.example.com", "example.org", "com", ""] {
            assert_eq!(names.find(stranger), None, "{stranger}");
        }
    }
}
