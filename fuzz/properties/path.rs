//! One reading of a path: it is what a simple model of RFC 3986 makes of it, and read again it is the same.

use airside::base::path::{PathError, normalise};

pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let modelled = model(text);
    match normalise(text) {
        Err(error) => assert_eq!(Err(error), modelled, "{text:?}"),
        Ok(normal) => {
            assert_eq!(Ok(decoded(&normal)), modelled, "{text:?} is {normal:?}");
            assert_eq!(normalise(&normal).as_deref(), Ok(&*normal), "{text:?}");
            assert_one_way(&normal);
        }
    }
}

/// The segments of a path and whether it ends in a folder, or why it is refused.
pub type Read = Result<(Vec<Vec<u8>>, bool), PathError>;

/// A byte of a path that was decoded as a whole: what separates is told from what was encoded.
#[derive(Clone, Copy, PartialEq)]
enum Sign {
    Slash,
    Semicolon,
    Byte(u8),
}

fn model(text: &str) -> Read {
    let rest = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
    let (mut segments, mut is_folder) = (Vec::new(), false);
    // Segment by segment, so that the first thing wrong is the one that is told.
    for raw in rest.split('/') {
        let signs = signs(raw)?;
        let end = signs.iter().position(|sign| *sign == Sign::Semicolon);
        let bare: Vec<u8> = signs[..end.unwrap_or(signs.len())]
            .iter()
            .filter_map(|sign| match sign {
                Sign::Byte(byte) => Some(*byte),
                _ => None,
            })
            .collect();
        is_folder = matches!(&bare[..], b"" | b"." | b"..");
        match &bare[..] {
            b"" | b"." => {}
            b".." => drop(segments.pop().ok_or(PathError::AboveRoot)?),
            _ => segments.push(bare),
        }
    }
    let is_folder = is_folder || segments.is_empty();
    Ok((segments, is_folder))
}

fn signs(raw: &str) -> Result<Vec<Sign>, PathError> {
    // What is before a parameter counts before what is in it.
    let (mut signs, mut bytes) = (Vec::new(), raw.as_bytes());
    while let Some((first, rest)) = bytes.split_first() {
        bytes = rest;
        let byte = match first {
            b'/' => {
                signs.push(Sign::Slash);
                continue;
            }
            b';' => {
                signs.push(Sign::Semicolon);
                continue;
            }
            b'%' => {
                let pair = bytes
                    .get(..2)
                    .filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
                let pair = pair.ok_or(PathError::BrokenEncoding)?;
                bytes = &bytes[2..];
                u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()
            }
            literal => *literal,
        };
        if matches!(byte, 0..0x20 | 0x7f | b'/' | b'\\') {
            return Err(PathError::Forbidden);
        }
        signs.push(Sign::Byte(byte));
    }
    Ok(signs)
}

/// What a normal path says.
pub fn decoded(normal: &str) -> (Vec<Vec<u8>>, bool) {
    model(normal).unwrap_or_else(|error| panic!("{normal:?} is normal, and refused: {error}"))
}

/// Nothing is left that two servers could read in two ways.
fn assert_one_way(normal: &str) {
    assert!(
        normal.starts_with('/') && !normal.contains("//"),
        "{normal:?}"
    );
    assert!(
        normal.bytes().all(|byte| byte.is_ascii_graphic()),
        "{normal:?}"
    );
    assert!(
        !normal.contains([';', '\\', '?', '#', '"', '<', '>']),
        "{normal:?}"
    );
    for encoded in normal.split('%').skip(1) {
        let digits = &encoded[..2];
        assert_eq!(digits, digits.to_ascii_uppercase(), "{normal:?}");
        assert!(!matches!(digits, "2F" | "5C" | "00" | "7F"), "{normal:?}");
    }
}
