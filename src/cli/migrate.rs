//! `airside migrate`: the schema of the users' database, brought up to date. `run` does the same as it
//! starts; this is for who wants it done before, or by another account.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use super::File;
use crate::base::clock::Clock;
use crate::identity::Identity;

#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    file: File,
}

impl Migrate {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let Some(config) = self.file.read()?.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let Some(config) = config.identity.given() else {
            bail!("{} has no `identity:`", self.file.file.display());
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let clock = Clock::system();
        let applied = runtime.block_on(Identity::migrate(config, self.file.folder(), &clock))?;
        for step in &applied {
            println!("applied {step}");
        }
        if applied.is_empty() {
            println!("the schema is up to date");
        }
        Ok(ExitCode::SUCCESS)
    }
}
