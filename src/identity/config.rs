//! The `identity:` mapping of the configuration: its keys, their defaults, and what they must satisfy
//! together.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use schemars::{Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::base::decode::{self, Decode, Keys, Within, keys, words};
use crate::base::report::{Code, Problem, Report};
use crate::base::secret::Secret;
use crate::base::units::show_duration;
use crate::base::yaml::{At, Node, Place};
use crate::token;

pub mod mysql;
pub mod role;
mod secret;
mod values;

pub use role::RoleName;
pub use secret::SharedSecret;
pub use values::{StoreAddress, Workers};

keys! {
    /// The built-in identity service.
    pub struct Identity {
        /// Where the service listens; routes reach it as the upstream `identity`.
        pub listen: At<SocketAddr> = At::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 3002)), Place::default()),
        /// Where users are kept: `sqlite:PATH`, `sqlite::memory:` or
        /// `mysql://user:password@host:port/database`. What may follow the latter, as in
        /// `?require_ssl=true&pool_max=20`: `require_ssl=true|false` (TLS with the certificate and the
        /// name verified; must be said for another machine), `ca=FILE` (the authority, where it is
        /// your own), `pool_min=1`, `pool_max=10`, `acquire_timeout=2s`, `query_timeout=3s`.
        pub store: StoreAddress = StoreAddress::SqliteFile("data/airside.db".into()),
        /// What the `iss` of its tokens says: the public address of the API.
        pub issuer: String = "http://127.0.0.1:3002".to_owned(),
        /// What the `aud` of its tokens says.
        pub audience: String = "airside".to_owned(),
        /// The folder of the private keys; made on the first start, mode 0700.
        pub keys: String = "data/keys".to_owned(),
        /// The tokens that a sign-in gives.
        pub access_token: AccessToken,
        /// The tokens that a session goes on with.
        pub refresh_token: RefreshToken,
        /// What passwords must be, and how they are hashed.
        pub password: Password,
        /// Who may make an account.
        pub signup: Signup,
        /// The roles that exist from the start; `admin` always does. Left out, the roles of `signup`.
        pub roles: Vec<RoleName> = Vec::new(),
        /// How repeated failures at passwords are slowed down.
        pub throttle: Throttle,
    }

    pub struct AccessToken {
        /// How long a token is valid, from `1s` to `1d`.
        pub ttl: At<Duration> = At::new(Duration::from_secs(15 * 60), Place::default()),
        /// What it is signed with. Change it and the keys are rotated; `HS256` has the one key that
        /// `secret` is.
        pub algorithm: At<Algorithm> = At::new(Algorithm::EdDsa, Place::default()),
        /// The key of `HS256`, 32 random bytes or more; with no other algorithm.
        pub secret: Option<At<SharedSecret>>,
    }

    pub struct RefreshToken {
        /// How long a session may last.
        pub ttl: Duration = Duration::from_secs(30 * 86_400),
        /// How long it may lie unused.
        pub idle: Duration = Duration::from_secs(7 * 86_400),
        /// How long a token that was just replaced still answers with its successor.
        pub grace: At<Duration> = At::new(Duration::from_secs(10), Place::default()),
    }

    pub struct Password {
        /// The fewest characters that a new password may have, from 8 to 64.
        pub min_length: Within<8, 64> = Within(8),
        /// The cost of a bcrypt hash, from 10 to 15; one more doubles the time.
        pub bcrypt_cost: Within<10, 15> = Within(12),
        /// Threads that hash; `auto` is half of the processor's cores.
        pub workers: Workers = Workers::Auto,
        /// How many may wait for a thread; beyond that the answer is 503.
        pub queue: Within<1, 65_536> = Within(64),
    }

    pub struct Signup {
        /// May people make accounts themselves?
        pub enabled: bool = true,
        /// The roles that a new account gets.
        pub roles: Vec<At<RoleName>> = vec![At::new(RoleName::customer(), Place::default())],
    }

    pub struct Throttle {
        /// Failures of one account before its sign-ins are delayed, by 1 s and then twice as long each
        /// time; `0` switches the delay off.
        pub account_failures: Within<0, 100> = Within(5),
        /// The longest delay of one account, from `1s` to `1d`.
        pub account_max_delay: At<Duration> = At::new(Duration::from_secs(15 * 60), Place::default()),
        /// Failures that one address has in a minute, IPv6 by /64; `0` switches this off.
        pub ip_per_minute: Within<0, 1_000_000> = Within(30),
    }
}

/// What access tokens are signed with, ready to be used.
pub enum Key<'a> {
    Pair(token::Algorithm),
    Shared(&'a Secret),
}

words! {
    /// What access tokens are signed with.
    pub enum Algorithm {
        EdDsa = "EdDSA",
        Es256 = "ES256",
        Rs256 = "RS256",
        Hs256 = "HS256",
    }
}

impl Identity {
    /// Each role that must exist: `admin`, and those of the configuration.
    pub fn all_roles(&self) -> Vec<RoleName> {
        let signup = self.signup.roles.iter().map(|role| &role.value);
        let named = self.roles.iter().chain(signup).cloned();
        let mut all: Vec<_> = std::iter::once(RoleName::admin()).chain(named).collect();
        all.sort();
        all.dedup();
        all
    }

    fn check(&self, report: &mut Report) {
        let ttl = self.access_token.ttl;
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&ttl.value) {
            let shown = show_duration(ttl.value);
            let message = format!("`{shown}` is out of range: an access token lives 1s to 1d");
            report.push(Problem::error(Code::InvalidValue, ttl.place, message));
        }
        self.access_token.check(report);
        let grace = self.refresh_token.grace;
        if grace.value > Duration::from_secs(300) {
            let shown = show_duration(grace.value);
            let message =
                format!("`{shown}` is out of range: a replaced token is good for 5m at most");
            report.push(Problem::error(Code::InvalidValue, grace.place, message));
        }
        let delay = self.throttle.account_max_delay;
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&delay.value) {
            let shown = show_duration(delay.value);
            let message =
                format!("`{shown}` is out of range: an account waits for 1s to 1d at most");
            report.push(Problem::error(Code::InvalidValue, delay.place, message));
        }
        for role in &self.signup.roles {
            let (place, name) = (role.place, role.value.as_str());
            if role.value.is_admin() {
                let message = "whoever signs up would be an admin";
                report.push(Problem::error(Code::Conflict, place, message));
            } else if !self.roles.is_empty() && !self.roles.contains(&role.value) {
                let message = format!("`{name}` is not one of `identity.roles`");
                let known = self.roles.iter().map(RoleName::as_str);
                let problem = Problem::error(Code::UnknownName, place, message);
                report.push(problem.suggest(name, known));
            }
        }
    }
}

impl AccessToken {
    /// What signs: a pair of keys, or else the secret.
    pub fn key(&self) -> Key<'_> {
        match (self.algorithm.value, &self.secret) {
            (Algorithm::Es256, _) => Key::Pair(token::Algorithm::Es256),
            (Algorithm::Rs256, _) => Key::Pair(token::Algorithm::Rs256),
            (Algorithm::Hs256, Some(secret)) => Key::Shared(&secret.value.0),
            // The last one was refused while reading.
            (Algorithm::EdDsa, _) | (Algorithm::Hs256, None) => Key::Pair(token::Algorithm::EdDsa),
        }
    }

    fn check(&self, report: &mut Report) {
        let algorithm = self.algorithm;
        match (&self.secret, algorithm.value) {
            (None, Algorithm::Hs256) => {
                let message = "`HS256` needs `secret`, the key that is shared";
                let problem = Problem::error(Code::Conflict, algorithm.place, message);
                report.push(problem.help("`openssl rand -hex 32` makes one"));
            }
            (Some(secret), word) if word != Algorithm::Hs256 => {
                let word = word.word();
                let message = format!("`{word}` has a pair of keys of its own, and no `secret`");
                let problem = Problem::error(Code::Conflict, secret.place, message);
                report.push(problem.help("leave it out, or write `algorithm: HS256`"));
            }
            _ => {}
        }
    }
}

impl Decode for Identity {
    fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
        let identity: Self = decode::mapping(node, report)?;
        identity.check(report);
        Some(identity)
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        let schema = decode::object(Self::properties(generator));
        let algorithm =
            |what: Value| json!({ "properties": { "algorithm": what }, "required": ["algorithm"] });
        let elsewhere = algorithm(json!({ "pattern": decode::REFERENCE }));
        let no_secret = json!({ "not": { "required": ["secret"] } });
        let shared = json!({
            "if": algorithm(json!({ "const": Algorithm::Hs256.word() })),
            "then": { "required": ["secret"] },
            "else": { "anyOf": [no_secret, elsewhere] },
        });
        decode::narrow(schema, "access_token", shared)
    }
}

impl Default for Identity {
    #[expect(
        clippy::expect_used,
        reason = "each key has a default; a test proves it"
    )]
    fn default() -> Self {
        empty().expect("each key of `identity` has a default")
    }
}

/// Mappings whose keys all have defaults, so that the mapping itself may be left out.
macro_rules! optional_mappings {
    ($($name:ident),*) => {$(
        impl Decode for $name {
            fn decode(node: &At<Node>, report: &mut Report) -> Option<Self> {
                decode::mapping(node, report)
            }

            fn absent() -> Option<Self> {
                empty()
            }

            fn schema(generator: &mut SchemaGenerator) -> Schema {
                decode::object(Self::properties(generator))
            }

            fn show(&self) -> serde_json::Value {
                self.shown()
            }
        }
    )*};
}

optional_mappings!(AccessToken, RefreshToken, Password, Signup, Throttle);

/// What an empty mapping is read as.
fn empty<T: Keys>() -> Option<T> {
    let nothing = At::new(Node::Map(Vec::new()), Place::default());
    decode::mapping(&nothing, &mut Report::default())
}

#[cfg(test)]
mod tests;
