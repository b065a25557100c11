//! A limit's key in words, for people who ask why a call was counted as it was. What is counted is the hash of the
//! same parts in `key.rs`.

use super::config::Part;
use super::counted::Counted;
use super::key::{Caller, Parts};
use super::rule::Limit;
use crate::base::net;
use crate::base::units::Rate;

/// One part of a key: its name as it is configured, and the request's own; `None` where the request lacks it.
pub type Told = (String, Option<String>);

impl Limit {
    /// Of a call with these parts, in the order of `by`.
    pub fn tell_key(&self, parts: &Parts) -> Vec<Told> {
        let keys = self.keys();
        let by = keys.by().iter();
        by.map(|part| tell(part, parts, keys.ipv6_prefix()))
            .collect()
    }
}

impl Counted {
    /// What the caller is allowed, by its roles; `None` for calls at the same time.
    pub fn rate(&self) -> Option<Rate> {
        self.limit().rate(self.tier)
    }
}

fn tell(part: &Part, parts: &Parts, ipv6_prefix: u8) -> Told {
    let caller = parts.caller;
    match part {
        Part::Ip => {
            let address = net::masked(parts.client, ipv6_prefix);
            let text = match address.is_ipv6() {
                true => format!("{address}/{ipv6_prefix}"),
                false => address.to_string(),
            };
            ("ip".to_owned(), Some(text))
        }
        Part::Route => ("route".to_owned(), Some("this one".to_owned())),
        Part::Global => ("global".to_owned(), Some("everyone".to_owned())),
        Part::User => {
            let user = caller.map(|caller| caller.user());
            let user = user.map(|user| format!("{} of {}", user.id, user.issuer));
            ("user".to_owned(), user)
        }
        Part::ApiKey => {
            let key = caller.and_then(Caller::api_key).map(str::to_owned);
            ("api_key".to_owned(), key)
        }
        Part::Claim(name) => {
            let mut hasher = std::hash::DefaultHasher::new();
            let there = caller.is_some_and(|caller| caller.hash_claim(name, &mut hasher));
            // Claims are about a person: that it is there will do.
            let told = there.then(|| "as the token says".to_owned());
            (format!("claim:{name}"), told)
        }
        Part::Header(name) => {
            let lines = parts.headers.get_all(name).iter();
            let lines: Vec<_> = lines
                .map(|line| String::from_utf8_lossy(line.as_bytes()).into_owned())
                .collect();
            let told = (!lines.is_empty()).then(|| lines.join(", "));
            (format!("header:{name}"), told)
        }
    }
}
