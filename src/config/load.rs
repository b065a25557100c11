//! From a file to a configuration: read, resolve references, give types, check.

use std::io;
use std::path::{Path, PathBuf};

use super::Config;
use crate::base::decode::Decode;
use crate::base::report::Report;
use crate::base::secret::{self, Source};
use crate::base::yaml;

/// A file's text and what was made of it.
#[derive(Debug)]
pub struct Loaded {
    pub file: PathBuf,
    pub source: String,
    /// The files that it refers to by `${file:…}`.
    pub references: Vec<PathBuf>,
    /// `None` where the file is too far from a configuration to go on; the report says why.
    pub config: Option<Config>,
    pub report: Report,
}

/// Reads a file. Errors: it can't be read; everything else is in the report.
pub fn load(file: &Path) -> io::Result<Loaded> {
    let source = std::fs::read_to_string(file)?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let references = secret::Process::new(folder);
    let (config, report) = parse(&source, &references);
    Ok(Loaded {
        file: file.to_owned(),
        references: references.files(),
        source,
        config,
        report,
    })
}

/// Makes a configuration of a text; the report holds all that is wrong with it alone.
pub fn parse(source: &str, references: &dyn Source) -> (Option<Config>, Report) {
    let mut report = Report::default();
    let mut node = match yaml::read(source) {
        Ok(node) => node,
        Err(problem) => {
            report.push(problem);
            return (None, report);
        }
    };
    secret::resolve(&mut node, references, &mut report);
    let config = Config::decode(&node, &mut report);
    if let Some(config) = &config {
        super::check(config, &node, &mut report);
    }
    (config, report)
}
