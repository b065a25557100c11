//! `mysql://user:password@host:port/database?option=value&…`: where a MySQL or MariaDB server is and
//! how it is used. Read strictly: an option that is not known is an error and never ignored.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::base::decode::FromText;
use crate::base::report::{Code, Problem};
use crate::base::secret::Secret;
use crate::base::yaml::Place;

/// A server, an account there, a database, and how connections are made and kept.
///
/// In user, password and database `%` and two hex digits stand for a byte, so that `%` itself is
/// written `%25`, `/` is `%2F` and `:` is `%3A`. A password may hold `@`, `/` and `?` as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mysql {
    /// A name or an address, the latter without brackets.
    pub host: String,
    /// 3306 where it is left out.
    pub port: u16,
    pub user: String,
    /// Empty where it is left out.
    pub password: Secret,
    pub database: String,
    pub options: Options,
}

/// What may follow the `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// `require_ssl=true|false`: TLS or nothing, the server's certificate and name always verified. A
    /// server that is not on this machine needs one of the two to be said.
    pub require_ssl: Option<bool>,
    /// `ca=FILE`: the authorities (PEM) that may have signed the server's certificate, in place of the
    /// public ones; relative to the configuration's folder.
    pub ca: Option<PathBuf>,
    /// `pool_min=1`: connections that are kept while nothing happens, from 0.
    pub pool_min: usize,
    /// `pool_max=10`: connections at most, from 1 to 1000.
    pub pool_max: usize,
    /// `acquire_timeout=2s`: how long a request waits for a connection, made or free, from 10ms to 1m.
    pub acquire_timeout: Duration,
    /// `query_timeout=3s`: how long a whole transaction may take, from 10ms to 1m.
    pub query_timeout: Duration,
}

impl Mysql {
    /// Reads what follows `mysql://`. No message repeats a part of it but an option's name.
    pub(super) fn parse(text: &str, place: Place) -> Result<Self, Problem> {
        let wrong = |message: &str| {
            let problem = Problem::error(Code::InvalidValue, place, message);
            problem.help(SHAPE)
        };
        // A password may have any of `@/?`; what follows the last `@` has none of its own.
        let (account, rest) = text
            .rsplit_once('@')
            .ok_or_else(|| wrong("the store's address has no `user:password@`"))?;
        let (user, password) = account.split_once(':').unwrap_or((account, ""));
        let (target, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (server, database) = target
            .split_once('/')
            .ok_or_else(|| wrong("the store's address names no database"))?;
        let (host, port) =
            server_of(server).ok_or_else(|| wrong("the store's address has no host or no port"))?;
        let decoded = |text, what: &str| {
            percent_decoded(text).ok_or_else(|| {
                let message = format!("the {what} in the store's address is not percent-encoded");
                Problem::error(Code::InvalidValue, place, message)
                    .help("`%` and two hex digits stand for a byte; `%` itself is written `%25`")
            })
        };
        let database = decoded(database, "database")?;
        if user.is_empty() || database.is_empty() || database.contains('/') {
            return Err(wrong("the store's address needs a user and one database"));
        }
        let options = Options::parse(query, place)?;
        if options.require_ssl.is_none() && !is_this_machine(host) {
            let message = "the store is on another machine, and its address does not say whether \
                           the connection is encrypted";
            return Err(Problem::error(Code::InvalidValue, place, message).help(
                "add `?require_ssl=true`, with `&ca=FILE` where the authority is your own, or \
                 `?require_ssl=false` if nobody can listen on the way",
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            user: decoded(user, "user")?,
            password: Secret::new(decoded(password, "password")?),
            database,
            options,
        })
    }
}

impl Options {
    fn parse(query: &str, place: Place) -> Result<Self, Problem> {
        let mut options = Self::default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = |message: String| Problem::error(Code::InvalidValue, place, message);
            if seen.contains(&name) {
                return Err(wrong(format!(
                    "`{name}` stands twice in the store's address"
                )));
            }
            let expected = match options.set(name, value) {
                Set::Done => {
                    seen.push(name);
                    continue;
                }
                Set::Unknown => {
                    let shown = shown(name);
                    let message = format!("unknown option {shown} in the store's address");
                    return Err(wrong(message).suggest(name, NAMES.iter().copied()));
                }
                Set::Expected(expected) => expected,
            };
            return Err(wrong(format!(
                "`{name}` in the store's address must be {expected}"
            )));
        }
        let message = match &options {
            Self { ca: Some(_), .. } if options.require_ssl != Some(true) => {
                "`ca` in the store's address needs `require_ssl=true`"
            }
            _ if options.pool_min > options.pool_max => {
                "`pool_min` in the store's address is greater than `pool_max`"
            }
            _ => return Ok(options),
        };
        Err(Problem::error(Code::Conflict, place, message))
    }

    fn set(&mut self, name: &str, value: &str) -> Set {
        let count = |range: std::ops::RangeInclusive<usize>| {
            let count = value.parse().ok();
            count.filter(|count| range.contains(count))
        };
        let time = || {
            let time = Duration::from_text(value).ok();
            time.filter(|time| TIMES.contains(time))
        };
        /// Keeps a value that could be read.
        fn keep<T>(place: &mut T, value: Option<T>, expected: &'static str) -> Set {
            match value {
                Some(value) => {
                    *place = value;
                    Set::Done
                }
                None => Set::Expected(expected),
            }
        }
        const TIME: &str = "a duration from 10ms to 1m, such as `2s`";
        match name {
            "require_ssl" => {
                let value = value.parse().ok().map(Some);
                keep(&mut self.require_ssl, value, "`true` or `false`")
            }
            "ca" => {
                let file = percent_decoded(value).filter(|file| !file.is_empty());
                let file = file.map(|file| Some(file.into()));
                keep(&mut self.ca, file, "a file of certificates")
            }
            "pool_min" => keep(
                &mut self.pool_min,
                count(0..=1000),
                "a number from 0 to 1000",
            ),
            "pool_max" => keep(
                &mut self.pool_max,
                count(1..=1000),
                "a number from 1 to 1000",
            ),
            "acquire_timeout" => keep(&mut self.acquire_timeout, time(), TIME),
            "query_timeout" => keep(&mut self.query_timeout, time(), TIME),
            _ => Set::Unknown,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            require_ssl: None,
            ca: None,
            pool_min: 1,
            pool_max: 10,
            acquire_timeout: Duration::from_secs(2),
            query_timeout: Duration::from_secs(3),
        }
    }
}

enum Set {
    Done,
    Unknown,
    Expected(&'static str),
}

/// `host`, `host:port` or `[::1]:port`.
fn server_of(text: &str) -> Option<(&str, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            match port {
                "" => (host, None),
                port => (host, Some(port.strip_prefix(':')?)),
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map_or(Some(3306), |port| port.parse().ok())?;
    (!host.is_empty() && port > 0).then_some((host, port))
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            plain => plain,
        };
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

/// An option's name in backticks. What does not look like one may be a part of something secret.
fn shown(name: &str) -> String {
    let looks_like_one = name.len() <= 32
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    match looks_like_one {
        true => format!("`{name}`"),
        false => "with an unusual name".to_owned(),
    }
}

const TIMES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(10)..=Duration::from_secs(60);
const NAMES: &[&str] = &[
    "require_ssl",
    "ca",
    "pool_min",
    "pool_max",
    "acquire_timeout",
    "query_timeout",
];
const SHAPE: &str = "write `mysql://user:password@host:port/database`";

#[cfg(test)]
mod tests;
