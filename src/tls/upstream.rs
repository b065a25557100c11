//! TLS towards an upstream's servers: whom to trust, and what to show them.

use std::path::Path;
use std::sync::Arc;

use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::config::Upstream;
use super::pem::{self, TlsError};

/// An upstream's `tls:`, its files read.
#[derive(Debug, Clone)]
pub struct Outward {
    server_name: Option<String>,
    ca: Option<Arc<CaType>>,
    identity: Option<Arc<CertKey>>,
}

/// Other files under the same names are another definition.
impl PartialEq for Outward {
    fn eq(&self, other: &Self) -> bool {
        let authorities = |outward: &Self| {
            let list = outward.ca.as_ref()?.iter();
            Some(
                list.map(|one| one.borrow_raw_cert().clone())
                    .collect::<Vec<_>>(),
            )
        };
        let shown = |outward: &Self| {
            let identity = outward.identity.as_ref()?;
            Some((
                identity.key().clone(),
                identity.leaf().borrow_raw_cert().clone(),
            ))
        };
        self.server_name == other.server_name
            && authorities(self) == authorities(other)
            && shown(self) == shown(other)
    }
}

impl Outward {
    /// Reads the files; `folder` is what relative paths are relative to.
    pub fn open(config: &Upstream, folder: &Path) -> Result<Self, TlsError> {
        let ca = config.ca.as_ref().map(|path| folder.join(path));
        let ca = ca.map(|path| {
            // Asked now, so that a wrong file is told at the start and not by every connection.
            pem::authorities(&path)?;
            certificates(&path)
        });
        let identity = match (&config.cert, &config.key) {
            (Some(cert), Some(key)) => Some(identity(
                &folder.join(&cert.value),
                &folder.join(&key.value),
            )?),
            // Invariant: the configuration was checked to have both or neither.
            _ => None,
        };
        Ok(Self {
            server_name: config.server_name.as_ref().map(|name| name.0.clone()),
            ca: ca.transpose()?.map(|list| {
                let wrapped = list
                    .into_iter()
                    .map(|der| WrappedX509::new(der, parse_x509));
                wrapped.collect::<Vec<_>>().into()
            }),
            identity,
        })
    }

    /// Puts TLS on a connection to the server that is called `server`, a name or an address. The peer's name is
    /// never empty: Pingora would not verify then.
    pub fn apply(&self, peer: &mut HttpPeer, server: &str) {
        peer.scheme = pingora::upstreams::peer::Scheme::HTTPS;
        peer.sni = self.server_name.as_deref().unwrap_or(server).to_owned();
        peer.options.ca = self.ca.clone();
        peer.client_cert_key = self.identity.clone();
    }
}

fn identity(cert: &Path, key: &Path) -> Result<Arc<CertKey>, TlsError> {
    pem::certified(cert, key)?;
    let chain = certificates(cert)?;
    let key = pem::key(key)?;
    Ok(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
}

/// All certificates of a file. Each is parsed here first, because Pingora panics on one that is none.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, TlsError> {
    let chain = pem::chain(path)?;
    let checked = chain
        .into_iter()
        .map(|der| match X509Certificate::from_der(&der) {
            Ok(_) => Ok(der.to_vec()),
            Err(why) => Err(pem::invalid(path, why)),
        });
    checked.collect()
}
