//! Ids that name a request: its own, and the W3C trace's. Unique, not secret.

use rand::RngExt;

/// A request's id: 128 random bits, written as 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 32]);

/// A trace context as of W3C Trace Context §3.2: `00-{trace}-{span}-{flags}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent([u8; 55]);

impl RequestId {
    pub fn random() -> Self {
        Self(hex128(rand::rng().random()))
    }

    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }
}

impl TraceParent {
    /// The context to hand on: the client's trace with a new span, or a new trace where the client
    /// sent none or a broken one (§3.2.2.3: a vendor restarts the trace).
    #[expect(
        clippy::indexing_slicing,
        reason = "fixed ranges of a 55-byte array and of a value checked to have 55 bytes"
    )]
    pub fn continue_or_start(incoming: Option<&[u8]>) -> Self {
        let mut out = [0; 55];
        match incoming.filter(|value| is_traceparent(value)) {
            Some(value) => out.copy_from_slice(&value[..55]),
            None => {
                out[..3].copy_from_slice(b"00-");
                out[3..35].copy_from_slice(&hex128(rand::rng().random::<u128>().max(1)));
                // Flag 00: nobody has sampled this trace.
                out[52..].copy_from_slice(b"-00");
            }
        }
        out[35] = b'-';
        let span = hex128(u128::from(rand::rng().random::<u64>().max(1)));
        out[36..52].copy_from_slice(&span[16..]);
        Self(out)
    }

    pub fn as_str(&self) -> &str {
        ascii(&self.0)
    }

    /// The trace's 32 hexadecimal digits.
    pub fn trace_id(&self) -> &str {
        ascii(&self.0[3..35])
    }
}

/// Version 00, lower-case hexadecimal, neither id all zero (§3.2.2).
#[expect(clippy::indexing_slicing, reason = "the length is checked first")]
fn is_traceparent(value: &[u8]) -> bool {
    let hex = |range: &[u8]| {
        range
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |range: &[u8]| range.iter().all(|byte| *byte == b'0');
    value.len() == 55
        && value.starts_with(b"00-")
        && value[35] == b'-'
        && value[52] == b'-'
        && hex(&value[3..35])
        && hex(&value[36..52])
        && hex(&value[53..])
        && !zero(&value[3..35])
        && !zero(&value[36..52])
}

#[expect(
    clippy::indexing_slicing,
    reason = "pairs of two; a nibble is below 16"
)]
fn hex128(number: u128) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = [0; 32];
    for (pair, byte) in out.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    out
}

fn ascii(bytes: &[u8]) -> &str {
    // Invariant: only hexadecimal digits and dashes are ever stored.
    str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_with_a_new_span() {
        let incoming = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let out = TraceParent::continue_or_start(Some(incoming));
        assert_eq!(out.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(out.as_str().ends_with("-01"));
        assert_ne!(&out.as_str()[36..52], "00f067aa0ba902b7");
    }

    #[test]
    fn a_broken_trace_is_started_anew() {
        for broken in [
            &b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"[..],
            b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            b"garbage",
        ] {
            let out = TraceParent::continue_or_start(Some(broken));
            assert!(is_traceparent(out.as_str().as_bytes()));
            assert_ne!(
                out.as_str().as_bytes()[3..35],
                broken.get(3..35).unwrap_or_default()[..]
            );
        }
    }
}
