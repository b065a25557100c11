//! Strings of JSON, which most texts are as they stand.

/// Is there a byte that may not stand in a string as it is (RFC 8259 §7): a control character, `"` or `\`? Without a
/// way out in the middle, as the compiler then looks at many at once.
pub fn needs_escaping(text: &[u8]) -> bool {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    text.iter()
        .fold(false, |found, byte| found | is_special(*byte))
}
