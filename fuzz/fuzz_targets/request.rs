//! See `properties/request.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| airside_fuzz::check("request", bytes));
