//! `airside role`: who may do what, from the shell.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::shell::EXIT_CODES;
use super::table::table;
use super::{File, Format};
use crate::base::units::show_time;
use crate::identity::service::Admin;
use crate::identity::store::Source;

#[derive(Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum Role {
    /// Give somebody a role; does nothing where they have it
    Grant(Assignment),
    /// Take a role from somebody; does nothing where they don't have it
    Revoke(Assignment),
    /// Show the roles that there are
    List(List),
}

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Assignment {
    /// The user's id or e-mail address
    user: String,
    /// The role's name
    role: String,
    #[command(flatten)]
    file: File,
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

impl Role {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Grant(assignment) => assignment.execute(true),
            Self::Revoke(assignment) => assignment.execute(false),
            Self::List(list) => list.execute(),
        }
    }
}

impl Assignment {
    fn execute(self, grant: bool) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            let (by, source) = (Admin::shell(), Source::default());
            let user = service.find_user(by, &self.user).await?.id.to_string();
            match grant {
                true => service.grant_role(by, &user, &self.role, source).await?,
                false => service.revoke_role(by, &user, &self.role, source).await?,
            }
            Ok(())
        })
    }
}

impl List {
    fn execute(self) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            let roles = service.roles(Admin::shell()).await?;
            let since = |role: &crate::identity::store::Role| show_time(role.created_at);
            match self.format {
                Format::Text => {
                    let rows: Vec<_> = roles
                        .iter()
                        .map(|role| [role.name.clone(), since(role)])
                        .collect();
                    print!("{}", table(["ROLE", "SINCE"], &rows));
                }
                Format::Json => {
                    let roles: Vec<_> = roles
                        .iter()
                        .map(|role| json!({ "name": role.name, "created_at": since(role) }))
                        .collect();
                    println!("{}", serde_json::to_string_pretty(&roles)?);
                }
            }
            Ok(())
        })
    }
}
