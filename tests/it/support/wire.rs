//! HTTP/1.1 messages as they are on the wire: read exactly, nothing normalised, nothing forgiven.

use std::io::{self, BufRead, ErrorKind};

/// A message's head: its first line and its header lines, as they were sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Without the line's end.
    pub line: String,
    /// Names as spelt, in order, repeated ones apart; values without the space around them.
    pub headers: Vec<(String, String)>,
    /// Every byte up to and including the empty line.
    pub raw: Vec<u8>,
}

impl Head {
    /// Reads a head; `None` where the other side closes before its first byte.
    pub fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut raw = Vec::new();
        let mut lines = Vec::new();
        loop {
            let start = raw.len();
            if from.read_until(b'\n', &mut raw)? == 0 {
                return if raw.is_empty() { Ok(None) } else { Err(cut()) };
            }
            let line = String::from_utf8_lossy(&raw[start..]).into_owned();
            let line = line.strip_suffix("\r\n").ok_or_else(cut)?;
            if line.is_empty() {
                break;
            }
            lines.push(line.to_owned());
        }
        let mut lines = lines.into_iter();
        let line = lines.next().ok_or_else(|| invalid("an empty head"))?;
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            Ok((name.to_owned(), value.trim().to_owned()))
        });
        let headers = headers.collect::<io::Result<_>>()?;
        Ok(Some(Self { line, headers, raw }))
    }

    /// The first value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of a header, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = move |entry: &&(String, String)| entry.0.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(named)
            .map(|(_, value)| value.as_str())
    }

    /// Reads the body that this head announces. Without an announcement it is empty, or, for a
    /// response (`to_the_end`), all until the other side closes.
    pub fn read_body(&self, from: &mut impl BufRead, to_the_end: bool) -> io::Result<Vec<u8>> {
        Ok(self.read_whole(from, to_the_end)?.0)
    }

    /// The same, and the lines of the trailers behind it.
    pub fn read_whole(
        &self,
        from: &mut impl BufRead,
        to_the_end: bool,
    ) -> io::Result<(Vec<u8>, Vec<String>)> {
        let (mut body, mut trailers) = (Vec::new(), Vec::new());
        if self.header("transfer-encoding").is_some() {
            while read_chunk_and(from, &mut body, &mut trailers)? {}
        } else if let Some(length) = self.header("content-length") {
            body = vec![0; length.parse().map_err(|_| invalid(length))?];
            from.read_exact(&mut body)?;
        } else if to_the_end {
            from.read_to_end(&mut body)?;
        }
        Ok((body, trailers))
    }
}

/// Reads one chunk onto `body`; false after the last one and its trailers.
pub fn read_chunk(from: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<bool> {
    read_chunk_and(from, body, &mut Vec::new())
}

fn read_chunk_and(
    from: &mut impl BufRead,
    body: &mut Vec<u8>,
    trailers: &mut Vec<String>,
) -> io::Result<bool> {
    let line = read_line(from)?;
    let size = line.split(';').next().unwrap_or_default();
    let size = usize::from_str_radix(size.trim(), 16).map_err(|_| invalid(&line))?;
    if size == 0 {
        loop {
            match read_line(from)? {
                line if line.is_empty() => return Ok(false),
                line => trailers.push(line),
            }
        }
    }
    let start = body.len();
    body.resize(start + size, 0);
    from.read_exact(&mut body[start..])?;
    match read_line(from)?.as_str() {
        "" => Ok(true),
        more => Err(invalid(more)),
    }
}

fn read_line(from: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.strip_suffix("\r\n").ok_or_else(cut)?;
    Ok(line.to_owned())
}

fn cut() -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, "the message is cut short")
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not HTTP/1.1: {what:?}"))
}

#[test]
fn a_message_is_read_as_it_was_sent() {
    let sent = b"POST /a HTTP/1.1\r\nX-A:  one \r\nx-a: two\r\nContent-Length: 2\r\n\r\nhiGET";
    let mut from = &sent[..];
    let head = Head::read(&mut from).unwrap().unwrap();
    assert_eq!(head.line, "POST /a HTTP/1.1");
    assert_eq!(head.headers[0], ("X-A".into(), "one".into()));
    assert_eq!(head.all("X-A").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(head.read_body(&mut from, false).unwrap(), b"hi");
    assert_eq!(from, b"GET");
    assert!(sent.starts_with(&head.raw));
}

#[test]
fn chunks_are_joined_and_what_follows_is_left() {
    let mut from = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\nrest"[..];
    let head = Head::read(&mut from).unwrap().unwrap();
    assert_eq!(head.read_body(&mut from, true).unwrap(), b"abc0123456789");
    assert_eq!(from, b"rest");
}

#[test]
fn a_message_cut_short_is_an_error_and_a_close_is_none() {
    assert!(Head::read(&mut &b""[..]).unwrap().is_none());
    assert!(Head::read(&mut &b"GET / HTTP/1.1\r\nHost"[..]).is_err());
    let mut from = &b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"[..];
    let head = Head::read(&mut from).unwrap().unwrap();
    assert!(head.read_body(&mut from, true).is_err());
}
