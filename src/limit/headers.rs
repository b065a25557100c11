//! What a client is told of its limits: `RateLimit-Policy`, `RateLimit` and `Retry-After`, written
//! without allocating where the buffer is large enough.

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
    /// `"name";r=`.
    state: Box<str>,
    /// `"name";q=20;w=120`.
    policy: HeaderValue,
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
            state: format!("{item};r=").into(),
            policy: value(&policy),
            timed: true,
        }
    }

    /// Of so many calls at the same time: a quota unit of its own (§3.1.2), and no window.
    pub(super) fn at_once(name: &str, quota: u32) -> Self {
        let item = string_item(name);
        Self {
            policy: value(&format!("{item};q={quota};qu=\"concurrent-requests\"")),
            state: format!("{item};r=").into(),
            timed: false,
        }
    }

    /// The value of `RateLimit-Policy` where there is no other limit.
    pub fn policy(&self) -> &HeaderValue {
        &self.policy
    }

    /// Adds this limit to the value of `RateLimit-Policy`.
    pub fn add_policy(&self, value: &mut Field) {
        separate(value);
        value.extend_from_slice(self.policy.as_bytes());
    }

    /// Adds this limit to the value of `RateLimit`: `"name";r=19;t=104`. Of a refusal, `t` is the
    /// time of its `Retry-After`, as the draft asks for; else the time until the quota is whole.
    pub fn add_state(&self, value: &mut Field, decision: &Decision) {
        separate(value);
        value.extend_from_slice(self.state.as_bytes());
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

fn separate(value: &mut Field) {
    if !value.is_empty() {
        value.extend_from_slice(b", ");
    }
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
        let (mut policy, mut state) = (Field::new(), Field::new());
        for names in [&client, &user] {
            names.add_policy(&mut policy);
            names.add_state(&mut state, &decision(true));
        }
        assert_eq!(
            text(&policy),
            r#""per_client";q=20;w=120, "per_user";q=600;w=60"#
        );
        assert_eq!(
            text(&state),
            r#""per_client";r=19;t=104, "per_user";r=19;t=104"#
        );
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
        let (mut policy, mut state) = (Field::new(), Field::new());
        names.add_policy(&mut policy);
        names.add_state(&mut state, &decision(false));
        assert_eq!(text(&policy), r#""p";q=10;qu="concurrent-requests""#);
        assert_eq!(text(&state), r#""p";r=0"#);
    }

    #[test]
    fn no_name_can_break_the_field() {
        assert_eq!(&*names("a\"\\\né", 5, 1_000).state, r#""a\"\\??";r="#);
    }
}
