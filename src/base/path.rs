//! The one way in which a request's path is read: the router matches the same bytes that the upstream
//! gets, so that nothing can look different on the two sides of a policy.

use std::borrow::Cow;

/// Why a path is refused: the client gets 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    #[error("the path has a broken percent-encoding")]
    BrokenEncoding,
    #[error("the path holds an encoded or literal backslash, slash, NUL or control character")]
    Forbidden,
    #[error("the path climbs above its root")]
    AboveRoot,
}

/// The normal form of a path (RFC 3986 §6.2.2), stricter where upstreams differ:
/// percent-encodings are decoded once; what would change the path's structure when decoded again is
/// refused (`%2f`, `%5c`, `\`, NUL, controls); `.` and `..` are resolved, also when encoded or with
/// parameters (`..;x`); empty segments are merged; `;parameters` are dropped. What is left is encoded
/// again in one way only. Applying it twice changes nothing.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    match is_normal(path) {
        true => Ok(Cow::Borrowed(path)),
        false => rebuild(path).map(Cow::Owned),
    }
}

/// Appends one segment, or a whole remainder, in its normal encoding.
#[expect(clippy::indexing_slicing, reason = "a nibble is below 16")]
pub fn encode_into(out: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in bytes {
        if is_plain(*byte) {
            out.push(char::from(*byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// Nothing to decode, resolve, merge or drop: the usual case, one pass without allocation.
fn is_normal(path: &str) -> bool {
    let mut after_slash = false;
    for byte in path.bytes() {
        match byte {
            b'/' if after_slash => return false,
            b'/' => after_slash = true,
            // A segment that begins with a dot may be `.` or `..`: the slow way decides.
            b'.' if after_slash => return false,
            byte if is_plain(byte) => after_slash = false,
            _ => return false,
        }
    }
    true
}

fn rebuild(path: &str) -> Result<String, PathError> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    let mut ends_in_folder = false;
    for raw in path.split('/').skip(1) {
        let bare = raw.split(';').next().unwrap_or_default();
        let segment = decode(bare)?;
        decode(raw)?;
        ends_in_folder = false;
        match segment.as_slice() {
            b"" | b"." => ends_in_folder = true,
            b".." => {
                segments.pop().ok_or(PathError::AboveRoot)?;
                ends_in_folder = true;
            }
            _ => segments.push(segment),
        }
    }
    let mut out = String::with_capacity(path.len());
    for segment in &segments {
        out.push('/');
        encode_into(&mut out, segment);
    }
    if ends_in_folder || out.is_empty() {
        out.push('/');
    }
    Ok(out)
}

fn decode(segment: &str) -> Result<Vec<u8>, PathError> {
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || {
                    bytes
                        .next()
                        .and_then(|digit| char::from(digit).to_digit(16))
                };
                let (high, low) = (digit(), digit());
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(PathError::BrokenEncoding);
                };
                (high * 16 + low) as u8
            }
            literal => literal,
        };
        if byte == b'/' || byte == b'\\' || byte.is_ascii_control() {
            return Err(PathError::Forbidden);
        }
        out.push(byte);
    }
    Ok(out)
}

/// May stand in a normalised segment as it is: `pchar` of RFC 3986 §3.3 without `;`.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b'='
                | b':'
                | b'@'
        )
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_form_for_each_path() {
        let cases = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//a///b", "/a/b"),
            ("/a//", "/a/"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/..;x=1/b", "/b"),
            ("/a;v=1/b;w", "/a/b"),
            ("/a/.hidden", "/a/.hidden"),
            ("/a/...", "/a/..."),
            ("/%61%2d", "/a-"),
            ("/%7Euser", "/~user"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a%20b", "/a%20b"),
            ("/a%3Bb", "/a%3Bb"),
            ("/100%25", "/100%25"),
            ("/%252f", "/%252f"),
        ];
        for (from, to) in cases {
            assert_eq!(normalise(from).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        use PathError::*;
        let cases = [
            ("a", NotAbsolute),
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("/a%2fb", Forbidden),
            ("/a%5Cb", Forbidden),
            ("/a\\b", Forbidden),
            ("/a%00", Forbidden),
            ("/a%0d%0a", Forbidden),
            ("/a;%2f", Forbidden),
            ("/a%zz", BrokenEncoding),
            ("/a%2", BrokenEncoding),
            ("/a%", BrokenEncoding),
            ("/..", AboveRoot),
            ("/a/../../b", AboveRoot),
            ("/%2e%2e/b", AboveRoot),
        ];
        for (path, error) in cases {
            assert_eq!(normalise(path), Err(error), "{path}");
        }
    }

    /// The same path, spelt in the way of that number.
    fn spelt(segments: &[String], ways: &[u8]) -> String {
        let mut path = String::new();
        for (segment, way) in segments.iter().zip(ways) {
            let encoded = || segment.bytes().map(|byte| format!("%{byte:02x}"));
            path.push_str(match way {
                1 => "/.",
                2 => "/%2E",
                3 => "/",
                4 => "/x/..",
                5 => "/x;y/.%2e;z",
                _ => "",
            });
            path.push('/');
            match way {
                6 => path.extend(encoded()),
                7 => path.push_str(&encoded().collect::<String>().to_uppercase()),
                _ => path.push_str(segment),
            }
            path.push_str(if *way == 8 { ";v=1;w" } else { "" });
        }
        path
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(path in "/([a-c./;%25A-F\\\\é ]|%2e|%2f|%25|//){0,12}") {
            if let Ok(once) = normalise(&path) {
                prop_assert_eq!(normalise(&once).unwrap(), once.as_ref());
                let mut segments = once.split('/');
                prop_assert!(!segments.any(|segment| segment == "." || segment == ".."));
                prop_assert!(!once.contains("//") && !once.contains(';'));
            }
        }

        #[test]
        fn every_spelling_of_a_path_has_one_form(
            segments in vec("[a-c~é ]{1,4}", 1..6),
            ways in vec(0..9_u8, 6),
            is_folder in any::<bool>(),
        ) {
            let end = if is_folder { "/" } else { "" };
            let plain = spelt(&segments, &[0; 6]) + end;
            let other = spelt(&segments, &ways) + end;
            prop_assert_eq!(normalise(&plain).unwrap(), normalise(&other).unwrap());
        }

        #[test]
        fn any_text_is_refused_or_has_a_form_that_stands_on_one_line(text in "(/\\PC{0,40}|\\PC{0,9}|/[%;./\\\\0-9a-f]{0,30})") {
            if let Ok(normal) = normalise(&text) {
                prop_assert_eq!(normalise(&normal).unwrap(), normal.as_ref());
                prop_assert!(normal.starts_with('/') && normal.bytes().all(|byte| byte.is_ascii_graphic()));
                let upper = normal.to_ascii_uppercase();
                for encoded in ["%2F", "%5C", "%00", "%0D", "%0A", "%7F"] {
                    prop_assert!(!upper.contains(encoded), "{} is {}", text, normal);
                }
            }
        }
    }
}
