//! `airside routes`: the routes as a table, most of what an operator asks at a glance.

use std::process::ExitCode;

use clap::Args;

use super::explain::story::masked;
use super::table::table;
use super::{File, Format};
use crate::base::networks;
use crate::base::yaml::At;
use crate::config::{Config, Route};
use crate::policy::Keys;
use crate::policy::access::List;
use crate::policy::auth::Access;
use crate::policy::limits::Use;

#[derive(Args)]
pub struct Routes {
    #[command(flatten)]
    file: File,
    /// A table for people, or an array for scripts
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Routes {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let read = self.file.read()?;
        let secrets = read.secrets();
        let Some(config) = read.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let row = |route| row(route, &config).map(|cell| masked(&cell, &secrets));
        let routes = config.routes().iter();
        match self.format {
            Format::Json => {
                let routes: Vec<_> = routes
                    .map(|route| object(route, row(route), &config))
                    .collect();
                println!("{}", serde_json::to_string_pretty(&routes)?);
            }
            Format::Text => {
                let rows: Vec<_> = routes.map(row).collect();
                print!("{}", table(HEAD, &rows));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(route: &Route, config: &Config) -> [String; 5] {
    let keys = config.policies(route);
    [
        route.name(),
        route.matches.text(),
        callers(&keys) + &networks(&keys),
        limits(&keys),
        target(route),
    ]
}

/// The cells of a row by name, and what scripts need to find the route in its file.
fn object(route: &Route, row: [String; 5], config: &Config) -> serde_json::Value {
    let [name, matches, who, _, goes_to] = row;
    let keys = config.policies(route);
    serde_json::json!({
        "name": name,
        "line": route.place.line,
        "match": matches,
        "host": route.matches.host.as_ref().map(|host| host.value.to_string()),
        "path": route.matches.path.value.to_string(),
        "methods": route.matches.methods.as_ref().map(|methods| {
            methods.value.iter().map(|method| method.word()).collect::<Vec<_>>()
        }),
        "who": who,
        "public": matches!(keys.auth.as_ref().map(|auth| &auth.value), Some(Access::Public)),
        "limits": names(&keys),
        "goes_to": goes_to,
    })
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
                    Some(format!("API key or token of {}", list(issuers, " or ")))
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
                (None, is_empty) => {
                    let who = match is_empty {
                        true => "signed in".to_owned(),
                        false => roles.join("; "),
                    };
                    match &requirement.issuers {
                        Some(issuers) => format!("{who}, at {}", list(issuers, " or ")),
                        None => who,
                    }
                }
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

fn names(keys: &Keys) -> Vec<String> {
    let uses = keys.limits.iter().flatten();
    uses.map(|limit| match limit {
        Use::Named(name) => name.value.clone(),
        Use::Own(_) => "(own)".to_owned(),
    })
    .collect()
}

fn limits(keys: &Keys) -> String {
    let names = names(keys);
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
