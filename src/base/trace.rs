//! A request's place in a trace (W3C Trace Context level 2): read strictly, begun anew where what came is broken,
//! and handed on. Who exports spans of it is not decided here.

use rand::RngExt;

use super::id::{hex64, hex128};

/// The trace, the caller's span in it where there is one, and the request's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    id: u128,
    parent: Option<u64>,
    span: u64,
    flags: u8,
}

impl TraceContext {
    /// Goes on with the trace that the lines of `traceparent` tell of, or begins one where there is none, or
    /// none that can be read (§3.2.2, §3.2.4). Several lines are none: which one would be a guess.
    pub fn continue_or_start<'a>(lines: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut lines = lines.into_iter();
        let came = match (lines.next(), lines.next()) {
            (Some(line), None) => parse(line),
            _ => None,
        };
        let span = new_span();
        match came {
            Some((id, parent, flags)) => Self {
                id,
                parent: Some(parent),
                span,
                flags,
            },
            None => Self {
                // Its lower 56 bits, which decide on samples, are as random as the rest.
                id: rand::rng().random::<u128>().max(1),
                parent: None,
                span,
                // Nobody has sampled this trace yet.
                flags: RANDOM,
            },
        }
    }

    /// Did the caller begin it?
    pub fn is_continued(&self) -> bool {
        self.parent.is_some()
    }

    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// From now on all who see it know that its spans are kept.
    pub fn sample(&mut self) {
        self.flags |= SAMPLED;
    }

    pub fn id(&self) -> u128 {
        self.id
    }

    /// The id's 32 hexadecimal digits.
    pub fn id_text(&self) -> [u8; 32] {
        hex128(self.id)
    }

    /// The caller's span.
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// The request's own span.
    pub fn span(&self) -> u64 {
        self.span
    }

    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// The 56 bits by which all who sample this trace decide alike (§3.2.2.3: the random part of the id).
    pub fn randomness(&self) -> u64 {
        (self.id & u128::from(u64::MAX >> 8)) as u64
    }

    /// The `traceparent` for those whom the span `caller` calls.
    #[expect(clippy::indexing_slicing, reason = "fixed places in fixed lengths")]
    pub fn header(&self, caller: u64) -> [u8; 55] {
        let (id, caller) = (hex128(self.id), hex64(caller));
        let flags = hex64(self.flags.into());
        let mut out = [b'-'; 55];
        for (at, text) in [(0, &b"00"[..]), (3, &id), (36, &caller), (53, &flags[14..])] {
            out[at..at + text.len()].copy_from_slice(text);
        }
        out
    }
}

/// An id for another span: 64 random bits, never zero (§3.2.2.4).
pub fn new_span() -> u64 {
    rand::rng().random::<u64>().max(1)
}

/// Trace, parent and the flags that are known; the others are not handed on (§3.2.2.5). Of a later version only what
/// this one knows is read (§3.2.4).
fn parse(value: &[u8]) -> Option<(u128, u64, u8)> {
    let (known, rest) = value.split_at_checked(55)?;
    let field = |range: std::ops::Range<usize>| hex(known.get(range)?);
    let version = field(0..2)?;
    let dashes = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
    let ends = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let (id, parent) = (field(3..35)?, field(36..52)? as u64);
    let flags = field(53..55)? as u8 & (SAMPLED | RANDOM);
    (dashes && ends && id != 0 && parent != 0).then_some((id, parent, flags))
}

/// Lower-case digits only (§3.2.2).
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

const SAMPLED: u8 = 1;
/// The trace's id was made at random (§3.2.2.5).
const RANDOM: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(line: &str) -> TraceContext {
        TraceContext::continue_or_start([line.as_bytes()])
    }

    fn handed_on(context: &TraceContext) -> String {
        String::from_utf8(context.header(0xf0_67aa_0ba9_02b7).to_vec()).unwrap()
    }

    #[test]
    fn a_trace_goes_on_with_a_span_of_its_own() {
        let context = read(&format!("00-{ID}-00f067aa0ba902b7-01"));
        assert!(context.is_continued() && context.is_sampled());
        assert_eq!(context.id_text(), ID.as_bytes());
        assert_eq!(context.parent(), Some(0xf0_67aa_0ba9_02b7));
        assert_ne!(Some(context.span()), context.parent());
        assert_eq!(handed_on(&context), format!("00-{ID}-00f067aa0ba902b7-01"));
        assert_eq!(context.randomness(), 0xce_929d_0e0e_4736);
    }

    #[test]
    fn of_a_later_version_is_read_what_this_one_knows() {
        for line in [
            format!("cc-{ID}-00f067aa0ba902b7-01"),
            format!("cc-{ID}-00f067aa0ba902b7-01-what-the-future-will-be"),
            format!("00-{ID}-00f067aa0ba902b7-fd"),
        ] {
            let context = read(&line);
            assert_eq!(handed_on(&context), format!("00-{ID}-00f067aa0ba902b7-01"));
        }
        let random = read(&format!("00-{ID}-00f067aa0ba902b7-02"));
        assert_eq!((random.is_sampled(), random.flags()), (false, 2));
    }

    #[test]
    fn what_is_broken_is_begun_anew() {
        let parent = "00f067aa0ba902b7";
        for broken in [
            "",
            "garbage",
            &format!("00-{}-{parent}-01", "0".repeat(32)),
            &format!("00-{ID}-{}-01", "0".repeat(16)),
            &format!("00-{}-{parent}-01", ID.to_uppercase()),
            &format!("ff-{ID}-{parent}-01"),
            &format!("0x-{ID}-{parent}-01"),
            &format!("00-{ID}-{parent}-0"),
            &format!("00-{ID}-{parent}-0g"),
            &format!("00-{ID}-{parent}-01-"),
            &format!("00-{ID}-{parent}-01.what-the-future-will-not-be"),
            &format!("cc-{ID}-{parent}-01.what-the-future-will-not-be"),
            &format!("00_{ID}-{parent}-01"),
            &format!("00-{ID}_{parent}-01"),
            &format!(" 00-{ID}-{parent}-01"),
        ] {
            let context = read(broken);
            assert!(!context.is_continued(), "{broken}");
            assert_ne!(context.id_text(), ID.as_bytes(), "{broken}");
            assert_eq!(context.flags(), RANDOM, "{broken}");
        }
        let good = format!("00-{ID}-{parent}-01");
        let twice = TraceContext::continue_or_start([good.as_bytes(), good.as_bytes()]);
        assert!(!twice.is_continued());
    }

    #[test]
    fn what_is_begun_can_be_read_again() {
        let mut begun = TraceContext::continue_or_start([]);
        assert!(!begun.is_sampled());
        begun.sample();
        let header = begun.header(begun.span());
        let next = TraceContext::continue_or_start([&header[..]]);
        assert!(header.ends_with(b"-03") && next.is_sampled());
        assert_eq!((next.id(), next.parent()), (begun.id(), Some(begun.span())));
    }
}
