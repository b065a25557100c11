//! An origin as browsers send it: scheme, host and port, in lower case, without a port that the scheme
//! implies (HTML standard §7.1.1).

use crate::base::decode::FromText;
use crate::base::host;

/// Which scripts are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Of any origin.
    Any,
    Exact(String),
    /// Of every host below one, at any depth: `https://*.example.com`.
    Below {
        /// With `://`.
        scheme: String,
        /// With its dot and its port.
        suffix: String,
    },
}

impl Origin {
    /// Is this one of the origins that are meant?
    pub fn fits(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(known) => known.as_bytes() == origin,
            Self::Below { scheme, suffix } => {
                let inner = origin.strip_prefix(scheme.as_bytes());
                let inner = inner.and_then(|rest| rest.strip_suffix(suffix.as_bytes()));
                inner.is_some_and(|name| !name.is_empty() && name.iter().all(is_of_a_host))
            }
        }
    }
}

impl FromText for Origin {
    const EXPECTED: &'static str =
        "an origin such as `https://app.example.com`, `https://*.example.com` or `*`";
    const PATTERN: &'static str = r"\*|[a-zA-Z][a-zA-Z0-9+.-]*://[^/]+";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text == "null" {
            return Err("sandboxed frames and local files send it, whoever wrote them".to_owned());
        }
        let text = text.to_ascii_lowercase();
        let (scheme, rest) = text.split_once("://").ok_or("it has no scheme")?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        if !scheme.starts_with(|first: char| first.is_ascii_lowercase())
            || !scheme.bytes().all(fits)
        {
            return Err(format!("`{scheme}` is not a scheme"));
        }
        if let Some((authority, _)) = rest.split_once('/') {
            return Err(format!(
                "it has a path; browsers send `{scheme}://{authority}`"
            ));
        }
        let implied = match scheme {
            "https" => ":443",
            "http" => ":80",
            _ => "",
        };
        let rest = rest.strip_suffix(implied).unwrap_or(rest);
        let below = rest.strip_prefix("*.");
        host::normalise(below.unwrap_or(rest)).map_err(|_| match rest.is_ascii() {
            true => format!("`{rest}` is not a host with an optional port"),
            false => "browsers send such a host in its form of ASCII (`xn--…`)".to_owned(),
        })?;
        Ok(match below {
            Some(name) => Self::Below {
                scheme: format!("{scheme}://"),
                suffix: format!(".{name}"),
            },
            None => Self::Exact(format!("{scheme}://{rest}")),
        })
    }
}

fn is_of_a_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(pattern: &str, origin: &str) -> bool {
        Origin::from_text(pattern).unwrap().fits(origin.as_bytes())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_all_of_them() {
        assert!(fits("https://app.example.com", "https://app.example.com"));
        assert!(fits(
            "HTTPS://App.Example.com:443",
            "https://app.example.com"
        ));
        assert!(fits("http://localhost:5173", "http://localhost:5173"));
        assert!(fits("http://[::1]:8080", "http://[::1]:8080"));
        assert!(fits("capacitor://localhost", "capacitor://localhost"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.test",
            "https://evil.test",
            "https://xapp.example.com",
            "null",
            "",
        ] {
            assert!(!fits("https://app.example.com", other), "{other}");
        }
    }

    #[test]
    fn a_wildcard_is_every_host_below_and_no_other() {
        for below in ["https://a.example.com", "https://a.b.example.com"] {
            assert!(fits("https://*.example.com", below), "{below}");
        }
        for other in [
            "https://example.com",
            "https://.example.com",
            "https://evilexample.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://evil.test/.example.com",
            "https://evil.test:1.example.com",
            "https://user@a.example.com",
        ] {
            assert!(!fits("https://*.example.com", other), "{other}");
        }
        assert!(fits("http://*.test:81", "http://a.test:81"));
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for wrong in [
            "",
            "null",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://app.*.com",
            "https://*",
            "https://a b",
            "https://b\u{fc}cher.example",
            "https://app.example.com:x",
            "1s://a",
        ] {
            assert!(Origin::from_text(wrong).is_err(), "{wrong}");
        }
    }
}
