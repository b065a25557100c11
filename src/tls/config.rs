//! `tls:` of a listener and of an upstream.

use crate::base::decode::{keys, mappings};

keys! {
    /// TLS towards clients.
    pub struct Listener {
        /// Chosen by the name that the client asks for.
        pub certificates: Vec<Certificate>,
        /// Ask for a client certificate and verify it by this authority.
        pub client_ca: Option<String>,
    }

    pub struct Certificate {
        /// A PEM file: the certificate and its chain.
        pub cert: String,
        /// A PEM file: its private key.
        pub key: String,
    }

    /// TLS towards an upstream.
    pub struct Upstream {
        /// The name that the upstream's certificate must bear.
        pub server_name: String,
        pub ca: Option<String>,
        pub cert: Option<String>,
        pub key: Option<String>,
    }
}
mappings!(Listener, Certificate, Upstream);
