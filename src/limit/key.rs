//! Whose calls are counted together: the parts of a limit's key, hashed to 64 bits.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;

use http::HeaderMap;
use smallvec::SmallVec;

use super::config::Part;
use crate::base::decode::FromText;
use crate::base::net;

/// What is known about a call when its limits are decided.
#[derive(Clone, Copy)]
pub struct Parts<'a> {
    pub client: IpAddr,
    /// What tells the route from others, also after a reload that moved it.
    pub route: u64,
    pub headers: &'a HeaderMap,
    /// Present once the caller is authenticated.
    pub caller: Option<&'a dyn Caller>,
}

/// Who calls, as far as limits ask.
pub trait Caller {
    fn user(&self) -> User<'_>;

    /// What tells the caller's API key from others, where it brought one.
    fn api_key(&self) -> Option<&str>;

    fn has_role(&self, role: &str) -> bool;

    /// Hashes a claim of the caller's token; false where there is none of that name.
    fn hash_claim(&self, name: &str, hasher: &mut dyn Hasher) -> bool;
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

    pub(super) fn by(&self) -> &[Part] {
        &self.by
    }

    pub(super) fn ipv6_prefix(&self) -> u8 {
        self.ipv6_prefix
    }

    /// The parts as they are written.
    pub(super) fn kind(&self) -> String {
        let parts = self.by.iter().filter_map(FromText::to_text);
        parts.collect::<Vec<_>>().join(", ")
    }

    /// Is there a part that only authentication brings?
    pub(super) fn needs_caller(&self) -> bool {
        self.by.iter().any(Part::needs_caller)
    }

    /// The key, and whether all of its parts are there. One that is missing counts as one value of its
    /// own: all calls without it share it.
    pub(super) fn key(&self, parts: &Parts) -> (Key, bool) {
        let mut hasher = self.seed.build_hasher();
        let whole = self.hash(parts, &mut hasher);
        (Key::new(hasher.finish()), whole)
    }

    /// What the key is made of, without the seed: the same bytes in every gateway.
    pub(super) fn bytes(&self, parts: &Parts) -> SmallVec<[u8; 64]> {
        let mut bytes = Bytes::default();
        self.hash(parts, &mut bytes);
        bytes.0
    }

    fn hash(&self, parts: &Parts, hasher: &mut impl Hasher) -> bool {
        let mut whole = true;
        for part in &self.by {
            let there = part.hash(parts, self.ipv6_prefix, hasher);
            // Keeps a missing part and an empty one apart.
            there.hash(hasher);
            whole &= there;
        }
        whole
    }
}

/// Takes down what is hashed.
#[derive(Default)]
struct Bytes(SmallVec<[u8; 64]>);

impl Hasher for Bytes {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

impl Part {
    fn hash(&self, parts: &Parts, ipv6_prefix: u8, hasher: &mut impl Hasher) -> bool {
        let caller = parts.caller;
        match self {
            Self::Ip => net::masked(parts.client, ipv6_prefix).hash(hasher),
            Self::Route => parts.route.hash(hasher),
            Self::Global => {}
            Self::User => match caller {
                Some(caller) => caller.user().hash(hasher),
                None => return false,
            },
            Self::ApiKey => match caller.and_then(Caller::api_key) {
                Some(id) => id.hash(hasher),
                None => return false,
            },
            Self::Claim(name) => {
                // Two issuers may mean different things by the same claim.
                let caller = caller.filter(|caller| caller.hash_claim(name, hasher));
                match caller {
                    Some(caller) => caller.user().issuer.hash(hasher),
                    None => return false,
                }
            }
            Self::Header(name) => {
                let mut values = parts.headers.get_all(name).iter().peekable();
                let there = values.peek().is_some();
                values.for_each(|value| value.as_bytes().hash(hasher));
                return there;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    struct Holder {
        user: User<'static>,
        api_key: Option<&'static str>,
    }

    impl Caller for Holder {
        fn user(&self) -> User<'_> {
            self.user
        }

        fn api_key(&self) -> Option<&str> {
            self.api_key
        }

        fn has_role(&self, _: &str) -> bool {
            false
        }

        fn hash_claim(&self, name: &str, hasher: &mut dyn Hasher) -> bool {
            let there = name == "tenant";
            if there {
                hasher.write(b"acme");
            }
            there
        }
    }

    fn holder(id: &'static str, issuer: &'static str, api_key: Option<&'static str>) -> Holder {
        Holder {
            user: User { id, issuer },
            api_key,
        }
    }

    fn key(keys: &Keys, client: &str, headers: &HeaderMap, caller: Option<&Holder>) -> (Key, bool) {
        keys.key(&Parts {
            client: client.parse().unwrap(),
            route: 1,
            headers,
            caller: caller.map(|caller| caller as &dyn Caller),
        })
    }

    #[track_caller]
    fn assert_all_differ(keys: &[(Key, bool)]) {
        for (index, (one, _)) in keys.iter().enumerate() {
            assert!(
                !keys[..index].iter().any(|(other, _)| other == one),
                "{index}"
            );
        }
    }

    #[test]
    fn a_key_depends_on_its_parts_and_on_nothing_else() {
        let by_ip = Keys::new(&[Part::Ip], 64);
        let none = HeaderMap::new();
        let key = |client, caller| key(&by_ip, client, &none, caller);
        let ann = holder("u", "i", None);
        let one = key("192.0.2.1", None);
        assert_eq!(one, key("::ffff:192.0.2.1", Some(&ann)));
        assert_ne!(one, key("192.0.2.2", None));
        let subnet = key("2001:db8:0:1::1", None);
        assert_eq!(subnet, key("2001:db8:0:1::2", None));
        assert_ne!(subnet, key("2001:db8:0:2::1", None));
    }

    #[test]
    fn users_of_two_issuers_and_calls_without_a_user_are_kept_apart() {
        let by_user = Keys::new(&[Part::User], 64);
        let none = HeaderMap::new();
        let of = |id, issuer| {
            key(
                &by_user,
                "192.0.2.1",
                &none,
                Some(&holder(id, issuer, None)),
            )
        };
        let nobody = key(&by_user, "192.0.2.1", &none, None);
        assert_all_differ(&[
            nobody,
            of("", ""),
            of("u", "one"),
            of("u", "two"),
            of("uo", "ne"),
        ]);
        assert_eq!(nobody, key(&by_user, "192.0.2.9", &none, None));
        assert!(!nobody.1 && of("u", "one").1);
    }

    #[test]
    fn an_api_key_is_told_from_others_and_a_user_has_none() {
        let by_key = Keys::new(&[Part::ApiKey], 64);
        let none = HeaderMap::new();
        let of = |api_key| {
            key(
                &by_key,
                "192.0.2.1",
                &none,
                Some(&holder("u", "i", api_key)),
            )
        };
        assert_all_differ(&[of(None), of(Some("k1")), of(Some("k2"))]);
        assert!(of(Some("k1")).1 && !of(None).1);
        assert_eq!(of(None), key(&by_key, "192.0.2.1", &none, None));
    }

    #[test]
    fn a_claim_counts_apart_by_issuer_and_may_be_missing() {
        let none = HeaderMap::new();
        let by = |name: &str| Keys::new(&[Part::Claim(name.into())], 64);
        let tenant = by("tenant");
        let of = |issuer| {
            key(
                &tenant,
                "192.0.2.1",
                &none,
                Some(&holder("u", issuer, None)),
            )
        };
        assert_all_differ(&[of("one"), of("two"), key(&tenant, "192.0.2.1", &none, None)]);
        assert_eq!(of("one"), of("one"));
        let other = key(
            &by("other"),
            "192.0.2.1",
            &none,
            Some(&holder("u", "one", None)),
        );
        assert!(of("one").1 && !other.1);
    }

    #[test]
    fn a_header_counts_by_all_of_its_lines() {
        let keys = Keys::new(&[Part::Header(HeaderName::from_static("x-tenant"))], 64);
        let with = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-tenant", HeaderValue::from_static(value));
            }
            key(&keys, "192.0.2.1", &headers, None)
        };
        assert_all_differ(&[
            with(&[]),
            with(&[""]),
            with(&["a"]),
            with(&["a", "b"]),
            with(&["ab"]),
        ]);
        assert_eq!(with(&["a"]), with(&["a"]));
        assert!(!with(&[]).1 && with(&[""]).1);
    }

    #[test]
    fn two_limits_never_hash_alike() {
        let none = HeaderMap::new();
        let one = || key(&Keys::new(&[Part::Ip], 64), "192.0.2.1", &none, None);
        assert_ne!(one(), one());
    }
}
