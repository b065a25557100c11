//! What a start is told, and why it fails.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::handover::RunDirError;
use crate::base::report::Report;
use crate::base::yaml::{self, Place};
use crate::identity::OpenError;
use crate::tls::TlsError;

/// Why a gateway does not start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the configuration has problems\n{0}")]
    Config(String),
    #[error("{0}: {1}")]
    Identity(String, OpenError),
    #[error("redis: {0}")]
    Redis(#[from] crate::limit::OpenError),
    #[error("redis.ca: {0}")]
    RedisCa(TlsError),
    #[error("the proxy can't be made, which takes a connection to 127.0.0.1: {0}")]
    Proxy(std::io::Error),
    #[error("can't take signals: {0}")]
    Signals(std::io::Error),
    #[error("the environment's AIRSIDE_DNS: `{0}` is not an address such as `127.0.0.1:53`")]
    Dns(String),
    #[error("{0}: {1}")]
    RunDir(String, RunDirError),
    #[error("`--upgrade` needs `server.run_dir`: two processes find each other there")]
    NoRunDir,
    #[error("can't watch the configuration: {0}")]
    Watch(std::io::Error),
    #[error("tracing: {0}")]
    Tracing(std::io::Error),
    #[error("tls of {0}: {1}")]
    Tls(String, TlsError),
    #[error("{0}: the access log can't be written: {1}")]
    AccessLog(String, std::io::Error),
    #[error("can't listen on {address}: {purpose}: {why}")]
    Listen {
        address: SocketAddr,
        purpose: String,
        why: std::io::Error,
    },
}

/// Where a configuration comes from, and what the process is to be.
#[derive(Debug, Default)]
pub struct Origin {
    /// What a reload reads; `None` where the configuration is part of the program.
    pub file: Option<PathBuf>,
    /// The files that it refers to.
    pub references: Vec<PathBuf>,
    /// Its text, in which problems are shown.
    pub source: String,
    /// Take the listeners over from the process that serves.
    pub upgrade: bool,
}

impl Origin {
    /// A key and where it stands; one that was left out has its default, and no line.
    pub(super) fn whereabouts(&self, key: &str, place: Place) -> String {
        match &self.file {
            Some(file) if place != Place::default() => {
                format!("`{key}` ({}:{})", file.display(), place.line)
            }
            _ => format!("`{key}`"),
        }
    }

    /// The same of a key by its path; one that was left out is looked for where it would stand.
    fn at(&self, path: &[&str]) -> String {
        self.whereabouts(&path.join("."), yaml::place_of(&self.source, path))
    }

    pub(super) fn run_dir(&self, why: RunDirError) -> StartError {
        StartError::RunDir(self.at(&["server", "run_dir"]), why)
    }

    pub(super) fn tls(&self, why: TlsError) -> StartError {
        StartError::Tls(self.at(&["listeners"]), why)
    }

    pub(super) fn access_log(&self, why: std::io::Error) -> StartError {
        StartError::AccessLog(self.at(&["telemetry", "access_log", "to"]), why)
    }

    pub(super) fn identity(&self, why: OpenError) -> StartError {
        let key: &[&str] = match &why {
            OpenError::Key(_) => &["identity", "keys"],
            OpenError::Store(_) | OpenError::Mysql(_) | OpenError::Prepare(_) => {
                &["identity", "store"]
            }
            OpenError::Threads(_) => &["identity", "password", "workers"],
        };
        StartError::Identity(self.at(key), why)
    }

    /// What only showed when the plan was made, such as a file that can't be used.
    pub(super) fn refuse(&self, report: Report) -> StartError {
        let file = self.file.as_deref().unwrap_or(Path::new("configuration"));
        let name = file.display().to_string();
        StartError::Config(report.sorted().text(&name, &self.source, false))
    }
}
