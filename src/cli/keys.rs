//! `airside keys`: which keys sign and verify tokens, a new one in place of the one in use, and the end of one. Runs
//! beside a gateway: the folder of keys and the store are all that they share.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::shell::EXIT_CODES;
use super::table::table;
use super::{File, Format};
use crate::base::units::show_time;
use crate::identity::rotation::KeyState;
use crate::identity::service::{Admin, ListedKey};

#[derive(Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum Keys {
    /// Show all keys, what each one is for now, and since when
    List(List),
    /// Make a new key; a running gateway signs with it in a few seconds, and the old one retires
    Rotate(Rotate),
    /// End a key and all its tokens at once, such as a stolen one; never the only one that signs
    Retire(Retire),
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct List {
    /// A table for people, or an array for scripts
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    file: File,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Rotate {
    #[command(flatten)]
    file: File,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Retire {
    /// As `airside keys list` shows it
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    kid: String,
    #[command(flatten)]
    file: File,
}

impl Keys {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.execute(),
            Self::Rotate(rotate) => rotate.execute(),
            Self::Retire(retire) => retire.execute(),
        }
    }
}

impl List {
    fn execute(self) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            let keys = service.list_keys(Admin::shell()).await?;
            match self.format {
                Format::Json => {
                    let keys: Vec<_> = keys.iter().map(object).collect();
                    println!("{}", serde_json::to_string_pretty(&keys)?);
                }
                Format::Text if keys.is_empty() => {
                    eprintln!("there is no key yet, or `HS256` signs, whose one key is the secret");
                }
                Format::Text => {
                    let rows: Vec<_> = keys.iter().map(row).collect();
                    print!("{}", table(HEAD, &rows));
                }
            }
            Ok(())
        })
    }
}

impl Rotate {
    fn execute(self) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            println!("{}", service.rotate_keys(Admin::shell()).await?);
            eprintln!("a gateway that uses this folder of keys signs with it in some five seconds");
            Ok(())
        })
    }
}

impl Retire {
    fn execute(self) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            service.retire_key(&self.kid, Admin::shell()).await?;
            println!("{}", self.kid);
            eprintln!("every gateway refuses its tokens within a second");
            Ok(())
        })
    }
}

fn object(listed: &ListedKey) -> serde_json::Value {
    let key = &listed.key;
    json!({
        "kid": key.kid(),
        "algorithm": key.key.algorithm().name(),
        "state": key.state().word(),
        "published_at": show_time(key.published_at),
        "active_at": key.active_at.map(show_time),
        "retiring_at": key.retiring_at.map(show_time),
        "retired_at": key.retired_at.map(show_time),
        "here": listed.is_here,
    })
}

fn row(listed: &ListedKey) -> [String; 5] {
    let key = &listed.key;
    let since = match key.state() {
        KeyState::Next => Some(key.published_at),
        KeyState::Active => key.active_at,
        KeyState::Retiring => key.retiring_at,
        KeyState::Retired => key.retired_at,
    };
    [
        key.kid().to_owned(),
        key.key.algorithm().name().to_owned(),
        key.state().word().to_owned(),
        since.map(show_time).unwrap_or_default(),
        if listed.is_here { "here" } else { "not here" }.to_owned(),
    ]
}

const HEAD: [&str; 5] = ["KEY", "ALGORITHM", "STATE", "SINCE", "PRIVATE HALF"];
