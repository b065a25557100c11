//! A listener's certificates: chosen by the name that a client asks for, and read again while connections
//! live on.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use super::config::Certificate;
use super::names::Names;
use super::pem::{self, TlsError};

/// The certificates of one listener.
#[derive(Debug)]
pub struct Certificates {
    files: Vec<(PathBuf, PathBuf)>,
    current: ArcSwap<Set>,
    /// How the files stood when they were last read.
    seen: Mutex<Vec<Option<Stamp>>>,
}

#[derive(Debug)]
struct Set {
    /// For clients that ask for no name, or for one that nobody has.
    default: Arc<CertifiedKey>,
    by_name: Names<Arc<CertifiedKey>>,
}

/// Tells a file from another under its name: device, inode, size, and when it was changed.
pub(super) type Stamp = (u64, u64, u64, i64, i64);

impl Certificates {
    /// Reads all files; `folder` is what relative paths are relative to. `now` is in seconds since 1970:
    /// a certificate that is over by then is served all the same, with a warning.
    pub fn open(config: &[Certificate], folder: &Path, now: u64) -> Result<Self, TlsError> {
        let files = config.iter();
        let files = files.map(|pair| (folder.join(&pair.cert), folder.join(&pair.key)));
        let files: Vec<_> = files.collect();
        let seen = stamps(&files);
        Ok(Self {
            current: ArcSwap::from_pointee(Set::read(&files, now)?),
            seen: Mutex::new(seen),
            files,
        })
    }

    /// Reads all files again. Where one is wrong, all stay as they are.
    pub fn reload(&self, now: u64) -> Result<(), TlsError> {
        let seen = stamps(&self.files);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        let set = Set::read(&self.files, now)?;
        self.current.store(Arc::new(set));
        Ok(())
    }

    /// Reads the files again if one of them is not the one that was read. True where something was read.
    pub fn reload_if_changed(&self, now: u64) -> Result<bool, TlsError> {
        let changed = {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            *seen != stamps(&self.files)
        };
        if changed {
            self.reload(now)?;
        }
        Ok(changed)
    }

    /// Is one of the certificates for this host? It is in lower case, an IPv6 address in brackets.
    pub fn cover(&self, host: &str) -> bool {
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        self.current
            .load()
            .by_name
            .find(bare.unwrap_or(host))
            .is_some()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let set = self.current.load();
        // rustls gives the name in lower case.
        let named = hello.server_name().and_then(|name| set.by_name.find(name));
        Some(named.unwrap_or(&set.default).clone())
    }
}

impl Set {
    fn read(files: &[(PathBuf, PathBuf)], now: u64) -> Result<Self, TlsError> {
        let mut by_name = Names::default();
        let mut default = None;
        for (cert, key) in files {
            let certified = Arc::new(pem::certified(cert, key)?);
            let leaf = certified
                .cert
                .first()
                .map(AsRef::as_ref)
                .unwrap_or_default();
            let (_, parsed) =
                X509Certificate::from_der(leaf).map_err(|why| pem::invalid(cert, why))?;
            for name in names(&parsed) {
                by_name.claim(&name, certified.clone());
            }
            let ends = parsed.validity().not_after.timestamp();
            if u64::try_from(ends).unwrap_or(0) <= now {
                log::warn!(
                    "{}: this certificate is over; clients will refuse it",
                    cert.display()
                );
            }
            default.get_or_insert(certified);
        }
        // Invariant: the configuration was checked to have one.
        let default = default.ok_or_else(|| pem::invalid(Path::new("tls"), "no certificate"))?;
        Ok(Self { default, by_name })
    }
}

/// What the certificate is for. Its common name counts only where there is nothing newer (RFC 6125 §6.4.4).
fn names(certificate: &X509Certificate) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let listed = alternative
        .iter()
        .flat_map(|names| &names.value.general_names);
    let listed: Vec<_> = listed
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        })
        .collect();
    if !listed.is_empty() {
        return listed;
    }
    let common = certificate.subject().iter_common_name();
    common
        .filter_map(|name| Some(name.as_str().ok()?.to_owned()))
        .collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let sixteen = || <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from);
    Some(four.or_else(|_| sixteen()).ok()?.to_string())
}

fn stamps(files: &[(PathBuf, PathBuf)]) -> Vec<Option<Stamp>> {
    let all = files.iter().flat_map(|(cert, key)| [cert, key]);
    all.map(|path| stamp(path)).collect()
}

/// `None` where there is no such file.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = path.metadata().ok()?;
    let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
    Some((
        metadata.dev(),
        metadata.ino(),
        metadata.len(),
        seconds,
        nanos,
    ))
}
