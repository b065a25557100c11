//! Frames of HTTP/2 are followed alike however the bytes come, and as a reader of the whole would have it.

use airside::server::edge::frames::{Frames, Seen};

/// The first byte says how long the pieces are.
pub fn check(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else {
        return;
    };
    let mut whole = Frames::default();
    let at_once = whole.read(bytes);
    let mut pieces = Frames::default();
    let mut all = Seen::default();
    for piece in bytes.chunks(usize::from(*size).max(1)) {
        let seen = pieces.read(piece);
        all.opened += seen.opened;
        all.resets += seen.resets;
        all.heads += seen.heads;
    }
    assert_eq!(at_once, all);
    let state = |frames: &Frames| (frames.has_begun(), frames.is_wrong(), frames.in_head());
    assert_eq!(state(&whole), state(&pieces));

    let kinds = kinds(bytes.get(24..).unwrap_or_default());
    let count = |kind: u8| kinds.iter().filter(|(known, _)| *known == kind).count() as u32;
    assert_eq!((at_once.opened, at_once.resets), (count(1), count(3)));
    let ends = kinds
        .iter()
        .filter(|(kind, flags)| matches!(kind, 1 | 9) && flags & 4 != 0);
    assert_eq!(at_once.heads as usize, ends.count());
    assert_eq!(whole.has_begun(), !kinds.is_empty());
    assert_eq!(
        whole.is_wrong(),
        kinds.first().is_some_and(|(kind, _)| *kind != 4)
    );
}

/// Kind and flags of each frame whose head is all there.
fn kinds(mut bytes: &[u8]) -> Vec<(u8, u8)> {
    let mut kinds = Vec::new();
    while let Some(([a, b, c, kind, flags, ..], rest)) = bytes.split_first_chunk::<9>() {
        kinds.push((*kind, *flags));
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    kinds
}
