//! The first bytes of a connection, before HTTP or TLS: the PROXY protocol's header, and whether HTTP/2 is
//! spoken without TLS. A client that is slow with them is let go.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::time::Duration;

use pingora::protocols::l4::socket::SocketAddr as Address;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::{GetSocketDigest, SocketDigest};
use ppp::{HeaderResult, v1, v2};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::base::networks::Networks;
use crate::tls::acceptor::HandshakeError;

/// Why a connection ends before it has begun.
#[derive(Debug, thiserror::Error)]
pub enum OpeningError {
    #[error("it is not one of the trusted proxies")]
    Stranger,
    #[error("its PROXY protocol header is not valid")]
    Invalid,
    #[error("its first bytes took too long")]
    Slow,
    #[error("it was closed")]
    Closed,
    #[error("there are too many")]
    Full,
    #[error("it does not speak what this listener speaks")]
    Protocol,
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// Reads the header with which a trusted proxy says for whom it connects; from then on that is the peer.
pub async fn take_proxy_header(
    stream: &mut Stream,
    trusted: &Networks,
) -> Result<(), OpeningError> {
    let digest = stream.get_socket_digest().ok_or(OpeningError::Closed)?;
    let peer = digest.peer_addr().and_then(Address::as_inet);
    if !peer.is_some_and(|peer| trusted.contains(peer.ip())) {
        return Err(OpeningError::Stranger);
    }
    let told = in_time(PATIENCE, read_header(stream)).await?;
    // Without one the proxy speaks for itself, as its health checks do.
    if let Some(client) = told {
        let said = SocketDigest::from_raw_fd(stream.as_raw_fd());
        let _ = said.peer_addr.set(Some(Address::Inet(client)));
        let _ = said.local_addr.set(digest.local_addr().cloned());
        stream.set_socket_digest(said);
    }
    Ok(())
}

/// Does the connection begin as HTTP/2 (RFC 9113 §3.4)? Nothing is consumed. It is asked byte by byte, because
/// a request of HTTP/1.0 may be shorter than HTTP/2's preface.
pub async fn begins_as_http2(
    stream: &mut Stream,
    patience: Duration,
) -> Result<bool, OpeningError> {
    let mut read = Vec::with_capacity(PREFACE.len());
    in_time(patience.min(PATIENCE), async {
        while read.is_empty() || (PREFACE.starts_with(&read) && read.len() < PREFACE.len()) {
            more(stream, &mut read, PREFACE.len()).await?;
        }
        Ok(())
    })
    .await?;
    stream.rewind(&read);
    Ok(read == PREFACE)
}

/// In all, not for each piece: or a byte now and then would hold a connection for hours.
async fn in_time<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, OpeningError>>,
) -> Result<T, OpeningError> {
    timeout(patience, work)
        .await
        .map_err(|_| OpeningError::Slow)?
}

async fn read_header(stream: &mut Stream) -> Result<Option<SocketAddr>, OpeningError> {
    let mut read = Vec::with_capacity(128);
    loop {
        if let Some((told, length)) = header(&read)? {
            stream.rewind(read.get(length..).unwrap_or_default());
            return Ok(told);
        }
        more(stream, &mut read, MOST).await?;
    }
}

/// Reads what is there, up to `most` in all.
async fn more(stream: &mut Stream, read: &mut Vec<u8>, most: usize) -> Result<(), OpeningError> {
    let mut buffer = [0; 256];
    let room = most.saturating_sub(read.len()).min(buffer.len());
    let buffer = buffer.get_mut(..room).unwrap_or_default();
    if buffer.is_empty() {
        return Err(OpeningError::Invalid);
    }
    match stream.read(buffer).await {
        Err(_) | Ok(0) => Err(OpeningError::Closed),
        Ok(count) => {
            read.extend_from_slice(buffer.get(..count).unwrap_or_default());
            Ok(())
        }
    }
}

/// The client that a whole header names, if any, and the header's length; `None` while it is not whole.
pub fn header(read: &[u8]) -> Result<Option<(Option<SocketAddr>, usize)>, OpeningError> {
    let Some(length) = whole(read)? else {
        return Ok(None);
    };
    match HeaderResult::parse(read.get(..length).unwrap_or_default()) {
        HeaderResult::V1(Ok(header)) => {
            let client = match header.addresses {
                v1::Addresses::Tcp4(tcp) => Some((tcp.source_address, tcp.source_port).into()),
                v1::Addresses::Tcp6(tcp) => Some((tcp.source_address, tcp.source_port).into()),
                v1::Addresses::Unknown => None,
            };
            Ok(Some((client, length)))
        }
        HeaderResult::V2(Ok(header)) => {
            let client = match header.addresses {
                _ if header.command == v2::Command::Local => None,
                v2::Addresses::IPv4(ip) => Some((ip.source_address, ip.source_port).into()),
                v2::Addresses::IPv6(ip) => Some((ip.source_address, ip.source_port).into()),
                v2::Addresses::Unix(_) | v2::Addresses::Unspecified => None,
            };
            Ok(Some((client, length)))
        }
        HeaderResult::V1(Err(_)) | HeaderResult::V2(Err(_)) => Err(OpeningError::Invalid),
    }
}

/// The header's length where all of it is there. The library is asked about whole headers only: it takes half an
/// address for a wrong one.
fn whole(read: &[u8]) -> Result<Option<usize>, OpeningError> {
    if SIGNATURE.starts_with(read) || WORD.starts_with(read) {
        return Ok(None);
    }
    if read.starts_with(WORD) {
        let end = read.windows(2).position(|pair| pair == b"\r\n");
        return match end {
            // However much comes at once: in pieces it would not be read so far.
            Some(end) if end + 2 <= LONGEST_TEXT => Ok(Some(end + 2)),
            None if read.len() < LONGEST_TEXT => Ok(None),
            _ => Err(OpeningError::Invalid),
        };
    }
    if !read.starts_with(SIGNATURE) {
        return Err(OpeningError::Invalid);
    }
    let Some((fixed, rest)) = read.split_first_chunk::<16>() else {
        return Ok(None);
    };
    let [.., high, low] = *fixed;
    let more = usize::from(u16::from_be_bytes([high, low]));
    Ok((rest.len() >= more).then_some(16 + more))
}

/// How version 1 begins, and version 2.
const WORD: &[u8] = b"PROXY ";
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Of version 1, with the line's end.
const LONGEST_TEXT: usize = 107;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// For all of the first bytes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Of a header: version 1 has at most 107 bytes, and what version 2 may add is certificates' names.
const MOST: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_name_the_client_and_their_length() {
        let one = b"PROXY TCP4 192.0.2.1 198.51.100.1 5123 443\r\nGET";
        let client = Some("192.0.2.1:5123".parse().unwrap());
        assert_eq!(header(one).unwrap(), Some((client, one.len() - 3)));
        let local = b"PROXY UNKNOWN\r\n";
        assert_eq!(header(local).unwrap(), Some((None, local.len())));

        let mut two = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
        two.extend([192, 0, 2, 1, 198, 51, 100, 1, 20, 3, 1, 187]);
        assert_eq!(header(&two).unwrap(), Some((client, two.len())));
        two[12] = 0x20;
        assert_eq!(header(&two).unwrap(), Some((None, two.len())));
    }

    #[test]
    fn a_part_waits_for_more_and_anything_else_is_refused() {
        let one = b"PROXY TCP4 192.0.2.1 198.51.100.1 5123 443\r\n";
        let two =
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x14\x03\x01\xbb";
        for whole in [&one[..], two] {
            for end in 0..whole.len() {
                assert_eq!(header(&whole[..end]).unwrap(), None, "{:?}", &whole[..end]);
            }
        }
        for wrong in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY TCP4 x y 1 2\r\n",
            b"\x16\x03\x01\x02",
            &[b"PROXY UNKNOWN".as_slice(), &[b' '; 93], b"\r\n"].concat(),
        ] {
            assert!(header(wrong).is_err(), "{wrong:?}");
        }
    }
}
