//! TLS to the server: what is verified, and that there is no way around it.

use std::path::Path;
use std::process::Command;

use mysql_async::prelude::Queryable;
use tempfile::TempDir;

use super::Site;
use crate::support::mariadb::Mariadb;
use crate::support::wait::wait_until;

/// A folder with an authority `ca.pem`, another one `other-ca.pem`, and a certificate `server.pem` of
/// the first for `name`, with its key.
fn certificates(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "set -e
        for ca in ca other-ca; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                -subj /CN=$ca -keyout $ca.key -out $ca.pem
        done
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=db \
            -keyout server.key -out server.csr
        printf 'subjectAltName={name}\\nbasicConstraints=CA:FALSE\\n' > server.ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile server.ext -out server.pem"
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    folder
}

/// A server that takes nothing but TLS from the network.
fn server(certificates: &Path) -> Mariadb {
    let file =
        |option: &str, name: &str| format!("--{option}={}", certificates.join(name).display());
    Mariadb::start_with(&[
        file("ssl-cert", "server.pem"),
        file("ssl-key", "server.key"),
        "--require-secure-transport=ON".to_owned(),
    ])
}

/// Starts a gateway that must not get through, and waits until it says why.
async fn is_refused(url: &str, why: &str) {
    let site = Site::start(url);
    let said = async || site.readiness().await.1.to_string().contains(why);
    wait_until(why, said).await;
    assert_eq!(site.sign_in("ann@x.org").await.status, 503);
}

#[tokio::test]
async fn a_server_of_the_named_authority_is_reached_by_tls_and_no_other() {
    let certificates = certificates("IP:127.0.0.1");
    let server = server(certificates.path());
    let url = |ca: &str| {
        let ca = certificates.path().join(ca);
        format!("{}?require_ssl=true&ca={}", server.url(), ca.display())
    };
    let site = Site::ready(&url("ca.pem")).await;
    assert_eq!(site.sign_up("ann@x.org").await.status, 201);
    assert_eq!(site.sign_in("ann@x.org").await.status, 200);
    // By the network, though the server names a socket that would be at hand.
    let mut root = server.as_root().await;
    let hosts = "SELECT DISTINCT host LIKE '127.0.0.1:%' FROM information_schema.processlist
                 WHERE user = 'airside'";
    assert_eq!(root.query::<u32, _>(hosts).await.unwrap(), [1]);

    is_refused(&url("other-ca.pem"), "UnknownIssuer").await;
    // The public authorities have not signed it either.
    is_refused(
        &format!("{}?require_ssl=true", server.url()),
        "UnknownIssuer",
    )
    .await;
    // This server says so to whoever comes without TLS: what got through above had it.
    is_refused(&server.url(), "Access denied").await;
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let certificates = certificates("DNS:db.example.com");
    let server = server(certificates.path());
    let ca = certificates.path().join("ca.pem");
    let url = format!("{}?require_ssl=true&ca={}", server.url(), ca.display());
    is_refused(&url, "not valid for name").await;
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let server = Mariadb::shared();
    let url = format!("{}?require_ssl=true", server.new_database("plain").await);
    is_refused(&url, "SSL").await;
}
