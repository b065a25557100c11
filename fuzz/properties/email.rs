//! Addresses of users: what is kept is read again as the same user, and fits into a header.

use airside::identity::email::Email;

pub fn check(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(email) = Email::parse(text) else {
        return;
    };
    let written = email.as_str();
    assert!(
        written.len() <= 254 && email.key().as_str().len() <= 254,
        "{text:?}"
    );
    assert!(!written.contains(char::is_control), "{text:?}");
    assert_eq!(Email::parse(written).as_ref(), Ok(&email), "{text:?}");
    let again = Email::parse(email.key().as_str());
    assert_eq!(
        again.map(|again| again.key().clone()).as_ref(),
        Ok(email.key()),
        "{text:?}"
    );
}
