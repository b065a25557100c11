//! `airside user`: people, from the shell.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::shell::EXIT_CODES;
use super::table::table;
use super::{File, Format};
use crate::base::units::show_time;
use crate::identity::service::Admin;
use crate::identity::store::Source;
use crate::identity::user::User as Account;

mod add;
mod import;

pub use add::add;

#[derive(Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum User {
    /// Make an account
    Add(add::Add),
    /// Take accounts of another system over, with the hashes of their passwords
    Import(import::Import),
    /// Show the accounts
    List(List),
    /// Let somebody in no more, and end their sessions
    Disable(Which),
    /// Let somebody in again
    Enable(Which),
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct List {
    /// Only those whose e-mail address has this in it
    #[arg(default_value = "")]
    query: String,
    /// A table for people, or an array for scripts
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    #[command(flatten)]
    file: File,
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Which {
    /// The user's id or e-mail address
    user: String,
    #[command(flatten)]
    file: File,
}

impl User {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add(command) => command.execute(),
            Self::Import(command) => command.execute(),
            Self::List(command) => command.execute(),
            Self::Disable(which) => which.set_disabled(true),
            Self::Enable(which) => which.set_disabled(false),
        }
    }
}

impl List {
    fn execute(self) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            let mut users = Vec::new();
            let mut cursor = None;
            loop {
                let by = Admin::shell();
                let page = service.users(by, &self.query, cursor.as_deref(), PAGE);
                let page = page.await?;
                users.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            match self.format {
                Format::Text => {
                    let rows: Vec<_> = users.iter().map(row).collect();
                    print!("{}", table(HEAD, &rows));
                }
                Format::Json => {
                    let users: Vec<_> = users.iter().map(object).collect();
                    println!("{}", serde_json::to_string_pretty(&users)?);
                }
            }
            Ok(())
        })
    }
}

impl Which {
    fn set_disabled(self, disabled: bool) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            let by = Admin::shell();
            let user = service.find_user(by, &self.user).await?;
            let id = user.id.to_string();
            let source = Source::default();
            Ok(service.set_disabled(by, &id, disabled, source).await?)
        })
    }
}

fn row(user: &Account) -> [String; 5] {
    [
        user.id.to_string(),
        user.email.clone(),
        user.roles.join(","),
        state(user).to_owned(),
        show_time(user.created_at),
    ]
}

fn object(user: &Account) -> serde_json::Value {
    json!({
        "id": user.id.to_string(),
        "email": user.email,
        "roles": user.roles,
        "disabled": user.disabled,
        "created_at": show_time(user.created_at),
    })
}

fn state(user: &Account) -> &'static str {
    match user.disabled {
        true => "disabled",
        false => "active",
    }
}

const HEAD: [&str; 5] = ["ID", "E-MAIL", "ROLES", "STATE", "SINCE"];
const PAGE: u32 = 200;
