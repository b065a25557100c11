//! `airside keys`: which keys sign and verify tokens, and a new one in place of the one in use. Runs
//! beside a gateway: the folder of keys and the store are all that they share.

use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;

use super::{File, Format};
use crate::base::clock::Clock;
use crate::identity::Identity;
use crate::identity::config::StoreAddress;
use crate::identity::rotation::KeyState;
use crate::identity::service::{Admin, ListedKey};

#[derive(Subcommand)]
pub enum Keys {
    /// Show all keys, what each one is for now, and since when
    List(List),
    /// Make a new key; a running gateway signs with it in a few seconds, and the old one retires
    Rotate(Rotate),
}

#[derive(Args)]
pub struct List {
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    file: File,
}

#[derive(Args)]
pub struct Rotate {
    #[command(flatten)]
    file: File,
}

impl Keys {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.execute(),
            Self::Rotate(rotate) => rotate.execute(),
        }
    }
}

impl List {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(identity) = open(&self.file)? else {
            return Ok(ExitCode::FAILURE);
        };
        let list = async {
            identity.prepared().await?;
            anyhow::Ok(identity.service().list_keys(Admin::shell()).await?)
        };
        let keys = run(list)?;
        match self.format {
            Format::Json => {
                let keys: Vec<_> = keys.iter().map(as_json).collect();
                let text = serde_json::to_string_pretty(&json!({ "keys": keys }))?;
                println!("{text}");
            }
            Format::Text if keys.is_empty() => {
                eprintln!("there is no key yet, or `HS256` signs, whose one key is the secret");
            }
            Format::Text => print!("{}", as_table(&keys)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Rotate {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(identity) = open(&self.file)? else {
            return Ok(ExitCode::FAILURE);
        };
        let rotate = async {
            identity.prepared().await?;
            anyhow::Ok(identity.service().rotate_keys(Admin::shell()).await?)
        };
        println!("{}", run(rotate)?);
        eprintln!("a gateway that uses this folder of keys signs with it in some five seconds");
        Ok(ExitCode::SUCCESS)
    }
}

/// `None` after the configuration's problems were printed.
fn open(file: &File) -> anyhow::Result<Option<Identity>> {
    let Some(config) = file.read()?.sound() else {
        return Ok(None);
    };
    let Some(config) = config.identity.given() else {
        bail!("{} has no `identity:`", file.file.display());
    };
    if config.store == StoreAddress::SqliteMemory {
        bail!("the store is the running gateway's memory, where no other process can look");
    }
    let identity = Identity::open(config, file.folder(), Clock::system())?;
    Ok(Some(identity))
}

fn run<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
}

fn as_json(listed: &ListedKey) -> serde_json::Value {
    let key = &listed.key;
    json!({
        "kid": key.kid(),
        "algorithm": key.key.algorithm().name(),
        "state": key.state().word(),
        "published_at": time(key.published_at),
        "active_at": key.active_at.map(time),
        "retiring_at": key.retiring_at.map(time),
        "retired_at": key.retired_at.map(time),
        "here": listed.is_here,
    })
}

fn as_table(keys: &[ListedKey]) -> String {
    let head = ["KEY", "ALGORITHM", "STATE", "SINCE", "PRIVATE HALF"].map(str::to_owned);
    let rows = keys.iter().map(|listed| {
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
            since.map(time).unwrap_or_default(),
            if listed.is_here { "here" } else { "not here" }.to_owned(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut table = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let widths = rows.iter().filter_map(|row| row.get(column));
            let width = widths.map(String::len).max().unwrap_or(0);
            table.push_str(&format!("{cell:width$}  "));
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    table
}

/// RFC 3339, in UTC, to the second.
fn time(unix_millis: u64) -> String {
    let seconds = i64::try_from(unix_millis / 1_000).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
}
