//! `tracestate` (W3C Trace Context level 2, §3.3): what tracing systems say to themselves through others. It is
//! handed on as it came, bounded; one that can't be read is dropped whole.

use http::HeaderValue;

/// The value to hand on of these lines, `None` where there is none, or where one of its members is not what it
/// should be. Of one that is too long whole members are left out: those of more than 128 bytes first, then from the
/// end.
pub fn kept<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
    let lines: smallvec::SmallVec<[&HeaderValue; 2]> = lines.into_iter().collect();
    let mut members: smallvec::SmallVec<[&[u8]; MOST_MEMBERS]> = smallvec::SmallVec::new();
    for line in &lines {
        for member in line.as_bytes().split(|byte| *byte == b',') {
            let member = trim(member);
            // An empty member is none (§3.3.1).
            if member.is_empty() {
                continue;
            }
            if members.len() == MOST_MEMBERS || !is_member(member) {
                return None;
            }
            members.push(member);
        }
    }
    match (lines.as_slice(), members.is_empty()) {
        (_, true) => None,
        ([line], false) if line.len() <= MOST_BYTES => Some((*line).clone()),
        _ => shorten(members),
    }
}

fn shorten(mut members: smallvec::SmallVec<[&[u8]; MOST_MEMBERS]>) -> Option<HeaderValue> {
    while length(&members) > MOST_BYTES
        && let Some(long) = members.iter().position(|member| member.len() > LONG)
    {
        members.remove(long);
    }
    while length(&members) > MOST_BYTES {
        members.pop();
    }
    let joined = members.join(&b","[..]);
    HeaderValue::from_bytes(&joined)
        .ok()
        .filter(|value| !value.is_empty())
}

fn length(members: &[&[u8]]) -> usize {
    let bytes: usize = members.iter().map(|member| member.len() + 1).sum();
    bytes.saturating_sub(1)
}

/// `key=value` (§3.3.1).
fn is_member(member: &[u8]) -> bool {
    let mut parts = member.splitn(2, |byte| *byte == b'=');
    let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
        return false;
    };
    is_key(key) && is_value(value)
}

/// With or without the tenant's `@`.
fn is_key(key: &[u8]) -> bool {
    let is_letter_or_digit = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let fits =
        |byte: &u8| is_letter_or_digit(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
    key.len() <= 256
        && key.first().is_some_and(is_letter_or_digit)
        && key.iter().all(fits)
        && key.iter().filter(|byte| **byte == b'@').count() <= 1
}

fn is_value(value: &[u8]) -> bool {
    let fits = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b',' | b'=');
    (1..=256).contains(&value.len()) && value.iter().all(fits)
}

/// Spaces and tabs around a member say nothing.
fn trim(member: &[u8]) -> &[u8] {
    member.trim_ascii()
}

/// What must be handed on at least (§3.3.1), and here at most.
const MOST_BYTES: usize = 512;
const MOST_MEMBERS: usize = 32;
const LONG: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<String> {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| HeaderValue::from_str(line).unwrap())
            .collect();
        kept(&lines).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_can_be_read_is_handed_on_as_it_came() {
        for line in [
            "foo=1",
            "foo=1,bar=2",
            "foo=1 , \tbar=a b:c/d,,",
            "fw529a3039@dt=FfffffA,0t@x=1",
            &format!("{}=1", "z".repeat(256)),
            &format!("a={}", "~".repeat(256)),
        ] {
            assert_eq!(of(&[line]).as_deref(), Some(line));
        }
        assert_eq!(of(&["foo=1", "bar=2, baz=3"]).unwrap(), "foo=1,bar=2,baz=3");
        let most: Vec<_> = (0..32).map(|number| format!("k{number}=1")).collect();
        assert!(of(&[&most.join(",")]).is_some());
    }

    #[test]
    fn what_can_not_is_dropped_whole() {
        let many: Vec<_> = (0..33).map(|number| format!("k{number}=1")).collect();
        for wrong in [
            "",
            " , ",
            "foo",
            "foo=",
            "=1",
            "foo=1,bar",
            "foo =1",
            "Foo=1",
            "foo.bar=1",
            "a@b@c=1",
            "@a=1",
            "foo=bar=baz",
            &many.join(","),
            &format!("{}=1", "z".repeat(257)),
            &format!("a={}", "v".repeat(257)),
        ] {
            assert_eq!(of(&[wrong]), None, "{wrong}");
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn of_a_long_one_whole_members_are_left_out() {
        let long = format!("long={}", "l".repeat(200));
        let short = |number: usize| format!("k{number}={}", "s".repeat(96));
        let line = [
            short(1),
            long,
            short(2),
            short(3),
            short(4),
            short(5),
            short(6),
        ]
        .join(",");
        let left = of(&[&line]).unwrap();
        assert_eq!(left, [1, 2, 3, 4, 5].map(short).join(","));
        assert!(left.len() <= 512);
    }
}
