//! What the commands about people have in common: they open the identity service of a configuration, have
//! it do something as the shell, and say how that ended by a number that scripts can use.

use std::process::ExitCode;

use anyhow::bail;

use super::File;
use crate::base::clock::Clock;
use crate::identity::config::StoreAddress;
use crate::identity::refused::Refused;
use crate::identity::service::Service;
use crate::identity::store::StoreError;
use crate::identity::{Identity, OpenError};

/// For the `--help` of each command that ends by these numbers.
pub const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 refused or failed; 2 usage; 3 there is no such user or role; \
4 it is there already, in use, or the last admin; 75 the database is away, try again";

impl File {
    /// Opens the identity service and has `work` done. What is wrong with the configuration is printed.
    pub(super) fn with_identity(
        &self,
        work: impl AsyncFnOnce(&Service) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitCode> {
        let Some(config) = self.read()?.sound() else {
            return Ok(ExitCode::FAILURE);
        };
        let Some(config) = config.identity.given() else {
            bail!("{} has no `identity:`", self.file.display());
        };
        if config.store == StoreAddress::SqliteMemory {
            bail!("the store is the running gateway's memory, where no other process can look");
        }
        let identity = Identity::open(config, self.folder(), Clock::system())?;
        run(&identity, work)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Has `work` done as soon as the database is ready.
pub fn run<T>(
    identity: &Identity,
    work: impl AsyncFnOnce(&Service) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        identity.prepared().await?;
        work(identity.service()).await
    })
}

/// The number that a command ends with where it failed.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let refused = error.downcast_ref::<Refused>();
    let away = matches!(error.downcast_ref(), Some(StoreError::Unavailable(_)))
        || matches!(error.downcast_ref(), Some(OpenError::Prepare(why)) if why.is_away());
    ExitCode::from(match refused {
        Some(Refused::UnknownUser | Refused::UnknownRole) => 3,
        Some(
            Refused::EmailTaken | Refused::RoleExists | Refused::RoleInUse | Refused::LastAdmin,
        ) => 4,
        Some(Refused::StoreAway | Refused::Busy) => EX_TEMPFAIL,
        _ if away => EX_TEMPFAIL,
        _ => 1,
    })
}

/// "Try again later", in sysexits.h.
const EX_TEMPFAIL: u8 = 75;
