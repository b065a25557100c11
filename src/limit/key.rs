//! Whose calls are counted together: the parts of a limit's key, hashed to 64 bits.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use super::config::Part;
use crate::base::net;

/// What is known about a call when its limits are decided.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    pub client: IpAddr,
    /// The route's number in the plan.
    pub route: u32,
    /// Present once the caller is authenticated.
    pub user: Option<User<'a>>,
}

/// A user is known by its id and by who issued it: two issuers may give out the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User<'a> {
    pub id: &'a str,
    pub issuer: &'a str,
}

/// A hashed key: never 0 and never odd, because the table marks its slots with those.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(u64);

/// Makes a limit's keys. The hash is SipHash under a seed of the process and the limit (`RandomState`):
/// the `RateLimit` fields show clients which calls share a count, and a faster hash that keeps its
/// seed only from those who can't watch its results would let them search for collisions with others.
#[derive(Debug)]
pub(super) struct Keys {
    by: Box<[Part]>,
    ipv6_prefix: u8,
    seed: RandomState,
}

impl Key {
    pub(super) fn new(hash: u64) -> Self {
        Self((hash & !1).max(2))
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

impl Keys {
    pub(super) fn new(by: &[Part], ipv6_prefix: u8) -> Self {
        Self {
            by: by.into(),
            ipv6_prefix,
            seed: RandomState::new(),
        }
    }

    pub(super) fn needs_user(&self) -> bool {
        self.by.contains(&Part::User)
    }

    /// A part that is missing counts as one value of its own: all calls without it share it.
    pub(super) fn key(&self, parts: &Parts) -> Key {
        let mut hasher = self.seed.build_hasher();
        for part in &self.by {
            match part {
                Part::Ip => net::masked(parts.client, self.ipv6_prefix).hash(&mut hasher),
                Part::User => parts.user.hash(&mut hasher),
                Part::Route => parts.route.hash(&mut hasher),
                // The configuration refuses the middle three until they are built.
                Part::ApiKey | Part::Header(_) | Part::Claim(_) | Part::Global => {}
            }
        }
        Key::new(hasher.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(client: &str, user: Option<(&'a str, &'a str)>) -> Parts<'a> {
        Parts {
            client: client.parse().unwrap(),
            route: 1,
            user: user.map(|(id, issuer)| User { id, issuer }),
        }
    }

    #[test]
    fn a_key_depends_on_its_parts_and_on_nothing_else() {
        let by_ip = Keys::new(&[Part::Ip], 64);
        let one = by_ip.key(&call("192.0.2.1", None));
        assert_eq!(one, by_ip.key(&call("::ffff:192.0.2.1", Some(("u", "i")))));
        assert_ne!(one, by_ip.key(&call("192.0.2.2", None)));
        let subnet = by_ip.key(&call("2001:db8:0:1::1", None));
        assert_eq!(subnet, by_ip.key(&call("2001:db8:0:1::2", None)));
        assert_ne!(subnet, by_ip.key(&call("2001:db8:0:2::1", None)));
    }

    #[test]
    fn users_of_two_issuers_and_calls_without_a_user_are_kept_apart() {
        let by_user = Keys::new(&[Part::User], 64);
        let key = |user| by_user.key(&call("192.0.2.1", user));
        let keys = [
            key(None),
            key(Some(("", ""))),
            key(Some(("u", "one"))),
            key(Some(("u", "two"))),
            key(Some(("uo", "ne"))),
        ];
        for (index, one) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(one), "{index}");
        }
        assert_eq!(key(None), by_user.key(&call("192.0.2.9", None)));
    }

    #[test]
    fn two_limits_never_hash_alike() {
        let call = call("192.0.2.1", None);
        let key = || Keys::new(&[Part::Ip], 64).key(&call);
        assert_ne!(key(), key());
    }
}
