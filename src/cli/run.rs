//! `airside run`.

use std::process::ExitCode;

use clap::Args;

use super::File;
use crate::server::Assembly;
use crate::telemetry::logs;

#[derive(Args)]
pub struct Run {
    #[command(flatten)]
    file: File,
}

impl Run {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let Some((config, file)) = self.file.read()?.sound_from() else {
            return Ok(ExitCode::FAILURE);
        };
        logs::install(&config.telemetry.log)?;
        let addresses: Vec<_> = config
            .listeners()
            .iter()
            .map(|listener| listener.address.value.to_string())
            .collect();
        let routes = config.routes().len();
        let assembly = Assembly::new(config, self.file.folder(), Some(file))?;
        assembly.run(|| log::info!("serving {routes} routes on {}", addresses.join(", ")))?;
        Ok(ExitCode::SUCCESS)
    }
}
