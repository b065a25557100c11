//! bcrypt's own computation (Provos and Mazières 1999, §4), which gives way between two rounds. The library's
//! keeps a core for as long as a hash takes, a fifth of a second. Nothing else is done here: salts, forms and
//! what a password may be are `hash`'s.

use blowfish::Blowfish;

/// The 23 bytes that are kept of a password's hash, made in 2^`cost` rounds.
///
/// Whoever waits for this core gets it within a round, some 60 µs, if this thread is one that others go before.
/// That it is one does not suffice: schedulers leave who runs at their core for the rest of a tick, up to 4 ms
/// at 250 Hz, unless it offers it.
pub(super) fn bcrypt(cost: u32, salt: &[u8; 16], password: &str) -> [u8; 23] {
    let mut key = Vec::with_capacity(password.len() + 1);
    key.extend_from_slice(password.as_bytes());
    // The end mark of a C string belongs to the key.
    key.push(0);

    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for _ in 0..1_u64 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
        std::thread::yield_now();
    }
    let mut bytes = [0; 24];
    for (place, pair) in bytes.chunks_exact_mut(8).zip(TEXT) {
        let [left, right] = (0..64).fold(pair, |pair, _| state.bc_encrypt(pair));
        let both = (u64::from(left) << 32) | u64::from(right);
        place.copy_from_slice(&both.to_be_bytes());
    }
    // The last byte has never been part of a hash's text.
    let [kept @ .., _] = bytes;
    kept
}

/// "OrpheanBeholderScryDoubt", which is what the password's key encrypts.
const TEXT: [[u32; 2]; 3] = [
    [0x4f72_7068, 0x6561_6e42],
    [0x6568_6f6c, 0x6465_7253],
    [0x6372_7944, 0x6f75_6274],
];

#[cfg(test)]
mod tests {
    use base64::Engine;
    use proptest::prelude::*;

    use super::*;
    use crate::identity::password::hash::BASE64;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_what_the_library_computes(
            password in "[^\0]{0,17}",
            salt: [u8; 16],
            cost in 4..6_u32,
        ) {
            let theirs = bcrypt::non_truncating_hash_with_salt_bytes(&password, cost, salt).unwrap();
            let ours = BASE64.encode(bcrypt(cost, &salt, &password));
            prop_assert_eq!(&theirs[29..], ours.as_bytes());
        }
    }

    #[test]
    fn the_longest_password_too() {
        let (password, salt) = ("y".repeat(71), [7; 16]);
        let theirs = bcrypt::non_truncating_hash_with_salt_bytes(&password, 4, salt).unwrap();
        let ours = BASE64.encode(bcrypt(4, &salt, &password));
        assert_eq!(&theirs[29..], ours.as_bytes());
    }
}
