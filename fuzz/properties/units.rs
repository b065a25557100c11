//! Quantities: what is read is written the way that it is read, and nothing is read but what the schema says.

use airside::base::decode::FromText;
use airside::base::units::{ByteSize, Rate, Share, duration, show_duration};

pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(read) = duration(text) {
        assert_eq!(duration(&show_duration(read)), Ok(read), "{text:?}");
        assert!(is_made_of(text, "mshd"), "{text:?}");
    }
    if let Ok(rate) = Rate::from_text(text) {
        assert!(rate.count > 0 && rate.count <= Rate::MAX_COUNT && !rate.window.is_zero());
        assert_eq!(Rate::from_text(&rate.to_string()), Ok(rate), "{text:?}");
        assert!(is_made_of(text, "/mshd"), "{text:?}");
    }
    if let Ok(size) = ByteSize::from_text(text) {
        let written = size.to_text().unwrap();
        assert_eq!(
            ByteSize::from_text(&written),
            Ok(size),
            "{text:?} is {written}"
        );
        assert!(is_made_of(text, "KMGiB"), "{text:?}");
    }
    if let Ok(share) = Share::from_text(text) {
        assert!((0.0..=1.0).contains(&share.0), "{text:?} is {}", share.0);
        assert!(is_made_of(text, ".%"), "{text:?}");
        let written = share.to_text().unwrap();
        // Nobody means more digits than these: further ones are a matter of floats.
        if text.len() <= "99.99999999%".len() {
            assert_eq!(
                Share::from_text(&written),
                Ok(share),
                "{text:?} is {written}"
            );
            assert!(written.len() <= text.len() + 1, "{text:?} is {written}");
        }
    }
}

/// Digits and these.
fn is_made_of(text: &str, others: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_digit() || others.contains(c))
}
