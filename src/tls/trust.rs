//! TLS on connections that the gateway makes for itself, such as to Redis: it verifies the server, always,
//! and shows nothing of its own.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;

use super::pem::{self, TlsError};
use crate::base::trust::system_authorities;

/// Trusts the authorities of the PEM file `ca`, and nobody else; the system's where there is none.
pub fn verifying(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca {
        Some(path) => pem::authorities(path)?,
        None => system_authorities(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|why| pem::invalid(ca.unwrap_or(Path::new("tls")), why))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
