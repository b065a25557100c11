//! `tls:` of a listener and of an upstream.

use rustls::pki_types::ServerName;

use crate::base::decode::{FromText, keys, mappings};
use crate::base::yaml::At;

keys! {
    /// TLS towards clients.
    pub struct Listener {
        /// Chosen by the name that the client asks for; the first is for all other names.
        pub certificates: At<Vec<Certificate>>,
        /// Ask for a client certificate and verify it by this authority: a PEM file.
        pub client_ca: Option<String>,
    }

    pub struct Certificate {
        /// A PEM file: the certificate and its chain.
        pub cert: String,
        /// A PEM file: its private key, readable by its owner only.
        pub key: String,
    }

    /// TLS towards an upstream.
    pub struct Upstream {
        /// The name that the servers' certificates must bear; left out, each server's own name or address.
        pub server_name: Option<Name>,
        /// Who may have signed them: a PEM file. Left out: the system's authorities.
        pub ca: Option<String>,
        /// A PEM file: the certificate that is shown to the servers, and its chain.
        pub cert: Option<At<String>>,
        /// A PEM file: its private key, readable by its owner only.
        pub key: Option<At<String>>,
    }
}
mappings!(Listener, Certificate, Upstream);

/// A DNS name or an address, never empty: an empty one would switch verification off further down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub String);

impl FromText for Name {
    const EXPECTED: &'static str = "a name such as `partners.example.com`";
    const PATTERN: &'static str = r"[A-Za-z0-9._:-]+";

    fn from_text(text: &str) -> Result<Self, String> {
        match ServerName::try_from(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err("it is neither a DNS name nor an address".to_owned()),
        }
    }
}
