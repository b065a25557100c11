//! Whom connections of our own trust where the configuration names nobody.

use rustls::RootCertStore;

/// The system's certificate authorities; those of Mozilla's list where the system has none.
pub fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    match rustls_native_certs::load_native_certs() {
        Ok(certificates) => drop(roots.add_parsable_certificates(certificates)),
        Err(error) => log::warn!("the system's certificate authorities can't be read: {error}"),
    }
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}
