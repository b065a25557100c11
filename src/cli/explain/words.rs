//! What is typed on the command line of `explain`, and what it can't know.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue};

use crate::config::Config;
use crate::limit::config::Scope;
use crate::plan::{Persona, Unjudged};
use crate::policy::limits::Use;
use crate::proxy::rehearsal::{Course, Request};

/// A URL, cut in parts as they are: nothing is normalised, so that it can be told what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    target: String,
    tls: bool,
}

impl Address {
    pub fn request(&self, method: &str, peer: IpAddr) -> Request {
        Request {
            method: method.to_owned(),
            target: self.target.clone(),
            host: Some(self.host.clone()),
            headers: Vec::new(),
            peer,
            tls: self.tls,
        }
    }
}

pub fn method(text: &str) -> Result<String, String> {
    http::Method::from_bytes(text.as_bytes())
        .map(|_| text.to_owned())
        .map_err(|_| "it is no method of HTTP".to_owned())
}

pub fn address(text: &str) -> Result<Address, String> {
    let text = text.split('#').next().unwrap_or_default();
    if text.contains(' ') || text.chars().any(char::is_control) {
        return Err("it holds blanks or control characters: write `%20`".to_owned());
    }
    let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) if text.starts_with(['/', '*']) => {
            return Ok(Address {
                host: "localhost".to_owned(),
                target: text.to_owned(),
                tls: false,
            });
        }
        (None, None) => return Err("it is neither a URL nor a path that begins with `/`".into()),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, target) = rest.split_at(end);
    let slash = if target.starts_with('/') { "" } else { "/" };
    Ok(Address {
        host: host.to_owned(),
        target: format!("{slash}{target}"),
        tls,
    })
}

pub fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write `Name: value`")?;
    let name = HeaderName::try_from(name).map_err(|_| format!("`{name}` is no header's name"))?;
    let value = HeaderValue::from_str(value.trim());
    let value = value.map_err(|_| "a header's value has no control characters")?;
    Ok((name, value))
}

/// `user=ID,roles=a+b,email=E,issuer=NAME,api_key`.
pub fn persona(text: &str) -> Result<Persona, String> {
    let mut persona = Persona::default();
    for part in text.split(',') {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        match (key, value) {
            ("user", user) if !user.is_empty() => persona.user = user.to_owned(),
            ("roles", roles) => {
                let roles = roles.split('+').filter(|role| !role.is_empty());
                persona.roles = roles.map(str::to_owned).collect();
            }
            ("email", email) if !email.is_empty() => persona.email = Some(email.to_owned()),
            ("issuer", issuer) if !issuer.is_empty() => persona.issuer = Some(issuer.to_owned()),
            ("api_key", "" | "true") => persona.api_key = true,
            _ => {
                return Err(format!(
                    "`{part}` is none of `user=ID`, `roles=a+b`, `email=E`, `issuer=NAME`, `api_key`"
                ));
            }
        }
    }
    match persona.user.is_empty() {
        true => Err("`user=ID` is missing".to_owned()),
        false => Ok(persona),
    }
}

/// What a running gateway knows of credentials, and nobody else.
pub fn about_credentials(request: &Request, course: &Course, unjudged: &[Unjudged]) -> Vec<String> {
    let brings = |wanted: &str| {
        let mut names = request.headers.iter();
        names.any(|(name, _)| name.as_str() == wanted)
    };
    let mut notes = Vec::new();
    let brings_token = brings("authorization") || brings("x-access-token");
    let judged = course.steps.iter().any(|step| step.policy == "auth");
    if !judged {
        return notes;
    }
    for Unjudged { issuer, why } in unjudged.iter().filter(|_| brings_token) {
        notes.push(format!("tokens of `{issuer}` can't be judged here: {why}"));
    }
    if brings("x-api-key") && !course.steps_passed("auth") {
        notes.push("API keys are known to the running identity service alone; `--as …,api_key` stands for one".to_owned());
    }
    if unjudged.is_empty() && brings_token && course.steps_passed("auth") {
        notes.push(
            "whether the token was ended before its time, only the running gateway knows"
                .to_owned(),
        );
    }
    notes
}

/// Limits that all gateways count together.
pub fn about_cluster_limits(config: &Config, course: &Course) -> Option<String> {
    let route = course
        .route
        .and_then(|index| config.routes().get(index as usize))?;
    let keys = config.policies(route);
    let uses = keys.limits.iter().flatten();
    let in_redis = uses.filter_map(|used| match used {
        Use::Named(name) => {
            let limit = config.limits.find(&name.value)?;
            (limit.scope == Scope::Cluster).then(|| name.value.clone())
        }
        Use::Own(own) => (own.value.scope == Scope::Cluster).then(|| route.name()),
    });
    let names: Vec<_> = in_redis.collect();
    (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!("counted in Redis by all gateways, and here as if by one alone: {names}")
    })
}

impl Course {
    fn steps_passed(&self, policy: &str) -> bool {
        let mut steps = self.steps.iter();
        steps.any(|step| step.policy == policy && !step.answered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_and_not_changed() {
        let cut = |text| address(text).map(|url| (url.host, url.target, url.tls));
        let known = |host: &str, target: &str, tls| Ok((host.to_owned(), target.to_owned(), tls));
        assert_eq!(
            cut("https://A.test:8443/x/../y?q#z"),
            known("A.test:8443", "/x/../y?q", true)
        );
        assert_eq!(cut("http://a.test"), known("a.test", "/", false));
        assert_eq!(cut("http://a.test?q=1"), known("a.test", "/?q=1", false));
        assert_eq!(cut("//x"), known("localhost", "//x", false));
        assert!(cut("flights/7").is_err() && cut("/a b").is_err());
    }

    #[test]
    fn a_caller_is_read_part_by_part() {
        let read = persona("user=u1,roles=a+b,issuer=corp,api_key").unwrap();
        assert_eq!(
            (read.user.as_str(), read.roles.join("|")),
            ("u1", "a|b".to_owned())
        );
        assert_eq!((read.issuer.as_deref(), read.api_key), (Some("corp"), true));
        for wrong in ["", "roles=a", "user=", "user=u,role=a", "user=u,api_key=no"] {
            assert!(persona(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_is_a_name_and_a_value() {
        let (name, value) = header("X-Beta:  1 ").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-beta", "1"));
        assert!(header("X-Beta").is_err() && header("a b: 1").is_err());
    }
}
