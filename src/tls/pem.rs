//! Certificates and keys from PEM files; each error names the file and what to do.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::base::private::{self, PrivateError};

/// Why a certificate or a key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error(transparent)]
    Key(#[from] PrivateError),
    #[error("{path}: {why}", path = path.display())]
    Io { path: PathBuf, why: io::Error },
    #[error("{path} holds no {what} in PEM", path = path.display())]
    Empty { path: PathBuf, what: &'static str },
    #[error("{path}: {why}", path = path.display())]
    Invalid { path: PathBuf, why: String },
    #[error("{cert} and {key} do not belong together", cert = cert.display(), key = key.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
}

/// A certificate and the chain up to its authority, the leaf first.
pub fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|why| TlsError::Io {
        path: path.to_owned(),
        why,
    })?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|why| invalid(path, why))?;
    match chain.is_empty() {
        true => Err(TlsError::Empty {
            path: path.to_owned(),
            what: "certificate",
        }),
        false => Ok(chain),
    }
}

/// A private key. Refused where others may read the file.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let mut text = Vec::new();
    private::open(path)?
        .read_to_end(&mut text)
        .map_err(private::at(path))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::Empty {
        path: path.to_owned(),
        what: "private key",
    })
}

/// The authorities of a file.
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for authority in chain(path)? {
        store.add(authority).map_err(|why| invalid(path, why))?;
    }
    Ok(store)
}

/// A certificate with its key, which must belong together.
pub fn certified(cert: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let chain = chain(cert)?;
    let private = self::key(key)?;
    CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(|why| match why {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
        },
        why => invalid(cert, why),
    })
}

pub(super) fn invalid(path: &Path, why: impl ToString) -> TlsError {
    TlsError::Invalid {
        path: path.to_owned(),
        why: why.to_string(),
    }
}
