//! What the readers of untrusted text hold to, whatever the bytes are. Each function takes any bytes and panics where
//! its property does not hold. The fuzzers feed them (`../fuzz_targets`), and each test run the seeds.

mod config;
mod cookie;
mod email;
mod forwarded;
mod frames;
mod host;
mod jwks;
mod opening;
mod path;
mod request;
mod token;
mod trace;
mod units;

/// Panics where it does not hold of these bytes.
pub type Property = fn(&[u8]);

/// Every property and its name, which is also that of its fuzzer and of its folder of seeds.
pub const ALL: [(&str, Property); 13] = [
    ("config", config::check),
    ("cookie", cookie::check),
    ("email", email::check),
    ("forwarded", forwarded::check),
    ("frames", frames::check),
    ("host", host::check),
    ("jwks", jwks::check),
    ("opening", opening::check),
    ("path", path::check),
    ("request", request::check),
    ("token", token::check),
    ("trace", trace::check),
    ("units", units::check),
];

/// Holds bytes to one property.
pub fn check(name: &str, bytes: &[u8]) {
    let (_, property) = ALL
        .iter()
        .find(|(known, _)| *known == name)
        .expect("a property of that name");
    property(bytes);
}
