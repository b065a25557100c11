//! `airside run`.

use std::process::ExitCode;

use clap::Args;

use super::File;
use crate::server::Assembly;
use crate::telemetry::logs;

#[derive(Args)]
pub struct Run {
    /// Take the listening sockets over from the process that serves, which then leaves
    #[arg(long)]
    upgrade: bool,
    #[command(flatten)]
    file: File,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let Some((config, mut origin)) = self.file.read()?.sound_from() else {
            return Ok(ExitCode::FAILURE);
        };
        logs::install(&config.telemetry.log)?;
        let addresses: Vec<_> = config
            .listeners()
            .iter()
            .map(|listener| listener.address.value.to_string())
            .collect();
        let routes = config.routes().len();
        origin.upgrade = self.upgrade;
        let assembly = Assembly::new(config, self.file.folder(), origin)?;
        assembly.run(move || log::info!("serving {routes} routes on {}", addresses.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}
