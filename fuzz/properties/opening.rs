//! The PROXY protocol's header: part of one is waited for, and what follows it changes nothing.

use airside::server::opening::header;

pub fn check(bytes: &[u8]) {
    let read = header(bytes);
    let Ok(Some((client, length))) = read else {
        // What is refused stays refused.
        if read.is_err() {
            assert!(
                header(&[bytes, b"\r\nmore"].concat()).is_err(),
                "{}",
                bytes.escape_ascii()
            );
        }
        return;
    };
    assert!(length <= bytes.len() && length > 0);
    assert_eq!(header(&bytes[..length]).ok(), Some(Some((client, length))));
    for end in 0..length.min(256) {
        let part = header(&bytes[..end]);
        assert!(matches!(part, Ok(None)), "{}", bytes[..end].escape_ascii());
    }
}
