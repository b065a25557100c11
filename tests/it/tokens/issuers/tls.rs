//! Keys over TLS: the certificate and the name are verified, and nothing else will do.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::support::port;
use crate::support::wait::wait_until;

/// A web server of OpenSSL's with one file; it is killed when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `ca.pem`, `other-ca.pem`, and `server.pem` of the first for `localhost`.
fn certificates() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = "set -e
        for ca in ca other-ca; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                -subj /CN=$ca -keyout $ca.key -out $ca.pem
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=login \
            -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile server.ext -out server.pem";
    let output = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    folder
}

fn serve(folder: &Path, document: &str) -> Server {
    std::fs::write(folder.join("jwks.json"), document).unwrap();
    let port = port::free().port();
    let child = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-WWW",
            "-cert",
            "server.pem",
            "-key",
            "server.key",
        ])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Server { child, port }
}

#[tokio::test]
async fn keys_come_from_a_server_whose_certificate_and_name_are_right_and_from_no_other() {
    let (folder, corp) = (certificates(), Corp::new(CORP));
    let server = serve(folder.path(), &corp.jwks().to_string());
    let start = |host: &str, authority: &str| {
        let origin = Origin::start();
        let airside = Airside::with(CONFIG)
            .origin(&origin)
            .set("jwks", format!("https://{host}:{}/jwks.json", server.port))
            .file("partner.json", Corp::new(PARTNER).jwks().to_string())
            .env("SSL_CERT_FILE", folder.path().join(authority).display())
            .start();
        Site { airside, origin }
    };
    let good = start("localhost", "ca.pem");
    let token = corp.token("ES256");
    wait_until("keys over TLS", async || {
        good.api().ask("GET", "/corp", &token).await.status == 200
    })
    .await;
    for (what, host, authority) in [
        ("an unknown authority", "localhost", "other-ca.pem"),
        ("another name", "127.0.0.1", "ca.pem"),
    ] {
        let site = start(host, authority);
        wait_until(what, async || {
            let ready = ready(&site.airside).await;
            assert_eq!(ready.status, 503, "{what}: {}", ready.body);
            ready.body.contains("TLS: invalid peer certificate")
        })
        .await;
        let answer = site.api().ask("GET", "/corp", &token).await;
        answer.refused(503, "overloaded");
    }
}
