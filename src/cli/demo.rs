//! `airside demo`: the whole system at once, on one machine, with nothing else set up.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use super::Read;
use crate::base::secret::{Process, Source};
use crate::config::{self, Config};
use crate::demo::{bookings, flights, tour};
use crate::identity::Identity;
use crate::identity::refused::Refused;
use crate::identity::role::RoleName;
use crate::server::{Assembly, Origin};
use crate::telemetry::logs;
use crate::upstream::config::Address;

#[derive(Args)]
pub struct Demo {
    /// Where accounts and keys are kept; made if it is missing
    #[arg(long, default_value = "demo-data", value_name = "FOLDER")]
    data: PathBuf,
    /// Delete that folder and end
    #[arg(long)]
    clean: bool,
}

/// The demo's own file, which `airside run` takes too.
const CONFIGURATION: &str = include_str!("../../conf/airside.yaml");
const NAME: &str = "conf/airside.yaml";
const ADMIN: &str = "admin@airside.example";
/// Marks a folder that the demo made, so that `--clean` never deletes another.
const MARK: &str = ".airside-demo";

impl Demo {
    pub fn execute(self) -> anyhow::Result<ExitCode> {
        if self.clean {
            return self.delete();
        }
        let data = self.prepare()?;
        let Some(config) = configuration(&data) else {
            return Ok(ExitCode::FAILURE);
        };
        logs::install(&config.telemetry.log)?;
        let gateway = address(
            config
                .listeners()
                .first()
                .map(|listener| listener.address.value),
        )?;
        let upstreams = [
            ("flights", flights::router()),
            ("bookings", bookings::router()),
        ];
        let addresses: Vec<_> = upstreams
            .iter()
            .map(|(name, _)| server_of(&config, name))
            .collect::<Result<_, _>>()?;
        let origin = Origin {
            source: CONFIGURATION.to_owned(),
            ..Origin::default()
        };
        let mut assembly = Assembly::new(config, Path::new("."), origin)?;
        let password = first_admin(
            assembly.identity().context("the demo has no identity")?,
            &data,
        )?;
        for ((name, router), address) in upstreams.into_iter().zip(addresses) {
            assembly.serve_beside(name, address, router)?;
        }
        assembly.run(move || {
            let steps = tour::tour(&format!("http://{gateway}"), ADMIN, &password);
            println!("{}", tour::print(&steps));
            println!(
                "Accounts and keys are in {}; `airside demo --clean` deletes them. Ctrl-C ends.\n",
                data.display()
            );
        })?;
        Ok(ExitCode::SUCCESS)
    }

    /// The data folder, absolute, made and marked.
    fn prepare(&self) -> anyhow::Result<PathBuf> {
        let made = !self.data.exists();
        let mut folder = fs::DirBuilder::new();
        folder
            .recursive(true)
            .mode(0o700)
            .create(&self.data)
            .with_context(|| format!("can't make {}", self.data.display()))?;
        if made {
            fs::write(self.data.join(MARK), "made by `airside demo`\n")?;
        }
        Ok(fs::canonicalize(&self.data)?)
    }

    fn delete(&self) -> anyhow::Result<ExitCode> {
        let shown = self.data.display();
        if !self.data.exists() {
            println!("{shown} is not there");
            return Ok(ExitCode::SUCCESS);
        }
        if !self.data.join(MARK).exists() {
            bail!("{shown} was not made by the demo; delete it yourself if you are sure");
        }
        fs::remove_dir_all(&self.data).with_context(|| format!("can't delete {shown}"))?;
        println!("deleted {shown}");
        Ok(ExitCode::SUCCESS)
    }
}

/// The demo's data folder goes where the file asks for `AIRSIDE_DATA`.
struct DemoSource<'a> {
    data: &'a Path,
}

impl Source for DemoSource<'_> {
    fn env(&self, name: &str) -> Option<String> {
        match name {
            "AIRSIDE_DATA" => Some(self.data.display().to_string()),
            _ => std::env::var(name).ok(),
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Process::new(self.data).file(path)
    }
}

fn configuration(data: &Path) -> Option<Config> {
    let (config, report) = config::parse(CONFIGURATION, &DemoSource { data });
    let loaded = config::Loaded {
        file: NAME.into(),
        source: CONFIGURATION.to_owned(),
        references: Vec::new(),
        config,
        report,
    };
    Read::new(loaded).sound()
}

fn address(address: Option<SocketAddr>) -> anyhow::Result<SocketAddr> {
    address.context("the demo's configuration has no such address")
}

fn server_of(config: &Config, upstream: &str) -> anyhow::Result<SocketAddr> {
    let upstream = config.upstreams.find(upstream);
    let server = upstream.and_then(|upstream| upstream.servers.value.first());
    address(server.and_then(|server| match server.value.address {
        Address::Socket(address) => Some(address),
        Address::Name(..) => None,
    }))
}

/// The account of the tour's administrator: made once, its password kept beside the store. The file has its
/// final name only when the account is there, so that a start that was cut off is finished by the next one.
fn first_admin(identity: &Identity, data: &Path) -> anyhow::Result<String> {
    let (file, draft) = (data.join("admin-password"), data.join("admin-password.new"));
    if let Ok(password) = fs::read_to_string(&file) {
        return Ok(password.trim().to_owned());
    }
    let password = match fs::read_to_string(&draft) {
        Ok(password) if !password.trim().is_empty() => password.trim().to_owned(),
        _ => draft_password(&draft).context("can't keep the administrator's password")?,
    };
    let added = super::user::add(identity, ADMIN, &password, &[RoleName::admin()]);
    match added.map_err(|error| (error.downcast_ref() == Some(&Refused::EmailTaken), error)) {
        Ok(_) | Err((true, _)) => fs::rename(&draft, &file)?,
        Err((false, error)) => return Err(error),
    }
    Ok(password)
}

fn draft_password(draft: &Path) -> std::io::Result<String> {
    let password = format!("demo-{:016x}", rand::random::<u64>());
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(draft)?;
    writeln!(file, "{password}")?;
    Ok(password)
}
