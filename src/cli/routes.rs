//! `airside routes`: the routes as a table, most of what an operator asks at a glance.

use std::process::ExitCode;

use clap::Args;

use super::File;
use super::table::table;
use crate::base::networks;
use crate::base::yaml::At;
use crate::config::{Config, Route};
use crate::policy::Keys;
use crate::policy::access::List;
use crate::policy::auth::Access;
use crate::policy::limits::Use;
use crate::route::method::MethodSet;

#[derive(Args)]
pub struct Routes {
    #[command(flatten)]
    file: File,
}

impl Routes {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(config) = self.file.read()?.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let routes = config.routes().iter();
        let rows: Vec<_> = routes.map(|route| row(route, &config)).collect();
        print!("{}", table(HEAD, &rows));
        Ok(ExitCode::SUCCESS)
    }
}

fn row(route: &Route, config: &Config) -> [String; 5] {
    let keys = config.policies(route);
    [
        route.name(),
        matched(route),
        callers(&keys) + &networks(&keys),
        limits(&keys),
        target(route),
    ]
}

fn matched(route: &Route) -> String {
    let matches = &route.matches;
    let methods = matches
        .methods
        .as_ref()
        .map(|methods| MethodSet::of(methods.value.iter().copied()));
    let mut text = methods
        .map(|methods| format!("{} ", methods.to_string().replace(", ", ",")))
        .unwrap_or_default();
    if let Some(host) = &matches.host {
        text.push_str(&host.value.to_string());
    }
    text.push_str(&matches.path.value.to_string());
    if let Some(when) = &matches.when {
        for (name, value) in &when.headers.0 {
            text.push_str(&format!(" {}={}", name.value, value.value));
        }
        for (name, value) in &when.query.0 {
            text.push_str(&format!(" ?{}={}", name.value, value.value));
        }
    }
    text
}

fn callers(keys: &Keys) -> String {
    match keys.auth.as_ref().map(|auth| &auth.value) {
        None | Some(Access::Public) => "anyone".to_owned(),
        Some(Access::Required(requirement)) => {
            let list = |roles: &At<Vec<At<String>>>, glue| {
                let names: Vec<_> = roles.value.iter().map(|role| role.value.as_str()).collect();
                names.join(glue)
            };
            let with = match (&requirement.issuers, requirement.api_key) {
                (None, true) => Some("API key".to_owned()),
                (Some(issuers), true) => {
                    Some(format!("API key or token of {}", list(issuers, ", ")))
                }
                (_, false) => None,
            };
            let any = requirement.roles.as_ref().map(|roles| list(roles, " or "));
            let all = requirement
                .all_roles
                .as_ref()
                .map(|roles| list(roles, " and "));
            let roles: Vec<_> = any.into_iter().chain(all).collect();
            match (with, roles.is_empty()) {
                (Some(with), true) => with,
                (Some(with), false) => format!("{with}: {}", roles.join("; ")),
                (None, true) => "signed in".to_owned(),
                (None, false) => roles.join("; "),
            }
        }
    }
}

/// The networks that may call, and those that may not; of long lists the beginning.
fn networks(keys: &Keys) -> String {
    let list = |word, list: &Option<At<List>>| {
        let networks = list.as_ref().map(|list| &list.value.networks);
        let Some(networks) = networks.filter(|networks| !networks.is_empty()) else {
            return String::new();
        };
        let shown: Vec<_> = networks
            .iter()
            .take(2)
            .map(|network| networks::shown(network.value))
            .collect();
        let more = match networks.len() - shown.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!(" {word} {}{more}", shown.join(", "))
    };
    list("from", &keys.allow) + &list("but not", &keys.deny)
}

fn limits(keys: &Keys) -> String {
    let uses = keys.limits.iter().flatten();
    let names: Vec<_> = uses
        .map(|limit| match limit {
            Use::Named(name) => name.value.clone(),
            Use::Own(_) => "(own)".to_owned(),
        })
        .collect();
    match names.is_empty() {
        true => "-".to_owned(),
        false => names.join(", "),
    }
}

fn target(route: &Route) -> String {
    let targets = &route.targets;
    if let Some(redirect) = &targets.redirect {
        return format!("{} {}", redirect.status.value, redirect.to.value.0);
    }
    if let Some(respond) = &targets.respond {
        return format!("answers {}", respond.status.value);
    }
    let split = targets
        .upstream
        .as_ref()
        .map(|split| split.value.0.as_slice())
        .unwrap_or_default();
    let name = match split {
        [(only, _)] => only.value.clone(),
        several => several
            .iter()
            .map(|(name, weight)| format!("{} {weight}", name.value))
            .collect::<Vec<_>>()
            .join(" / "),
    };
    match &route.policies.rewrite {
        Some(rewrite) => format!("{name} {}", rewrite.value),
        None => name,
    }
}

const HEAD: [&str; 5] = ["ROUTE", "MATCH", "WHO MAY CALL", "LIMITS", "GOES TO"];
