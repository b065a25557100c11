//! The command line: one file a command. Results go to stdout, diagnostics to stderr.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::base::report::Report;
use crate::base::secret;
use crate::config::{self, Config};
use crate::plan::{self, Shared};
use crate::server;

mod check;
mod demo;
mod explain;
mod keys;
mod migrate;
mod role;
mod routes;
mod run;
mod shell;
mod table;
mod test;
mod user;
mod version;

/// An API gateway with identity built in: one binary, one YAML file.
#[derive(Parser)]
#[command(name = "airside", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway and, where the configuration has `identity:`, the identity service
    Run(run::Run),
    /// Run the whole system with two small services, and print what to try
    Demo(demo::Demo),
    /// Show all problems of a configuration: exit 0 sound, 1 problems, 2 usage
    Check(check::Check),
    /// Walk one request through a configuration offline: its route, each policy's word, where it goes
    Explain(explain::Explain),
    /// Run the `tests:` of a configuration, on a clock of their own and without a network
    Test(test::Test),
    /// Show the routes as a table
    Routes(routes::Routes),
    /// Print the configuration's JSON Schema
    Schema,
    /// People who can sign in
    #[command(subcommand)]
    User(user::User),
    /// Who may do what
    #[command(subcommand)]
    Role(role::Role),
    /// The keys that tokens are signed with
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Bring the schema of the users' database up to date, and say what was done
    Migrate(migrate::Migrate),
    /// Version, commit, Pingora's version, features
    Version,
}

/// Which configuration.
#[derive(Args)]
struct File {
    /// The configuration file
    #[arg(
        short = 'c',
        long = "config",
        env = "AIRSIDE_CONFIG",
        default_value = "conf/airside.yaml",
        value_name = "FILE"
    )]
    file: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    // One backend each, chosen before anything uses them: both libraries refuse to guess.
    let _ = rustls::crypto::ring::default_provider().install_default();
    crate::token::install_crypto();
    let result = match Cli::parse().command {
        Command::Run(command) => command.execute(),
        Command::Demo(command) => command.execute(),
        Command::Check(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        Command::Test(command) => command.execute(),
        Command::Routes(command) => command.execute(),
        Command::Schema => print_schema(),
        Command::User(command) => command.execute(),
        Command::Role(command) => command.execute(),
        Command::Keys(command) => command.execute(),
        Command::Migrate(command) => command.execute(),
        Command::Version => version::execute(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("airside: {}", told(&error));
        shell::exit_code(&error)
    })
}

/// An error and its causes on one line; a cause that its error repeats in its own words is left out.
fn told(error: &anyhow::Error) -> String {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

/// A configuration that was read and found sound, or what is wrong with it.
struct Read {
    loaded: config::Loaded,
}

impl File {
    /// Reads, checks and compiles; nothing is opened or started. Errors: the file can't be read.
    fn read(&self) -> anyhow::Result<Read> {
        let loaded = config::load(&self.file);
        let loaded = loaded
            .map_err(|error| anyhow::anyhow!("can't read {}: {error}", self.file.display()))?;
        Ok(Read::new(loaded))
    }

    /// The folder that relative paths are relative to.
    fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

impl Read {
    fn new(mut loaded: config::Loaded) -> Self {
        if let Some(config) = &loaded.config {
            plan::compile(config, &Shared::offline(config), None, &mut loaded.report);
            server::files::check(config, server::files::most(), &mut loaded.report);
            config::advise(config, &mut loaded.report);
        }
        loaded.report = std::mem::take(&mut loaded.report).sorted();
        Self { loaded }
    }

    /// The configuration, or `None` after its problems were printed.
    fn sound(self) -> Option<Config> {
        self.sound_from().map(|(config, _)| config)
    }

    /// The same, with where it was read from.
    fn sound_from(self) -> Option<(Config, server::Origin)> {
        self.print_problems();
        let sound = !self.loaded.report.has_errors();
        let config = self.loaded.config.filter(|_| sound)?;
        let origin = server::Origin {
            file: Some(self.loaded.file),
            references: self.loaded.references,
            source: self.loaded.source,
            upgrade: false,
        };
        Some((config, origin))
    }

    fn print_problems(&self) {
        let text = self
            .loaded
            .report
            .text(&self.name(), &self.loaded.source, colour());
        eprint!("{text}");
    }

    fn name(&self) -> String {
        self.loaded.file.display().to_string()
    }

    /// What `${…}` brought to the file, which is never printed.
    fn secrets(&self) -> Vec<String> {
        let folder = self.loaded.file.parent().unwrap_or(Path::new("."));
        secret::brought(&self.loaded.source, &secret::Process::new(folder))
    }

    fn report(&self) -> &Report {
        &self.loaded.report
    }
}

/// Colour only for people: a terminal, and no `NO_COLOR`.
fn colour() -> bool {
    std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn print_schema() -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(&config::schema())?);
    Ok(ExitCode::SUCCESS)
}
