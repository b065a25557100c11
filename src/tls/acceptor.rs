//! TLS with a listener's clients: the handshake, which has a deadline, and the files that it needs, which are read again
//! while connections live on.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use pingora::listeners::ALPN;
use pingora::listeners::tls::{Acceptor as Handshakes, TlsSettings};
use pingora::protocols::IO;
use pingora::protocols::tls::TlsStream;
use tokio::time::timeout;

use super::Certificates;
use super::certificates::{Stamp, stamp};
use super::client::{Witness, verifier};
use super::pem::{self, TlsError};

/// A listener's `tls`.
pub struct Acceptor {
    certificates: Arc<Certificates>,
    clients: Option<Authorities>,
    alpn: ALPN,
    current: ArcSwap<Handshakes>,
}

/// Why a connection never came to speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    #[error("its TLS handshake took too long")]
    Slow,
    #[error("its TLS handshake failed: {0}")]
    Failed(Box<pingora::Error>),
}

/// Whose client certificates are taken.
struct Authorities {
    path: PathBuf,
    /// How the file stood when it was last read.
    seen: Mutex<Option<Stamp>>,
}

impl Acceptor {
    /// `clients` are the authorities of client certificates; where there are some, each client must show one. `alpn`
    /// is what the handshake chooses from.
    pub fn open(
        certificates: Certificates,
        clients: Option<PathBuf>,
        alpn: ALPN,
    ) -> Result<Self, TlsError> {
        let certificates = Arc::new(certificates);
        let clients = clients.map(|path| Authorities {
            seen: Mutex::new(stamp(&path)),
            path,
        });
        let current = handshakes(&certificates, clients.as_ref(), &alpn)?;
        Ok(Self {
            current: ArcSwap::from_pointee(current),
            certificates,
            clients,
            alpn,
        })
    }

    /// Shakes hands with a client, within `patience` from its first byte to its last: or one that sends nothing, or a
    /// byte now and then, would hold its connection.
    pub async fn accept<S: IO + 'static>(
        &self,
        stream: S,
        patience: Duration,
    ) -> Result<TlsStream<S>, HandshakeError> {
        let current = self.current.load_full();
        let shaken = timeout(patience, current.tls_handshake(stream)).await;
        shaken
            .map_err(|_| HandshakeError::Slow)?
            .map_err(HandshakeError::Failed)
    }

    /// Reads the certificates, and the authorities of clients. Of each it tells how that went; what is wrong stays as
    /// it was. `now` is in seconds since 1970.
    pub fn reload(&self, now: u64) -> Vec<Result<(), TlsError>> {
        let clients = self.clients.as_ref();
        let clients = clients.map(|clients| self.read_clients(clients));
        [self.certificates.reload(now)]
            .into_iter()
            .chain(clients)
            .collect()
    }

    /// The same for the files that are not those that were read; of others it tells nothing.
    pub fn reload_if_changed(&self, now: u64) -> Vec<Result<(), TlsError>> {
        let certificates = match self.certificates.reload_if_changed(now) {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(why) => Some(Err(why)),
        };
        let clients = self.clients.as_ref().filter(|clients| clients.changed());
        let clients = clients.map(|clients| self.read_clients(clients));
        certificates.into_iter().chain(clients).collect()
    }

    /// Handshakes that have begun end with the authorities of before. What a connection resumes goes with them too:
    /// nobody comes in by a session that another authority has opened.
    fn read_clients(&self, clients: &Authorities) -> Result<(), TlsError> {
        *clients.seen.lock().unwrap_or_else(PoisonError::into_inner) = stamp(&clients.path);
        let next = handshakes(&self.certificates, Some(clients), &self.alpn)?;
        self.current.store(Arc::new(next));
        Ok(())
    }
}

impl Authorities {
    fn changed(&self) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen != stamp(&self.path)
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Acceptor")
            .field("certificates", &self.certificates)
            .field(
                "clients",
                &self.clients.as_ref().map(|clients| &clients.path),
            )
            .finish_non_exhaustive()
    }
}

fn handshakes(
    certificates: &Arc<Certificates>,
    clients: Option<&Authorities>,
    alpn: &ALPN,
) -> Result<Handshakes, TlsError> {
    let witness = Box::new(Witness(certificates.clone()));
    // Its signature can fail; with rustls it does not.
    let settings = TlsSettings::with_callbacks(witness);
    let mut settings = settings.map_err(|why| pem::invalid("tls".as_ref(), why))?;
    settings.set_cert_resolver(certificates.clone());
    settings.set_alpn(alpn.clone());
    if let Some(clients) = clients {
        settings.set_client_cert_verifier(verifier(&clients.path)?);
    }
    Ok(settings.build())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::tls::config::Certificate;

    fn acceptor() -> (Acceptor, tempfile::TempDir) {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        let key = folder.path().join("a.key");
        std::fs::write(folder.path().join("a.pem"), made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = Certificate {
            cert: "a.pem".to_owned(),
            key: "a.key".to_owned(),
        };
        let certificates = Certificates::open(&[config], folder.path(), 0).unwrap();
        let acceptor = Acceptor::open(certificates, None, ALPN::H1).unwrap();
        (acceptor, folder)
    }

    /// What becomes of a handshake with such a client, and when.
    async fn shake(client: impl AsyncFnOnce(DuplexStream)) -> (HandshakeError, Duration) {
        let (acceptor, _folder) = acceptor();
        let (theirs, ours) = duplex(4096);
        let begun = Instant::now();
        let shaking = async {
            let shaken = acceptor.accept(ours, Duration::from_secs(10)).await;
            (shaken.map(drop).unwrap_err(), begun.elapsed())
        };
        let talking = async {
            client(theirs).await;
            std::future::pending().await
        };
        tokio::select! {
            end = shaking => end,
            () = talking => unreachable!(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_silent_or_drips_is_cut_when_its_time_is_up_and_not_later() {
        let (why, took) = shake(async |theirs| {
            let _held = theirs;
            std::future::pending().await
        })
        .await;
        assert!(matches!(why, HandshakeError::Slow), "{why}");
        assert_eq!(took, Duration::from_secs(10));
        let (why, took) = shake(async |mut theirs| {
            // The beginning of a long record: each byte is a good one.
            for byte in [22, 3, 1, 2, 0, 1].into_iter().chain([0; 400]) {
                theirs.write_all(&[byte]).await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
        assert!(matches!(why, HandshakeError::Slow), "{why}");
        assert_eq!(took, Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_handshake_ends_at_once() {
        let (why, took) = shake(async |mut theirs| {
            theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            std::future::pending().await
        })
        .await;
        assert!(matches!(why, HandshakeError::Failed(_)), "{why}");
        assert_eq!(took, Duration::ZERO);
    }
}
