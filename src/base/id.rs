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
pub fn hex128(number: u128) -> [u8; 32] {
    let mut out = [0; 32];
    let halves = [(number >> 64) as u64, number as u64];
    for (place, half) in out.chunks_exact_mut(16).zip(halves) {
        place.copy_from_slice(&hex64(half));
    }
    out
}

/// A number as 16 lower-case hexadecimal digits.
pub fn hex64(number: u64) -> [u8; 16] {
    let mut out = [0; 16];
    let halves = [(number >> 32) as u32, number as u32];
    for (place, half) in out.chunks_exact_mut(8).zip(halves) {
        place.copy_from_slice(&hex32(half));
    }
    out
}

/// All eight digits at once: each four bits move into a byte of their own, and become a digit there.
fn hex32(number: u32) -> [u8; 8] {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let bits = u64::from(number);
    let bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    let bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    let bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 1 where there is a letter.
    let letters = ((bits + 6 * ONES) >> 4) & ONES;
    let step = u64::from(b'a' - b'0' - 10);
    (bits + u64::from(b'0') * ONES + step * letters).to_be_bytes()
}

fn ascii(bytes: &[u8]) -> &str {
    // Invariant: only hexadecimal digits are ever stored.
    str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn digits_are_those_of_the_standard_library(number: u128) {
            assert_eq!(ascii(&hex128(number)), format!("{number:032x}"));
            let half = number as u64;
            assert_eq!(hex64(half), format!("{half:016x}").as_bytes());
        }
    }
}
