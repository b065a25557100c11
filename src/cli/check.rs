//! `airside check`.

use std::process::ExitCode;

use clap::Args;

use super::{File, Format};

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    file: File,
    /// For people, or for editors and CI
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Check {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let read = self.file.read()?;
        let sound = !read.report().has_errors();
        match self.format {
            Format::Json => {
                let json = read.report().json(&read.name(), &read.loaded.source);
                println!("{}", serde_json::to_string_pretty(&json)?);
            }
            Format::Text => {
                read.print_problems();
                if sound {
                    let routes = read
                        .loaded
                        .config
                        .as_ref()
                        .map_or(0, |config| config.routes().len());
                    println!("{}: sound, {routes} routes", read.name());
                }
            }
        }
        Ok(if sound {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
