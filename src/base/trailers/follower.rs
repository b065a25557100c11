//! Follows a message of HTTP/1 as its bytes pass, to its trailers. It takes every body for one in chunks: whether it is
//! one is known to those who read the head, and what is found here counts for nothing where it is not. Where it is,
//! this is read by the very rules of Pingora's own reading, or more strictly; so nobody sees another end of it.

use memchr::memchr;

use super::{Found, MOST_BYTES, Malformed, Trailers};

/// One message after the other.
#[derive(Debug)]
pub struct Follower {
    kind: Kind,
    state: State,
    /// The first bytes of a head, which tell an answer's status.
    first: [u8; STATUS_ENDS],
    line: Line,
    /// Bytes of the head's lines so far.
    head: usize,
    /// Bytes behind the head, the framing's too.
    passed: u64,
    section: Vec<u8>,
}

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    /// Interim ones (1xx) may come before it.
    Answer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Size(Size),
    /// Bytes of the chunk that are to come.
    Data(u64),
    /// Behind a chunk.
    DataCr,
    DataLf,
    /// Within a line of the trailers, of so many bytes.
    Trailers(usize),
    TrailersLf(usize),
    Over,
    Lost,
}

/// A line of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Begins,
    /// A CR is all of it.
    Cr,
    Within,
}

/// A chunk's size, as far as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Size {
    value: u64,
    digits: u8,
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    #[default]
    Digits,
    Space,
    Extension,
    Lf,
}

impl Follower {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            state: State::Head,
            first: [0; STATUS_ENDS],
            line: Line::Begins,
            head: 0,
            passed: 0,
            section: Vec::new(),
        }
    }

    /// The next byte begins another message.
    pub fn restart(&mut self) {
        *self = Self::new(self.kind);
    }

    /// These bytes passed.
    pub fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let used = match self.state {
                State::Head => self.head(bytes),
                State::Data(left) => {
                    let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.state = match left - taken as u64 {
                        0 => State::DataCr,
                        left => State::Data(left),
                    };
                    self.passed(taken)
                }
                State::Over | State::Lost => self.passed(bytes.len()),
                _ => {
                    let byte = bytes.first().copied().unwrap_or_default();
                    self.state = self.step(byte);
                    self.passed(1)
                }
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Is the next byte the first of a chunk's size?
    pub fn is_between_chunks(&self) -> bool {
        self.state == State::Size(Size::default())
    }

    /// Is the body over?
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Is this an answer that switches to another protocol? All behind its head is that one's.
    pub fn has_switched(&self) -> bool {
        self.state != State::Head && self.first.ends_with(b" 101")
    }

    /// Bytes behind the head so far, in a tunnel all that was said in it.
    pub fn behind_the_head(&self) -> u64 {
        self.passed
    }

    /// The trailers of the body, which is in chunks and over. Errors: they are wrong, or its end is another here.
    pub fn found(&mut self) -> Found {
        match self.state {
            State::Over => Trailers::read(&std::mem::take(&mut self.section)),
            _ => Err(Malformed),
        }
    }

    fn passed(&mut self, bytes: usize) -> usize {
        self.passed += bytes as u64;
        bytes
    }

    /// Passes over a line of a head, or a part of one. Lines may end in LF alone, and empty ones may stand before
    /// the first (RFC 9112 §2.2).
    fn head(&mut self, bytes: &[u8]) -> usize {
        let end = memchr(b'\n', bytes);
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if self.kind == Kind::Answer && self.head < STATUS_ENDS {
            let free = self.first.iter_mut().skip(self.head);
            free.zip(part).for_each(|(place, byte)| *place = *byte);
        }
        let is_empty = match (self.line, part) {
            (Line::Begins, []) => true,
            (Line::Begins, b"\r") | (Line::Cr, []) => {
                self.line = Line::Cr;
                true
            }
            _ => {
                self.line = Line::Within;
                self.head += part.len();
                false
            }
        };
        let Some(end) = end else {
            return bytes.len();
        };
        self.line = Line::Begins;
        if is_empty && self.head > 0 {
            self.state = State::Size(Size::default());
            if self.is_interim() {
                self.restart();
            }
        }
        end + 1
    }

    fn is_interim(&self) -> bool {
        let status = self.first.get(9..).unwrap_or_default();
        self.kind == Kind::Answer && status.starts_with(b"1") && status != b"101"
    }

    fn step(&mut self, byte: u8) -> State {
        match self.state {
            State::Size(size) => size.step(byte),
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => State::Size(Size::default()),
            State::Trailers(line) if byte == b'\r' => State::TrailersLf(line),
            State::TrailersLf(0) if byte == b'\n' => State::Over,
            State::TrailersLf(_) if byte == b'\n' => {
                self.section.extend_from_slice(b"\r\n");
                State::Trailers(0)
            }
            State::Trailers(line) if byte != b'\n' && self.section.len() < MOST_BYTES => {
                self.section.push(byte);
                State::Trailers(line + 1)
            }
            _ => {
                self.section = Vec::new();
                State::Lost
            }
        }
    }
}

impl Size {
    /// As `httparse::parse_chunk_size` has it, but that there is at least one digit.
    fn step(self, byte: u8) -> State {
        let part = |part| State::Size(Self { part, ..self });
        match (self.part, byte) {
            (Part::Lf, b'\n') if self.digits == 0 => State::Lost,
            (Part::Lf, b'\n') if self.value == 0 => State::Trailers(0),
            (Part::Lf, b'\n') => State::Data(self.value),
            (Part::Lf, _) => State::Lost,
            (_, b'\r') => part(Part::Lf),
            (Part::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size(Self {
                    value: self.value << 4 | u64::from(digit),
                    digits: self.digits + 1,
                    part: Part::Digits,
                })
            }
            (Part::Digits | Part::Space, b';') | (Part::Extension, _) => part(Part::Extension),
            (Part::Digits | Part::Space, b' ' | b'\t') => part(Part::Space),
            _ => State::Lost,
        }
    }
}

/// `HTTP/1.1 200`.
const STATUS_ENDS: usize = 12;
