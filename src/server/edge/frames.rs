//! What a client's bytes of HTTP/2 tell without being understood: where frames begin and of which kind they are
//! (RFC 9113 §4.1). That is enough to see streams taken back, and heads that never end.

/// Follows the frames that a client sends.
#[derive(Debug)]
pub struct Frames {
    /// Bytes that are passed over: of the preface, or of a frame.
    skip: usize,
    head: [u8; 9],
    /// Bytes of the next frame's head.
    have: usize,
    /// Frames so far, at most two: the preface is over with the first.
    seen: u8,
    in_head: bool,
    /// The frame that is being passed over is of a head.
    of_head: bool,
    is_wrong: bool,
}

/// What was in some bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Streams that were opened, and streams that were taken back.
    pub opened: u32,
    pub resets: u32,
    /// Heads that came to their end.
    pub heads: u32,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            head: [0; 9],
            have: 0,
            seen: 0,
            in_head: false,
            of_head: false,
            is_wrong: false,
        }
    }
}

impl Frames {
    pub fn read(&mut self, mut bytes: &[u8]) -> Seen {
        let mut seen = Seen::default();
        loop {
            let passed = self.skip.min(bytes.len());
            self.skip -= passed;
            bytes = bytes.get(passed..).unwrap_or_default();
            let Some((first, rest)) = bytes.split_first() else {
                return seen;
            };
            if let Some(place) = self.head.get_mut(self.have) {
                *place = *first;
            }
            bytes = rest;
            self.have += 1;
            if self.have == self.head.len() {
                self.have = 0;
                self.frame(&mut seen);
            }
        }
    }

    /// Is the beginning of a connection over, with the first frame's head?
    pub fn has_begun(&self) -> bool {
        self.seen > 0
    }

    /// Was the first frame none of settings, as it must be (RFC 9113 §3.4)?
    pub fn is_wrong(&self) -> bool {
        self.is_wrong
    }

    /// Is a request's head, or its trailers, not all here?
    pub fn in_head(&self) -> bool {
        self.in_head || (self.of_head && self.skip > 0)
    }

    fn frame(&mut self, seen: &mut Seen) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.skip = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.is_wrong |= self.seen == 0 && kind != SETTINGS;
        self.seen = self.seen.saturating_add(1);
        self.of_head = matches!(kind, HEADERS | CONTINUATION);
        match kind {
            HEADERS => seen.opened += 1,
            RST_STREAM => {
                seen.resets += 1;
                return;
            }
            CONTINUATION => {}
            _ => return,
        }
        self.in_head = flags & END_HEADERS == 0;
        seen.heads += u32::from(!self.in_head);
    }
}

const PREFACE: usize = 24;
/// RFC 9113 §6.2, §6.4, §6.5, §6.10.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![
            0,
            (length >> 8) as u8,
            length as u8,
            kind,
            flags,
            0,
            0,
            0,
            1,
        ];
        bytes.resize(9 + length, 0xff);
        bytes
    }

    #[test]
    fn frames_are_seen_however_the_bytes_come() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (kind, flags, length) in [
            (4, 0, 18),
            (1, 4, 40),
            (0, 1, 300),
            (3, 0, 4),
            (1, 5, 7),
            (8, 0, 4),
            (3, 0, 4),
        ] {
            bytes.extend(frame(kind, flags, length));
        }
        for size in [1, 2, 8, 9, 10, 64, bytes.len()] {
            let mut frames = Frames::default();
            let mut all = Seen::default();
            for piece in bytes.chunks(size) {
                let seen = frames.read(piece);
                all.opened += seen.opened;
                all.resets += seen.resets;
                all.heads += seen.heads;
            }
            let expected = Seen {
                opened: 2,
                resets: 2,
                heads: 2,
            };
            assert_eq!(all, expected, "in pieces of {size}");
            assert!(frames.has_begun() && !frames.in_head());
        }
    }

    #[test]
    fn a_head_goes_on_until_it_says_that_it_ends() {
        let mut frames = Frames::default();
        frames.read(&[0; PREFACE]);
        assert!(!frames.has_begun());
        frames.read(&frame(4, 0, 0));
        assert!(frames.has_begun());
        frames.read(&frame(1, 1, 10));
        assert!(frames.in_head());
        frames.read(&frame(9, 0, 10));
        assert!(frames.in_head());
        assert_eq!(frames.read(&frame(9, 4, 10)).heads, 1);
        assert!(!frames.in_head());
    }
}
