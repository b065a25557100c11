//! `airside user add`: an account, from the shell. The first administrator is made here, because only
//! administrators make others.

use std::io::{self, Read as _};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use crate::base::decode::FromText;
use crate::cli::File;
use crate::cli::shell::{self, EXIT_CODES};
use crate::identity::Identity;
use crate::identity::role::RoleName;
use crate::identity::service::Service;

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
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

impl Add {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        self.file.with_identity(async |service| {
            let password = password()?;
            let id = make(service, &self.email, &password, &self.roles).await?;
            println!("{id}");
            Ok(())
        })
    }
}

/// Makes an account and gives its id.
pub fn add(
    identity: &Identity,
    email: &str,
    password: &str,
    roles: &[RoleName],
) -> anyhow::Result<String> {
    shell::run(identity, async |service| {
        make(service, email, password, roles).await
    })
}

async fn make(
    service: &Service,
    email: &str,
    password: &str,
    roles: &[RoleName],
) -> anyhow::Result<String> {
    let user = service.add_user(email, password, roles).await;
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
