//! `compress`: answers in a coding that the client takes. Only where a route asks for it: an answer that holds
//! a secret beside what a stranger chose can be guessed from its compressed length.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{Call, Keys, Names, Policy, Verdict};
use crate::base::decode::words;
use crate::base::report::Report;

words! {
    pub enum Coding {
        Zstd = "zstd",
        Brotli = "br",
        Gzip = "gzip",
    }
}

/// A route's codings, the best first.
#[derive(Debug)]
pub struct Compress(Vec<Coding>);

/// What a request takes of what its route offers; `None`: nothing, but another client may.
pub type Agreed = Option<Coding>;

/// An answer's body on its way through one coding.
pub struct Encoder {
    coder: Coder,
    /// Each piece is to arrive when it was sent: the answer's end is not known.
    at_once: bool,
}

enum Coder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Policy for Compress {
    fn compile(keys: &Keys, _: &Names, _: &mut Report) -> Option<Self> {
        let codings = keys.compress.clone()?;
        (!codings.is_empty()).then_some(Self(codings))
    }

    fn request(&self, call: &mut Call) -> Verdict {
        call.findings.coding = Some(agree(&self.0, &call.header.headers));
        Verdict::Continue
    }
}

impl Encoder {
    /// Changes the head of an answer that is to be compressed, and says how. `None`: it passes as it is.
    pub fn begin(agreed: Agreed, status: StatusCode, response: &mut HeaderMap) -> Option<Self> {
        if !gains(status, response) {
            return None;
        }
        vary(response);
        let coding = agreed?;
        let at_once = !response.contains_key(header::CONTENT_LENGTH);
        let coder = Coder::new(coding).ok()?;
        response.remove(header::CONTENT_LENGTH);
        // A part of the coded answer is not the coded part of the answer.
        response.remove(header::ACCEPT_RANGES);
        let name = HeaderValue::from_static(coding.word());
        response.insert(header::CONTENT_ENCODING, name);
        // HTTP/1.0 and HTTP/2 have other ways to end a body; where they are spoken it is taken away again.
        response.insert(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        );
        weaken(response);
        Some(Self { coder, at_once })
    }

    /// The next piece of the body, coded; with `end` the last one.
    pub fn push(&mut self, piece: &[u8], end: bool) -> io::Result<Bytes> {
        let out = match &mut self.coder {
            Coder::Zstd(coder) => {
                coder.write_all(piece)?;
                match (end, self.at_once) {
                    (true, _) => coder.do_finish()?,
                    (false, true) => coder.flush()?,
                    (false, false) => {}
                }
                std::mem::take(coder.get_mut())
            }
            Coder::Brotli(coder) => {
                coder.write_all(piece)?;
                if end {
                    return Ok(finish_brotli(coder).into());
                }
                if self.at_once {
                    coder.flush()?;
                }
                std::mem::take(coder.get_mut())
            }
            Coder::Gzip(coder) => {
                coder.write_all(piece)?;
                match (end, self.at_once) {
                    (true, _) => coder.try_finish()?,
                    (false, true) => coder.flush()?,
                    (false, false) => {}
                }
                std::mem::take(coder.get_mut())
            }
        };
        Ok(out.into())
    }
}

impl Coder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?),
            Coding::Brotli => {
                let coder = new_brotli();
                Self::Brotli(Box::new(coder))
            }
            Coding::Gzip => {
                let level = flate2::Compression::new(GZIP_LEVEL);
                Self::Gzip(GzEncoder::new(Vec::new(), level))
            }
        })
    }
}

fn new_brotli() -> brotli::CompressorWriter<Vec<u8>> {
    brotli::CompressorWriter::new(Vec::new(), BUFFER, BROTLI_QUALITY, BROTLI_WINDOW)
}

/// Only taking it apart ends a stream of brotli.
fn finish_brotli(coder: &mut brotli::CompressorWriter<Vec<u8>>) -> Vec<u8> {
    std::mem::replace(coder, new_brotli()).into_inner()
}

/// The route's first coding among those that the client likes best (RFC 9110 §12.5.3).
fn agree(offered: &[Coding], headers: &HeaderMap) -> Agreed {
    let mut best: Option<(u16, Coding)> = None;
    for coding in offered {
        let quality = quality(*coding, headers);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, *coding));
        }
    }
    best.map(|(_, coding)| coding)
}

/// How much the client likes a coding, in thousandths; 0: not at all.
fn quality(coding: Coding, headers: &HeaderMap) -> u16 {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
    let items = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let mut any = 0;
    for item in items {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        let weight = weight.map_or(1_000, |weight| match weight.parse::<f32>() {
            Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1_000.0) as u16,
            _ => 0,
        });
        if name.eq_ignore_ascii_case(coding.word()) {
            return weight;
        }
        if name == "*" {
            any = weight;
        }
    }
    any
}

/// Is there something to gain, and nothing against it?
fn gains(status: StatusCode, headers: &HeaderMap) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let bodiless = [
        StatusCode::NO_CONTENT,
        StatusCode::NOT_MODIFIED,
        StatusCode::PARTIAL_CONTENT,
    ];
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    // RFC 9110 §7.7: the origin may forbid it.
    let forbidden =
        text(header::CACHE_CONTROL).is_some_and(|control| control.contains("no-transform"));
    !status.is_informational()
        && !bodiless.contains(&status)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !forbidden
        && length.is_none_or(|length| length >= LEAST)
        && text(header::CONTENT_TYPE).is_some_and(is_compressible)
}

fn is_compressible(kind: &str) -> bool {
    let kind = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    // Events are small, and each is to be read when it comes.
    (kind.starts_with("text/") && kind != "text/event-stream")
        || kind.ends_with("+json")
        || kind.ends_with("+xml")
        || COMPRESSIBLE.contains(&kind.as_str())
}

/// Caches must know that another client may get another coding (RFC 9110 §12.5.5).
fn vary(response: &mut HeaderMap) {
    let lines = response.get_all(header::VARY).iter();
    let mut names = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    let told = names.any(|name| {
        matches!(name.trim(), "*") || name.trim().eq_ignore_ascii_case("accept-encoding")
    });
    if !told {
        response.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
}

/// The same answer with other bytes has no strong tag (RFC 9110 §8.8.1).
fn weaken(response: &mut HeaderMap) {
    let tag = response
        .get(header::ETAG)
        .map(|tag| tag.as_bytes().to_vec());
    let Some(tag) = tag.filter(|tag| !tag.starts_with(b"W/")) else {
        return;
    };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_slice()].concat()) {
        response.insert(header::ETAG, weak);
    }
}

/// Smaller answers fit into a packet as they are.
const LEAST: u64 = 256;
/// Middle levels: the next ones cost twice the time for a few per cent.
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 5;
const BROTLI_QUALITY: u32 = 4;
/// 256 KiB of memory; the default of 4 MiB is much for one answer among many.
const BROTLI_WINDOW: u32 = 18;
const BUFFER: usize = 4 << 10;
const COMPRESSIBLE: &[&str] = &[
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "application/x-ndjson",
    "application/yaml",
    "image/bmp",
];

#[cfg(test)]
mod tests;
