//! What a scanner finds at a listener with TLS: nothing but the two current versions, ciphers that are authenticated and
//! whose keys are forgotten, and sound groups; no renegotiation and no compression.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::support::edge::with_top;
use crate::support::origin::Origin;
use crate::support::server::Airside;
use crate::support::tls::Authority;

fn start(origin: &Origin) -> Airside {
    let listeners = r#"listeners: [{ address: "{gateway}", tls: { certificates: [{ cert: one.pem, key: one.key }] } }]"#;
    let set_up = with_top(listeners, "  - { path: /*, upstream: origin }").origin(origin);
    let leaf = Authority::new("ca").sign(&["one.test"]);
    leaf.write(set_up.folder(), "one");
    set_up.start()
}

#[test]
fn a_scanner_finds_nothing_weak() {
    let origin = Origin::start();
    let airside = start(&origin);
    let output = Command::new("sslscan")
        .args(["--xml=-", "--no-colour", "--sni-name=one.test"])
        .arg(airside.address().to_string())
        .output()
        .expect("sslscan: scripts/install-test-deps installs it");
    let found = String::from_utf8(output.stdout).unwrap();
    let all = |element: &str| {
        let start = format!("<{element} ");
        let lines = found.lines().map(str::trim);
        lines
            .filter(move |line| line.starts_with(&start))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };

    let versions = all("protocol");
    let versions: Vec<_> = ["type", "version", "enabled"]
        .map(|name| {
            versions
                .iter()
                .map(|line| attribute(line, name))
                .collect::<Vec<_>>()
        })
        .to_vec();
    assert_eq!(
        versions[0],
        ["ssl", "ssl", "tls", "tls", "tls", "tls"],
        "{found}"
    );
    assert_eq!(
        versions[1],
        ["2", "3", "1.0", "1.1", "1.2", "1.3"],
        "{found}"
    );
    assert_eq!(versions[2], ["0", "0", "0", "0", "1", "1"], "{found}");

    let ciphers: BTreeSet<String> = all("cipher")
        .iter()
        .map(|line| attribute(line, "cipher"))
        .collect();
    // Each has a key exchange that leaves nothing behind, and encrypts and authenticates at once.
    let sound = [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ];
    assert_eq!(ciphers, sound.map(str::to_owned).into(), "{found}");

    let groups: BTreeSet<String> = all("group")
        .iter()
        .map(|line| attribute(line, "id"))
        .collect();
    assert_eq!(
        groups,
        ["0x0017", "0x0018", "0x001d"].map(str::to_owned).into(),
        "{found}"
    );
    assert!(found.contains(r#"<renegotiation supported="0""#), "{found}");
    let heartbleed = all("heartbleed");
    assert!(
        heartbleed
            .iter()
            .all(|line| attribute(line, "vulnerable") == "0"),
        "{found}"
    );
    assert!(
        found.contains("<signature-algorithm>ecdsa-with-SHA256<"),
        "{found}"
    );
}

/// The scanner's library can't offer compression; these bytes do (RFC 5246 §7.4.1.2, RFC 3749).
#[test]
fn compression_that_a_client_offers_is_not_taken() {
    let origin = Origin::start();
    let airside = start(&origin);
    let answer = hello(&airside, &[1, 0]);
    assert_eq!(answer[0], 22, "a handshake: {answer:02x?}");
    let session = usize::from(answer[43]);
    let (cipher, compression) = (&answer[44 + session..46 + session], answer[46 + session]);
    assert_eq!((cipher, compression), (&[0xc0, 0x2b][..], 0));
    // Nothing but compression is an offer of nothing.
    let answer = hello(&airside, &[1]);
    assert_eq!(answer[..1], [21], "an alert: {answer:02x?}");
}

/// The answer to a greeting of TLS 1.2 that offers these ways to compress.
fn hello(airside: &Airside, compression: &[u8]) -> Vec<u8> {
    let extensions = [
        // Groups: P-256. Points: uncompressed. Signatures: ECDSA with SHA-256.
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 4, 0, 2, 4, 3],
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    // No session; one cipher.
    body.extend([0, 0, 2, 0xc0, 0x2b]);
    body.push(compression.len() as u8);
    body.extend(compression);
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let mut message = vec![1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);

    let mut stream = TcpStream::connect(airside.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(9)))
        .unwrap();
    stream.write_all(&record).unwrap();
    let mut answer = vec![0; 128];
    let mut have = 0;
    // All that is looked at; an alert is shorter, and the end.
    while have < answer.len() {
        match stream.read(&mut answer[have..]) {
            Ok(read @ 1..) => have += read,
            _ => break,
        }
    }
    answer.truncate(have);
    answer
}

fn attribute(line: &str, name: &str) -> String {
    let rest = line
        .split_once(&format!(" {name}=\""))
        .unwrap_or_else(|| panic!("no {name}: {line}"));
    rest.1.split('"').next().unwrap_or_default().to_owned()
}
