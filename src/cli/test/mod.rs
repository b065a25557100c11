//! `airside test`: requests, and what should become of them, decided on by what serves traffic; on a clock that stands
//! still until a test moves it, and without a network.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{File, Format, colour};
use crate::base::decode::{Decode, FromText};
use crate::base::report::Report;
use crate::base::units::Share;
use crate::base::{secret, yaml};
use crate::config::cases::{Case, Cases};
use crate::config::{self, Config};

mod judge;
mod play;
mod tell;

#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub struct Test {
    #[command(flatten)]
    file: File,
    /// For people, or for CI
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Fail where tests reach a smaller share of the routes
    #[arg(long, value_name = "SHARE", value_parser = Share::from_text)]
    coverage: Option<Share>,
    /// More tests: files with nothing but a `tests:` block
    #[arg(value_name = "FILE")]
    more: Vec<PathBuf>,
}

/// Tests of one file.
struct Suite {
    file: String,
    cases: Vec<Case>,
}

impl Test {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        let read = self.file.read()?;
        let (file, mut secrets) = (read.name(), read.secrets());
        let Some(config) = read.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let mut suites = vec![Suite {
            cases: config.tests.0.clone(),
            file: file.clone(),
        }];
        let mut sound = true;
        for file in &self.more {
            match suite(file, &config, &mut secrets)? {
                Some(suite) => suites.push(suite),
                None => sound = false,
            }
        }
        if !sound {
            return Ok(ExitCode::FAILURE);
        }
        let results = play::all(&config, &file, &suites, &secrets)?;
        let summary = tell::Summary::new(&config, file, results);
        let wanted = self.coverage.map(|share| share.0);
        match self.format {
            Format::Text => print!("{}", summary.text(wanted)),
            Format::Json => println!("{}", serde_json::to_string_pretty(&summary.json())?),
        }
        let enough = wanted.is_none_or(|share| summary.coverage() >= share);
        Ok(match summary.failed() == 0 && enough {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}

/// A file of tests; `None` after its problems were printed.
fn suite(file: &Path, config: &Config, secrets: &mut Vec<String>) -> anyhow::Result<Option<Suite>> {
    let name = file.display().to_string();
    let source = std::fs::read_to_string(file);
    let source = source.map_err(|error| anyhow::anyhow!("can't read {name}: {error}"))?;
    let references = secret::Process::new(file.parent().unwrap_or(Path::new(".")));
    let mut report = Report::default();
    let cases = match yaml::read(&source) {
        Ok(mut node) => {
            secret::resolve(&mut node, &references, &mut report);
            Cases::decode(&node, &mut report)
        }
        Err(problem) => {
            report.push(problem);
            None
        }
    };
    if let Some(cases) = &cases {
        config::check_cases(config, &cases.tests.0, &mut report);
    }
    let report = report.sorted();
    eprint!("{}", report.text(&name, &source, colour()));
    secrets.extend(secret::brought(&source, &references));
    Ok(cases.filter(|_| !report.has_errors()).map(|cases| Suite {
        file: name,
        cases: cases.tests.0,
    }))
}

const EXIT_CODES: &str = "Exit codes: 0 all tests pass; 1 one failed, too few routes are covered, \
or a file is refused; 2 usage";
