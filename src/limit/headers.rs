//! What a client is told of its limits: `RateLimit-Policy`, `RateLimit` and `Retry-After`, written
//! without allocating where the buffer is large enough.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use smallvec::SmallVec;

use super::decision::Decision;

/// A field's value on its way: those of a few limits stay on the stack.
pub type Field = SmallVec<[u8; 256]>;

/// A limit's prebuilt parts of the fields `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers-10, §3 and §4): list members that name the policy by a
/// structured-field string. The partition key (`pk`) is left out: it is optional, and would tell
/// clients how they are told apart.
#[derive(Debug)]
pub struct Names {
    /// Another one for each.
    number: u64,
    /// `, "name";r=`.
    state: Box<str>,
    /// `"name";q=20;w=120`.
    policy: HeaderValue,
    /// The policies of a route's limits, of which this is the first, with the numbers of the others.
    list: OnceLock<(Box<[u64]>, HeaderValue)>,
    /// Does time give anything back?
    timed: bool,
}

impl Names {
    /// Of a quota in a window of so many milliseconds.
    pub(super) fn in_window(name: &str, quota: u32, millis: u128) -> Self {
        let item = string_item(name);
        let policy = match millis % 1_000 {
            0 => format!("{item};q={quota};w={}", millis / 1_000),
            // `w` is whole seconds, and optional: rather none than a wrong one.
            _ => format!("{item};q={quota}"),
        };
        Self {
            number: number(),
            state: state(&item),
            policy: value(&policy),
            list: OnceLock::new(),
            timed: true,
        }
    }

    /// Of so many calls at the same time: a quota unit of its own (§3.1.2), and no window.
    pub(super) fn at_once(name: &str, quota: u32) -> Self {
        let item = string_item(name);
        Self {
            number: number(),
            state: state(&item),
            policy: value(&format!("{item};q={quota};qu=\"concurrent-requests\"")),
            list: OnceLock::new(),
            timed: false,
        }
    }

    /// The value of `RateLimit-Policy` for this limit and others behind it. It is made once for those that come first:
    /// as a rule a limit stands on one route, or with the same ones on several.
    pub fn policy<'a>(&self, others: impl Iterator<Item = &'a Self> + Clone) -> HeaderValue {
        if others.clone().next().is_none() {
            return self.policy.clone();
        }
        let numbers = others.clone().map(|other| other.number);
        match self.list.get() {
            Some((known, list)) if numbers.clone().eq(known.iter().copied()) => list.clone(),
            Some(_) => self.listed(others),
            None => {
                let list = self.listed(others);
                // Another thread may have been first.
                let _ = self.list.set((numbers.collect(), list.clone()));
                list
            }
        }
    }

    fn listed<'a>(&self, others: impl Iterator<Item = &'a Self>) -> HeaderValue {
        let mut list = self.policy.as_bytes().to_vec();
        for other in others {
            list.extend_from_slice(SEPARATOR.as_bytes());
            list.extend_from_slice(other.policy.as_bytes());
        }
        // Invariant: each is a value.
        HeaderValue::from_maybe_shared(bytes::Bytes::from(list)).unwrap_or(self.policy.clone())
    }

    /// Adds this limit to the value of `RateLimit`: `"name";r=19;t=104`. Of a refusal, `t` is the
    /// time of its `Retry-After`, as the draft asks for; else the time until the quota is whole.
    pub fn add_state(&self, value: &mut Field, decision: &Decision) {
        let state = self.state.as_bytes();
        let separator = if value.is_empty() { SEPARATOR.len() } else { 0 };
        value.extend_from_slice(state.get(separator..).unwrap_or_default());
        value.extend_from_slice(itoa::Buffer::new().format(decision.remaining).as_bytes());
        if self.timed {
            let millis = match decision.admitted {
                true => decision.reset_millis,
                false => decision.retry_after_millis,
            };
            value.extend_from_slice(b";t=");
            value.extend_from_slice(itoa::Buffer::new().format(seconds(millis)).as_bytes());
        }
    }
}

/// `Retry-After` of a refusal, in seconds (RFC 9110 §10.2.3): rounded up, at least 1, so that a client
/// that keeps to it is never refused for coming too early.
pub fn retry_after(millis: u64) -> u64 {
    seconds(millis).max(1)
}

fn seconds(millis: u64) -> u64 {
    millis.div_ceil(1_000)
}

const SEPARATOR: &str = ", ";

fn state(item: &str) -> Box<str> {
    format!("{SEPARATOR}{item};r=").into()
}

fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn value(text: &str) -> HeaderValue {
    // Invariant: `string_item` lets only printable ASCII through.
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// A string of RFC 9651 §3.3.3: printable ASCII in quotes. A limit written in a route is named after
/// it, and that name may hold anything.
fn string_item(name: &str) -> String {
    let mut item = String::with_capacity(name.len() + 2);
    item.push('"');
    for c in name.chars() {
        match c {
            '"' | '\\' => item.extend(['\\', c]),
            ' '..='~' => item.push(c),
            _ => item.push('?'),
        }
    }
    item.push('"');
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, count: u32, millis: u128) -> Names {
        Names::in_window(name, count, millis)
    }

    fn text(field: &Field) -> &str {
        std::str::from_utf8(field).unwrap()
    }

    fn decision(admitted: bool) -> Decision {
        Decision {
            admitted,
            limit: 20,
            remaining: if admitted { 19 } else { 0 },
            reset_millis: 103_001,
            retry_after_millis: if admitted { 0 } else { 6_001 },
        }
    }

    #[test]
    fn several_limits_are_members_of_one_list() {
        let (client, user) = (
            names("per_client", 20, 120_000),
            names("per_user", 600, 60_000),
        );
        let mut state = Field::new();
        for names in [&client, &user] {
            names.add_state(&mut state, &decision(true));
        }
        let list = r#""per_client";q=20;w=120, "per_user";q=600;w=60"#;
        for _ in 0..2 {
            assert_eq!(client.policy([&user].into_iter()), list);
        }
        assert_eq!(
            text(&state),
            r#""per_client";r=19;t=104, "per_user";r=19;t=104"#
        );
    }

    #[test]
    fn a_limit_beside_others_on_another_route_has_their_policies_there() {
        let all = ["a", "b", "c"].map(|name| names(name, 5, 1_000));
        let [a, b, c] = &all;
        for _ in 0..2 {
            let ab = a.policy([b].into_iter());
            assert_eq!(ab, r#""a";q=5;w=1, "b";q=5;w=1"#);
            let abc = a.policy([b, c].into_iter());
            assert_eq!(abc, r#""a";q=5;w=1, "b";q=5;w=1, "c";q=5;w=1"#);
            assert_eq!(a.policy([c].into_iter()), r#""a";q=5;w=1, "c";q=5;w=1"#);
            assert_eq!(a.policy(std::iter::empty()), r#""a";q=5;w=1"#);
        }
    }

    #[test]
    fn a_refusal_names_the_same_time_twice() {
        let mut state = Field::new();
        names("a", 20, 120_000).add_state(&mut state, &decision(false));
        assert_eq!(text(&state), r#""a";r=0;t=7"#);
        assert_eq!(retry_after(decision(false).retry_after_millis), 7);
    }

    #[test]
    fn a_window_that_is_no_whole_seconds_is_left_out() {
        assert_eq!(names("a", 5, 250).policy, r#""a";q=5"#);
    }

    #[test]
    fn calls_at_the_same_time_have_a_unit_and_no_time() {
        let names = Names::at_once("p", 10);
        let mut state = Field::new();
        names.add_state(&mut state, &decision(false));
        let policy = names.policy(std::iter::empty());
        assert_eq!(policy, r#""p";q=10;qu="concurrent-requests""#);
        assert_eq!(text(&state), r#""p";r=0"#);
    }

    #[test]
    fn no_name_can_break_the_field() {
        assert_eq!(&*names("a\"\\\né", 5, 1_000).state, r#", "a\"\\??";r="#);
    }
}
