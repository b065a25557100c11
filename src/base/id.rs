//! The id that names a request. Unique, not secret.

use rand::RngExt;

/// A request's id: 128 random bits, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 32]);

impl RequestId {
    pub fn random() -> Self {
        Self(hex128(rand::rng().random()))
    }

    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

/// A number as 32 lower-case hexadecimal digits.
#[expect(
    clippy::indexing_slicing,
    reason = "pairs of two; a nibble is below 16"
)]
pub fn hex128(number: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 32];
    for (pair, byte) in out.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

fn ascii(bytes: &[u8]) -> &str {
    // Invariant: only hexadecimal digits are ever stored.
    str::from_utf8(bytes).unwrap_or_default()
}
