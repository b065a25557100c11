//! `airside user import`: accounts of another system, with the hashes of their passwords. A line that
//! can't be taken stops it before anything is written.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::base::decode::FromText;
use crate::cli::File;
use crate::cli::shell::EXIT_CODES;
use crate::identity::email::Email;
use crate::identity::refused::Refused;
use crate::identity::role::RoleName;
use crate::identity::service::{Admin, Service};
use crate::identity::user::MovedIn;

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Import {
    /// One JSON object a line: `email`, `password_hash`, and if wanted `roles`, `created_at`, `id`; `-` reads
    /// standard input
    #[arg(value_name = "LINES")]
    lines: PathBuf,
    #[command(flatten)]
    file: File,
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    email: String,
    password_hash: String,
    #[serde(default)]
    roles: Vec<String>,
    /// RFC 3339.
    created_at: Option<String>,
    /// What the other system called this user; printed beside the new id.
    #[serde(default)]
    id: Value,
}

impl Import {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let text = self.text()?;
        self.file
            .with_identity(async |service| import(service, &text).await)
    }

    fn text(&self) -> anyhow::Result<String> {
        let name = self.lines.display();
        if self.lines.as_os_str() != "-" {
            let text = std::fs::read_to_string(&self.lines);
            return text.with_context(|| format!("can't read {name}"));
        }
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.context("can't read the accounts")?;
        Ok(text)
    }
}

/// Makes all accounts, or says why which lines can't be taken. An address that has an account already is left
/// as it is, so that an import that broke off can be run again.
async fn import(service: &Service, text: &str) -> anyhow::Result<()> {
    let roles = service.roles(Admin::shell()).await?;
    let is_role = |name: &str| roles.iter().any(|role| role.name == name);
    let (mut users, mut wrong) = (Vec::new(), 0);
    let lines = (1..).zip(text.lines());
    for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        match read(line, is_role) {
            Ok((id, user)) => users.push((number, id, user)),
            Err(why) => {
                eprintln!("line {number}: {why}");
                wrong += 1;
            }
        }
    }
    if wrong > 0 {
        bail!("nothing was imported: {wrong} of the lines can't be taken");
    }
    let (mut made, mut known) = (0, 0);
    for (number, id, user) in users {
        let email = user.email.as_str().to_owned();
        match service.move_in(Admin::shell(), user).await {
            Ok(user) => {
                println!("{id}\t{}\t{email}", user.id);
                made += 1;
            }
            Err(Refused::EmailTaken) => {
                eprintln!("line {number}: {email} has an account already");
                known += 1;
            }
            Err(error) => {
                let before = format!("line {number}; {made} accounts were made before");
                return Err(anyhow::Error::new(error).context(before));
            }
        }
    }
    eprintln!("{made} accounts were made; {known} were there already");
    Ok(())
}

/// The id in the other system, and the account. The message never has the line in it: it holds a hash.
fn read(line: &str, is_role: impl Fn(&str) -> bool) -> Result<(String, MovedIn), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let email = Email::parse(&line.email).map_err(|why| format!("`email`: {why}"))?;
    let mut roles = Vec::new();
    for role in &line.roles {
        if !is_role(role) {
            return Err(format!(
                "the role `{}` does not exist; name it in `identity.roles`, or make it before",
                role.escape_debug()
            ));
        }
        roles.push(RoleName::from_text(role)?);
    }
    roles.sort();
    roles.dedup();
    let created_at = line.created_at.map(|text| text.parse::<jiff::Timestamp>());
    let created_at = created_at.transpose();
    let created_at =
        created_at.map_err(|_| "`created_at` is no time such as 2020-02-29T12:00:00Z")?;
    let user = MovedIn::new(email, &line.password_hash, roles)
        .map_err(|why| format!("`password_hash`: {why}"))?
        .created_at(created_at.and_then(|time| u64::try_from(time.as_millisecond()).ok()));
    let id = match line.id {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok((id, user))
}
