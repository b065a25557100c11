//! `airside user`: people, from the shell. The first administrator is made here, because only
//! administrators make others.

use std::io::{self, Read as _};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use super::File;
use crate::base::clock::Clock;
use crate::base::decode::FromText;
use crate::identity::Identity;
use crate::identity::role::RoleName;

mod import;

#[derive(Subcommand)]
pub enum User {
    /// Make an account
    Add(Add),
    /// Take accounts of another system over, with the hashes of their passwords
    Import(import::Import),
}

#[derive(Args)]
pub struct Add {
    /// The e-mail address that the person signs in with
    email: String,
    /// A role that the account gets; may stand several times
    #[arg(long = "role", value_name = "ROLE", value_parser = role)]
    roles: Vec<RoleName>,
    /// Read the password from standard input; an argument would show up in the list of processes
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    file: File,
}

impl User {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Add(add) => add.execute(),
            Self::Import(import) => import.execute(),
        }
    }
}

impl Add {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(config) = self.file.read()?.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let Some(config) = config.identity.given() else {
            bail!("{} has no `identity:`", self.file.file.display());
        };
        let password = password()?;
        let identity = Identity::open(config, self.file.folder(), Clock::system())?;
        let id = add(&identity, &self.email, &password, &self.roles)?;
        println!("{id}");
        Ok(ExitCode::SUCCESS)
    }
}

/// Makes an account and gives its id.
pub fn add(
    identity: &Identity,
    email: &str,
    password: &str,
    roles: &[RoleName],
) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let add = async {
        identity.prepared().await?;
        let user = identity.service().add_user(email, password, roles).await?;
        anyhow::Ok(user)
    };
    let user = runtime.block_on(add);
    let user = user.with_context(|| format!("can't make an account for {email}"))?;
    Ok(user.id.to_string())
}

fn role(text: &str) -> Result<RoleName, String> {
    RoleName::from_text(text)
}

fn password() -> anyhow::Result<String> {
    // More than any password may have, so that a wrong file on stdin ends here.
    const MOST: u64 = 4_096;
    let mut password = String::new();
    io::stdin()
        .take(MOST)
        .read_to_string(&mut password)
        .context("can't read the password")?;
    // `echo` ends its line; a password's own spaces stay.
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}
